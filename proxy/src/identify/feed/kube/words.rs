//! What went wrong between us and the API server, in words: the cause and the mend.
//!
//! May enter: errors of the API client with all that they wrap, statuses of the API server.
//! Deliberately absent: what is done about it.

use std::error::Error;
use std::io;
use std::time::Duration;

use ::kube::core::Status;
use ::kube::runtime::watcher;

use super::connect::auth::{AuthFault, beneath};

/// Why the API server does not tell, and what a person can do.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Trouble {
    /// What happened.
    pub(super) cause: String,
    /// How to mend it.
    pub(super) mend: String,
}

/// The server let a request, or the rest of an answer, wait for too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer for {} s", .0.as_secs())]
pub(super) struct NoAnswer(pub(super) Duration);

/// The reason that the API client makes up for an answer that is no status.
const NO_STATUS: &str = "Failed to parse error data";

const ADDRESS: &str = "is this address a Kubernetes API server's?";
const ASKED_AGAIN: &str = "it is asked again until it answers";
const READ_AGAIN: &str =
    "the token may have expired or belong to another cluster; it is read again before each attempt";
const UNREACHABLE: &str = "is the API server running, and can it be reached from here?";

impl Trouble {
    fn new(cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            mend: mend.into(),
        }
    }

    /// The server is silent. For how long is not said: the words stay the same while it lasts.
    pub(super) fn no_answer() -> Self {
        Self::new("no answer", UNREACHABLE)
    }

    /// For one who asks once: what a watch does by itself is theirs to do.
    pub(super) fn asked_once(self) -> Self {
        match &*self.mend {
            ASKED_AGAIN => Self::new(self.cause, "ask again later"),
            READ_AGAIN => Self::new(
                self.cause,
                "has the token or certificate expired, or does it belong to another cluster?",
            ),
            _ => self,
        }
    }

    /// A list ends before its last page, as often as it is asked for.
    pub(super) fn list_too_old() -> Self {
        Self::new(
            "its list grows old before the last page",
            "has the API server too much to do, or is the way to it too slow?",
        )
    }

    /// Of a watch; `None` for what heals by the next list.
    pub(super) fn of_watch(error: &watcher::Error) -> Option<Self> {
        match error {
            watcher::Error::WatchError(status) => Self::of_status(status),
            watcher::Error::NoResourceVersion => Some(Self::new(
                "an object or list came without resourceVersion",
                ADDRESS,
            )),
            watcher::Error::WatchFailed(::kube::Error::Api(status)) if status.code == 0 => Some(
                Self::new("an event is none that Kubernetes would send", ADDRESS),
            ),
            watcher::Error::InitialListFailed(::kube::Error::Api(status)) if status.code == 410 => {
                Some(Self::list_too_old())
            }
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of_client(error),
        }
    }

    /// Of a request; `None` for what heals by the next list.
    pub(super) fn of_client(error: &::kube::Error) -> Option<Self> {
        match error {
            ::kube::Error::Api(status) => Self::of_status(status),
            ::kube::Error::SerdeError(fault) => Some(Self::new(
                format!("its answer is no JSON that Kubernetes would send: {fault}"),
                ADDRESS,
            )),
            other => Some(Self::of_connection(other)),
        }
    }

    /// Of an answer that is a status.
    fn of_status(status: &Status) -> Option<Self> {
        let (reason, message) = (status.reason.trim(), status.message.trim());
        let said = if reason.is_empty() || reason == NO_STATUS || reason == message {
            message.to_owned()
        } else if message.is_empty() {
            reason.to_owned()
        } else {
            format!("{reason}: {message}")
        };
        let said = first_line(&said);
        match status.code {
            410 => None,
            401 => Some(Self::new(
                format!("401 {said}, the credentials are not accepted"),
                READ_AGAIN,
            )),
            403 => Some(forbidden(&status.message)),
            429 => Some(Self::new(format!("429 {said}"), ASKED_AGAIN)),
            code @ 400..=499 => Some(Self::new(format!("it says {code} {said}"), ADDRESS)),
            code => Some(Self::new(format!("it says {code} {said}"), ASKED_AGAIN)),
        }
    }

    /// Of what has no status: the connection, its encryption, the name, the credentials on disk.
    fn of_connection(error: &(dyn Error + 'static)) -> Self {
        let chain: Vec<&(dyn Error + 'static)> =
            std::iter::successors(Some(error), |one| beneath(*one)).collect();
        if chain.iter().any(|one| one.is::<NoAnswer>()) {
            return Self::no_answer();
        }
        if let Some(fault) = AuthFault::within(error, None) {
            return Self::new(fault.cause, fault.mend);
        }
        let innermost = chain.last().map_or_else(String::new, ToString::to_string);
        if let Some(trouble) = certificate(&innermost) {
            return trouble;
        }
        let texts: Vec<String> = chain.iter().map(ToString::to_string).collect();
        if texts.iter().any(|text| text.contains("dns error")) {
            let cause = format!("its name cannot be resolved: {innermost}");
            return Self::new(cause, "is the address in the kubeconfig right?");
        }
        let kind = chain.iter().rev().find_map(|one| {
            let kind = one.downcast_ref::<io::Error>()?.kind();
            (kind != io::ErrorKind::Other).then_some(kind)
        });
        match kind {
            Some(io::ErrorKind::ConnectionRefused) => Self::new("connection refused", UNREACHABLE),
            Some(io::ErrorKind::TimedOut) => Self::new("the connection timed out", UNREACHABLE),
            Some(io::ErrorKind::ConnectionReset) => Self::new("connection reset", UNREACHABLE),
            Some(io::ErrorKind::UnexpectedEof) => {
                Self::new("the connection was cut in the middle", UNREACHABLE)
            }
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                Self::new("no route to it", UNREACHABLE)
            }
            _ if innermost.is_empty() => Self::new(error.to_string(), ASKED_AGAIN),
            _ => Self::new(first_line(&innermost), ASKED_AGAIN),
        }
    }
}

