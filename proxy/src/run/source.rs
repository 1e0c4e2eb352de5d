//! The source of the configuration, followed: files, a cluster, or a cluster with files on top.
//!
//! Deliberately absent: what becomes of a change, and everything that may pass by itself, such as an
//! API server that is away: that is told as a change.

use std::sync::Arc;

use podwall_policy::object::ObjectName;

use super::RunError;
use crate::config::source::Source;
use crate::identify::feed::Change;
use crate::identify::feed::files::{self, FeedError};
use crate::identify::feed::kube::{self, KubeError};
use crate::identify::feed::merged::{self, MergedError};

/// A running watch of whichever source. Dropping it ends the watch and waits for its threads.
pub(super) type Following = Box<dyn Send>;

/// Follows `source` for `subject` and tells `send` every change, from the source's own threads.
///
/// # Errors
/// Where the source is named wrongly, or the system gives no watch or thread.
pub(super) fn follow(
    source: &Source,
    subject: &ObjectName,
    send: impl FnMut(Change) + Send + 'static,
) -> Result<Following, RunError> {
    let namespace = Arc::clone(&subject.namespace);
    Ok(match source.clone() {
        Source::Files(files) => Box::new(files::watch(files, send)?),
        Source::Cluster(access) => Box::new(kube::watch(access, namespace, send)?),
        Source::Both { files, access } => Box::new(merged::watch(files, access, namespace, send)?),
    })
}

impl From<FeedError> for RunError {
    fn from(error: FeedError) -> Self {
        Self::Files(Box::new(error))
    }
}

impl From<KubeError> for RunError {
    fn from(error: KubeError) -> Self {
        Self::Cluster(Box::new(error))
    }
}

impl From<MergedError> for RunError {
    fn from(error: MergedError) -> Self {
        match error {
            MergedError::Files(error) => error.into(),
            MergedError::Kube(error) => error.into(),
        }
    }
}
