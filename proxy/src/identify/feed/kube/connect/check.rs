//! What is wrong with a kubeconfig, found before the API client sees it.
//!
//! Deliberately absent: reading it, and the files it names.

use ::kube::config::Kubeconfig;

use super::KubeError;
use crate::access::Access;

/// Finds what the API client would pass over or say in other words.
pub(super) fn check(access: &Access, kubeconfig: &Kubeconfig) -> Result<(), KubeError> {
    let fault = |fault: String| KubeError::Kubeconfig {
        access: access.to_string(),
        fault,
    };
    let name = kubeconfig.current_context.as_deref().unwrap_or_default();
    if name.is_empty() {
        let mend = "it has no current context; name one with --context".to_owned();
        return Err(fault(mend));
    }
    let Some(context) = kubeconfig.contexts.iter().find(|one| one.name == name) else {
        return Err(no_context(access, kubeconfig, name));
    };
    let Some(context) = &context.context else {
        return Err(fault(format!(
            "context {name} is empty; write its cluster and user"
        )));
    };
    let user = context.user.as_deref().filter(|user| !user.is_empty());
    if let Some(user) = user
        && !kubeconfig.auth_infos.iter().any(|one| one.name == user)
    {
        let mend =
            format!("context {name} names the user {user:?}, which is not there; add it to users");
        return Err(fault(mend));
    }
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|one| one.name == context.cluster);
    let proxy = cluster.and_then(|one| one.cluster.as_ref()?.proxy_url.as_deref());
    if proxy.is_some_and(|url| !url.is_empty()) {
        let mend =
            "it reaches the cluster by a proxy-url, which podwall does not; use a context without";
        return Err(fault(mend.to_owned()));
    }
    Ok(())
}

fn no_context(access: &Access, kubeconfig: &Kubeconfig, context: &str) -> KubeError {
    let mut known: Vec<&str> = kubeconfig.contexts.iter().map(|one| &*one.name).collect();
    known.sort_unstable();
    KubeError::NoContext {
        access: access.to_string(),
        context: context.to_owned(),
        known: match known.len() {
            0 => "none".to_owned(),
            _ => known.join(", "),
        },
    }
}
