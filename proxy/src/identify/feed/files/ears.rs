//! inotify: hears that something happened to the files, and which of them are being written.
//!
//! Deliberately absent: what is in the files, and any conclusion from an event other than "look
//! again". Directories are watched, never files: a ConfigMap swap moves a link beside them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::reading::is_manifest;

#[cfg(test)]
mod tests;

/// Everything after which the files may read otherwise. `MODIFY` and `CREATE` begin a writing that
/// `CLOSE_WRITE` ends; links are only created.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// After which silence a file that was opened for writing counts as closed, its end having been missed.
///
/// 30 s: longer than `kubectl get -A -o yaml > FILE` keeps a file open before its first byte, and what
/// is in force meanwhile is the last good state.
const WRITER_FORGOTTEN: Duration = Duration::from_secs(30);

/// Room for a burst of events in one read; a longer burst takes more reads.
const BUFFER: usize = 16 * 1024;

/// What ended a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// The watch is to end.
    Stop,
    /// Something that concerns the files.
    Something,
    /// Nothing until the time was over.
    Nothing,
}

/// Hears what happens in the directories that matter.
#[derive(Debug)]
pub(super) struct Ears {
    inotify: OwnedFd,
    stop: Arc<OwnedFd>,
    watches: HashMap<i32, Vec<Interest>>,
    /// Manifests that were opened for writing and not closed, with the time of the last sign.
    open: HashMap<PathBuf, Instant>,
}

/// Why a directory is watched.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Interest {
    /// Its manifests are read.
    Content(PathBuf),
    /// One entry of it is read, or leads to what is read.
    Entry(PathBuf),
}

impl Ears {
    /// # Errors
    /// Where the system gives no inotify instance.
    pub(super) fn new(stop: Arc<OwnedFd>) -> Result<Self, Errno> {
        Ok(Self {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            stop,
            watches: HashMap::new(),
            open: HashMap::new(),
        })
    }

    /// Watches what is in the way of `paths` now, and nothing else. A directory that is missing or
    /// cannot be watched is left to the slow poll.
    pub(super) fn arm(&mut self, paths: &[PathBuf]) {
        let mut armed: HashMap<i32, Vec<Interest>> = HashMap::new();
        for (directory, interest) in paths.iter().flat_map(|path| interests(path)) {
            if let Ok(watch) = inotify::add_watch(&self.inotify, &directory, EVENTS) {
                let interests = armed.entry(watch).or_default();
                if !interests.contains(&interest) {
                    interests.push(interest);
                }
            }
        }
        for stale in self.watches.keys().filter(|one| !armed.contains_key(one)) {
            // The kernel has dropped it already where the directory is gone.
            let _ = inotify::remove_watch(&self.inotify, *stale);
        }
        self.watches = armed;
    }

    /// Waits for something that concerns the files, at most so long.
    pub(super) fn wait(&mut self, limit: Duration) -> Heard {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.poll(left) {
                Ok(true) => return Heard::Stop,
                Ok(false) => {}
                Err(Errno::INTR) => continue,
                // Deaf: the slow poll goes on, without spinning.
                Err(_) => std::thread::sleep(left),
            }
            if self.drain() {
                return Heard::Something;
            }
            if Instant::now() >= end {
                return Heard::Nothing;
            }
        }
    }

    /// A manifest that is being written, if there is one.
    pub(super) fn being_written(&mut self) -> Option<&Path> {
        self.open
            .retain(|_, sign| sign.elapsed() < WRITER_FORGOTTEN);
        self.open.keys().next().map(PathBuf::as_path)
    }

    /// Waits; `true` where the watch is to end.
    fn poll(&self, limit: Duration) -> Result<bool, Errno> {
        let mut fds = [
            PollFd::from_borrowed_fd(self.stop.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.inotify.as_fd(), PollFlags::IN),
        ];
        let limit = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
        poll(&mut fds, Some(&limit))?;
        Ok(!fds[0].revents().is_empty())
    }

    /// Takes in what has happened; `true` where some of it concerns the files.
    fn drain(&mut self) -> bool {
        let mut concerns = false;
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                self.open.clear();
                concerns = true;
                continue;
            }
            let Some(interests) = self.watches.get(&event.wd()) else {
                continue;
            };
            let Some(name) = event.file_name() else {
                concerns = true; // the directory itself
                continue;
            };
            let name = Path::new(OsStr::from_bytes(name.to_bytes()));
            for path in interests.iter().filter_map(|one| one.path_of(name)) {
                concerns = true;
                note(&mut self.open, path, flags);
            }
        }
        concerns
    }
}

impl Interest {
    /// The path of an entry of this name, where it concerns the files.
    fn path_of(&self, name: &Path) -> Option<PathBuf> {
        // `..data` is where a ConfigMap's files really are.
        let swap = name.as_os_str().as_encoded_bytes().starts_with(b"..");
        match self {
            Self::Content(directory) => (swap || is_manifest(name)).then(|| directory.join(name)),
            Self::Entry(path) => {
                (swap || path.file_name() == Some(name.as_os_str())).then(|| path.clone())
            }
        }
    }
}

/// Keeps the account of files that are being written.
fn note(open: &mut HashMap<PathBuf, Instant>, path: PathBuf, flags: ReadFlags) {
    let begins =
        flags.contains(ReadFlags::MODIFY) || flags.contains(ReadFlags::CREATE) && is_young(&path);
    if begins && !flags.contains(ReadFlags::ISDIR) {
        open.insert(path, Instant::now());
    } else {
        open.remove(&path);
    }
}

/// Whether a file just created is one that its writer will close; a link is finished at once.
fn is_young(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_ok_and(|one| one.is_file() && one.nlink() == 1)
}

/// The directories to watch for one path, and why.
fn interests(path: &Path) -> Vec<(PathBuf, Interest)> {
    let mut all = Vec::new();
    let real = path.canonicalize().ok().filter(|real| real != path);
    for one in [Some(path.to_owned()), real].into_iter().flatten() {
        if one.file_name().is_some() {
            let parent = one.parent().filter(|up| !up.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new(".")).to_owned();
            all.push((parent, Interest::Entry(one)));
        }
    }
    if path.is_dir() {
        all.push((path.to_owned(), Interest::Content(path.to_owned())));
    }
    all
}
