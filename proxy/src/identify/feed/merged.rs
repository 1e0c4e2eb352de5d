//! Files on top of a cluster: what would hold if these manifests were applied, or what a cluster lacks.
//!
//! An object of the files hides the cluster's object of that kind and name. Nothing is known before
//! both have told a whole state. The files may change: what is new in them holds at once, and what
//! was taken out of them holds until the cluster has been listed anew, which is asked for.
//!
//! May enter: what the two sources tell. Deliberately absent: what the objects mean.
//!
//! What is asked once is read by [`Manifests::over`](super::files::Manifests::over). Start at [`watch`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::Change;
use super::files::{self, FeedError, FilesHandle};
use super::kube::{self, KubeError, KubeHandle, Relister};
use crate::access::Access;
use layers::{Layers, Step};

mod layers;
mod union;

/// Why the two cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum MergedError {
    /// The files.
    #[error(transparent)]
    Files(#[from] FeedError),
    /// The cluster.
    #[error(transparent)]
    Kube(#[from] KubeError),
}

/// Two running watches. Dropping it ends both and waits for their threads.
#[derive(Debug)]
pub struct MergedHandle {
    _kube: KubeHandle,
    _files: FilesHandle,
}

/// What the threads of the two sources share.
struct Shared<S> {
    layers: Layers,
    send: S,
    relister: Option<Relister>,
    /// A list was asked for before anybody could be asked.
    wanted: bool,
}

impl<S: FnMut(Change)> Shared<S> {
    fn take(&mut self, step: Step) {
        for change in step.changes {
            (self.send)(change);
        }
        match &self.relister {
            Some(relister) if step.relist => relister.relist(),
            Some(_) => {}
            None => self.wanted |= step.relist,
        }
    }
}

/// Follows the files of `paths` on top of the cluster that `access` names, policies only those of
/// `namespace`, and tells `send` every change.
///
/// # Errors
/// As [`files::watch`] and [`kube::watch`].
pub fn watch(
    paths: Vec<PathBuf>,
    access: Access,
    namespace: Arc<str>,
    send: impl FnMut(Change) + Send + 'static,
) -> Result<MergedHandle, MergedError> {
    let shared = Arc::new(Mutex::new(Shared {
        layers: Layers::default(),
        send,
        relister: None,
        wanted: false,
    }));
    let of_files = Arc::clone(&shared);
    let files = files::watch(paths, move |change| {
        let mut shared = of_files.lock().unwrap_or_else(PoisonError::into_inner);
        let step = shared.layers.on_files(change);
        shared.take(step);
    })?;
    let of_cluster = Arc::clone(&shared);
    let kube = kube::watch(access, namespace, move |change| {
        let mut shared = of_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let step = shared.layers.on_cluster(change);
        shared.take(step);
    })?;
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::take(&mut shared.wanted) {
        kube.relister().relist();
    }
    shared.relister = Some(kube.relister());
    Ok(MergedHandle {
        _kube: kube,
        _files: files,
    })
}

#[cfg(test)]
mod tests;
