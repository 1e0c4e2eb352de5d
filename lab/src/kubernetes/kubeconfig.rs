//! Kubeconfig files: how a program reaches the API server and who it is. As JSON, which is YAML too.
//!
//! Keys, tokens and certificates are named by their files and never copied, so that a rotated one is found.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{LabResult, scratch::replace_file};

use super::pki::Pki;

/// Name of the cluster, its user and its context in every file.
const NAME: &str = "podwall-lab";

/// The kubeconfig of `user`, known by a fresh client certificate as one of `group`, written into `dir`. Private, as
/// the key that it names.
pub(crate) fn of_person(
    dir: &Path,
    server: &str,
    pki: &Pki,
    user: &str,
    group: &str,
) -> LabResult<PathBuf> {
    let pair = pki.client(user, group)?;
    let who = json!({ "client-certificate": pair.certificate, "client-key": pair.key });
    let file = dir.join(format!("{}.kubeconfig", user.replace(':', "-")));
    let text = text(server, &pki.bundle(), &who, "default");
    replace_file(&file, &text, 0o600)?;
    Ok(file)
}

/// Someone known by the token in this file.
pub(crate) fn by_token(file: &Path) -> Value {
    json!({ "tokenFile": file })
}

/// The file's text. `bundle` is the file with the authority's certificates.
pub(crate) fn text(server: &str, bundle: &Path, user: &Value, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": NAME, "cluster": { "server": server, "certificate-authority": bundle } }],
        "users": [{ "name": NAME, "user": user }],
        "contexts": [{ "name": NAME, "context": { "cluster": NAME, "user": NAME, "namespace": namespace } }],
        "current-context": NAME,
    });
    format!("{config:#}\n")
}
