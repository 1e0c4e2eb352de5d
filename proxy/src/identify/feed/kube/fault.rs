//! Why the cluster cannot be read, or not even be asked.

use std::io;
use std::path::PathBuf;

use super::words::Trouble;
use crate::access::Access;

/// Why the cluster cannot be read. What may pass by itself is told as a change instead, by a watch.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The environment is not that of a pod.
    #[error(
        "not in a pod: {0}; name a kubeconfig instead, or give the pod a service account token (automountServiceAccountToken must not be false)"
    )]
    NotInPod(String),
    /// No kubeconfig where one is looked for.
    #[error("no kubeconfig: {}; name one with --kubeconfig or $KUBECONFIG", .0.display())]
    NoKubeconfig(PathBuf),
    /// A kubeconfig that cannot be used.
    #[error("{access}: {fault}")]
    Kubeconfig {
        /// Which, see [`Access`].
        access: String,
        /// What is wrong with it, and the mend.
        fault: String,
    },
    /// A context that the kubeconfig does not hold.
    #[error("{access}: no context {context:?}; it holds {known}")]
    NoContext {
        /// Which kubeconfig.
        access: String,
        /// The context.
        context: String,
        /// Those that are there.
        known: String,
    },
    /// The credentials on disk cannot be used.
    #[error("{access}: {fault}; {mend}")]
    Credentials {
        /// As whom.
        access: String,
        /// What is wrong with them, without anything secret.
        fault: String,
        /// How to mend it.
        mend: &'static str,
    },
    /// A variable of the environment is wrong.
    #[error("{0}")]
    Environment(String),
    /// The API server did not answer, or not with what was asked for.
    #[error("cannot list {what} of {server}: {cause}; {mend}")]
    Request {
        /// Which objects.
        what: String,
        /// The server's address.
        server: String,
        /// What happened.
        cause: String,
        /// How to mend it.
        mend: String,
    },
    /// The system gives no thread.
    #[error("cannot start the thread that follows the cluster: {0}")]
    Thread(#[source] io::Error),
}

impl KubeError {
    /// Whether the command line or a file it names is wrong, rather than the cluster or this machine.
    #[must_use]
    pub const fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::NoKubeconfig(_) | Self::Kubeconfig { .. } | Self::NoContext { .. }
        )
    }

    pub(super) fn credentials(access: &Access, fault: String, mend: &'static str) -> Self {
        Self::Credentials {
            access: access.to_string(),
            fault,
            mend,
        }
    }

    pub(super) fn request(what: &str, server: &str, trouble: Trouble) -> Self {
        Self::Request {
            what: what.to_owned(),
            server: server.to_owned(),
            cause: trouble.cause,
            mend: trouble.mend,
        }
    }
}
