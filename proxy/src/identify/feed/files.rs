//! The file source: manifests in files and directories, read again whenever they change.
//!
//! May enter: paths. Leaves whole states only: one edit is one [`Change::Resync`], one swap.
//! Deliberately absent: what the objects mean.
//!
//! What is read: a FILE as it is; of a DIR the files ending in `.yaml`, `.yml` or `.json`, not those of
//! its subdirectories, nothing that begins with a dot, symlinks followed. That is kubectl's way, and
//! it reads a mounted ConfigMap.
//!
//! The last good state stays in force, and [`Change::SourceProblem`] says why, while
//! - a file cannot be read or parsed, or two objects conflict;
//! - a FILE or DIR is missing;
//! - no object at all is left: an emptied directory is no order to drop every policy (S84). At
//!   start the same means not synced, which is closed (S85);
//! - a manifest that was opened for writing is not closed yet: half a file can be good YAML with half
//!   of its policies.
//!
//! Each of these ends by itself with the next good state. Files of one state are read together: if
//! any of them changed while they were read, all are read again.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use podwall_policy::cluster::Conflict;
use podwall_policy::document::Unreadable;
use rustix::event::{EventfdFlags, eventfd};

use super::Change;

mod ears;
mod reading;
#[cfg(test)]
mod tests;
mod watcher;

pub use reading::{Manifests, read_manifests, read_paths};

/// The path that means standard input; for offline commands only.
pub const STDIN: &str = "-";

/// Why the files do not make a state.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No path was given.
    #[error("no manifests given; name a FILE or DIR with -f")]
    NoPaths,
    /// A path leads nowhere.
    #[error("{}: no such file or directory; is it mounted, and spelled right?", .0.display())]
    Missing(PathBuf),
    /// The system does not let us read.
    #[error("{}: {source}; podwall needs to read it", path.display())]
    Unreachable {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The text of a file is bad input. The message names file and line.
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    /// Two objects of one name differ.
    #[error("{conflict}; found in {files}")]
    Conflict {
        /// Which object.
        conflict: Conflict,
        /// The files that hold it.
        files: String,
    },
    /// There is not one Pod, Namespace or NetworkPolicy.
    #[error("no Pod, Namespace or NetworkPolicy in {0}; an empty source is taken for a mistake")]
    Empty(String),
    /// The files change faster than they can be read.
    #[error("{0} keeps changing while it is read; write to another name, then rename")]
    Restless(String),
    /// A manifest is open for writing.
    #[error("{}: is being written and not closed yet", .0.display())]
    BeingWritten(PathBuf),
    /// What cannot be watched.
    #[error("{}: is no file or directory, so it cannot be watched", .0.display())]
    NotWatchable(PathBuf),
    /// The system does not let us watch.
    #[error(
        "cannot watch files: {0}; are fs.inotify.max_user_instances and max_user_watches exhausted?"
    )]
    Watch(#[source] io::Error),
    /// The thread cannot be started.
    #[error("cannot start the thread that watches files: {0}")]
    Thread(#[source] io::Error),
}

impl FeedError {
    /// Whether waiting a moment may mend it, as while a directory is replaced.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::Restless(_))
    }
}

/// A running watch. Dropping it ends the watch and waits for its thread.
#[derive(Debug)]
pub struct FilesHandle {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Reads `paths` and tells `send` the state, then again after every change, from a thread of its own.
///
/// Never fails for what the files hold or whether they are there: that is told as a change.
///
/// # Errors
/// Where nothing or something unwatchable was asked for, or the system gives no watch or thread.
pub fn watch(
    paths: Vec<PathBuf>,
    send: impl FnMut(Change) + Send + 'static,
) -> Result<FilesHandle, FeedError> {
    if paths.is_empty() {
        return Err(FeedError::NoPaths);
    }
    if let Some(path) = paths.iter().find(|path| !watchable(path)) {
        return Err(FeedError::NotWatchable(path.clone()));
    }
    let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(watch_error)?;
    let stop = Arc::new(stop);
    let ears = ears::Ears::new(Arc::clone(&stop)).map_err(watch_error)?;
    let watcher = watcher::Watcher::new(paths, ears, send);
    let thread = std::thread::Builder::new().name("podwall-files".to_owned());
    let thread = thread
        .spawn(move || watcher.run())
        .map_err(FeedError::Thread)?;
    Ok(FilesHandle {
        stop,
        thread: Some(thread),
    })
}

/// A pipe can be read once only, and waiting for one would deafen the watch.
fn watchable(path: &Path) -> bool {
    path != Path::new(STDIN)
        && path
            .metadata()
            .map_or(true, |one| one.is_file() || one.is_dir())
}

fn watch_error(errno: rustix::io::Errno) -> FeedError {
    FeedError::Watch(errno.into())
}

impl Drop for FilesHandle {
    fn drop(&mut self) {
        // Writing 1 to a fresh eventfd cannot block or overflow.
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