/// Of a message of rustls about a certificate: its words name variants of its own types.
fn certificate(message: &str) -> Option<Trouble> {
    if let Some((_, alert)) = message.split_once("received fatal alert: ") {
        return Some(Trouble::new(
            format!("it broke off the encryption: {alert}"),
            "is the client certificate signed by this cluster's authority, and not expired?",
        ));
    }
    let (_, why) = message.split_once("invalid peer certificate: ")?;
    Some(if why.starts_with("UnknownIssuer") {
        Trouble::new(
            "its certificate is signed by unknown authority",
            "give the cluster's own CA in the kubeconfig; in a pod kube-root-ca.crt brings it",
        )
    } else if why.contains("expired") || why.starts_with("Expired") {
        Trouble::new(
            format!("its certificate has expired ({why})"),
            "renew the API server's certificate, or set this machine's clock",
        )
    } else if why.contains("not valid for name") || why.starts_with("NotValidForName") {
        Trouble::new(
            format!("its certificate is for another name ({why})"),
            "reach it by a name or address that its certificate holds, or set tls-server-name",
        )
    } else {
        Trouble::new(
            format!("its certificate is not valid ({why})"),
            "is this the API server, and the CA in the kubeconfig its own?",
        )
    })
}

/// The mend for a right that podwall does not need by itself, and for a refusal that is about none.
const GRANT: &str = "grant the account that right, or ask whoever runs what refuses it";

const BIND: &str = "bind it to the ClusterRole of deploy/rbac/ (podwall-sidecar and podwall-sidecar-policies for a sidecar, podwall-reader for a person)";

/// Of `pods is forbidden: User "NAME" cannot list resource "pods" in API group "" at the cluster scope`;
/// other wordings, such as an admission's, are shown whole.
fn forbidden(message: &str) -> Trouble {
    match permission(message) {
        Some((cause, mend)) => Trouble::new(format!("403, {cause}"), mend),
        None => Trouble::new(format!("403, forbidden: {}", first_line(message)), GRANT),
    }
}

/// What may not be done, why as far as the server says it, and the mend.
fn permission(message: &str) -> Option<(String, &'static str)> {
    let (_, rest) = message.split_once("User \"")?;
    let (account, rest) = rest.split_once("\" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, rest) = rest.split_once('"')?;
    let dot = if group.is_empty() { "" } else { "." };
    let (place, rest) = match rest.trim().strip_prefix("in the namespace \"") {
        Some(rest) => {
            let (namespace, rest) = rest.split_once('"')?;
            (format!("in namespace {namespace}"), rest)
        }
        None => {
            let (_, rest) = rest.split_once("at the cluster scope")?;
            ("at the cluster scope".to_owned(), rest)
        }
    };
    let why = match rest.trim_start().strip_prefix(':').map(first_line) {
        Some(why) if !why.is_empty() => format!(": {why}"),
        _ => String::new(),
    };
    let is_ours = matches!(verb, "get" | "list" | "watch")
        && matches!(resource, "pods" | "namespaces" | "networkpolicies");
    Some((
        format!("{account} may not {verb} {resource}{dot}{group} {place}{why}"),
        if is_ours { BIND } else { GRANT },
    ))
}

/// As much of a text as fits a sentence.
fn first_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
