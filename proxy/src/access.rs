//! Shared noun: how the API server is reached, and as whom.
//!
//! Deliberately absent: reading kubeconfig files and tokens, and connecting. Both belong to the feed,
//! which does them again whenever they may have been rotated.

use std::fmt;
use std::path::PathBuf;

/// How the API server is reached, and as whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// From inside a pod, as its own service account.
    InCluster,
    /// By a kubeconfig.
    Kubeconfig {
        /// The file; where absent, those that `$KUBECONFIG` names, else `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context; where absent, the file's current one.
        context: Option<String>,
    },
    /// As kubectl finds it: `$KUBECONFIG`, else `~/.kube/config`, else the pod's own service account.
    /// The latter only where there is no such file: one that cannot be read is an error.
    Usual,
}

impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InCluster => out.write_str("the pod's own service account"),
            Self::Kubeconfig { path, context } => {
                match path {
                    Some(path) => write!(out, "kubeconfig {}", path.display())?,
                    None => out.write_str("the usual kubeconfig")?,
                }
                match context {
                    Some(context) => write!(out, ", context {context}"),
                    None => Ok(()),
                }
            }
            Self::Usual => {
                out.write_str("the usual kubeconfig, or else the pod's own service account")
            }
        }
    }
}
