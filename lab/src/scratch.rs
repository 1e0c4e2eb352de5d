//! The lab's directory: made fresh, locked while its owner lives, removed with it. Old ones whose owner is dead are
//! removed by the next lab, with the control groups that bear their name. What is written inside is not this file's matter.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use crate::{LabError, LabResult};

/// Prefix of every lab's directory under the system's temporary directory.
const PREFIX: &str = "podwall-lab-";
/// File whose lock says that the owner lives.
const LOCK: &str = ".owner";

/// A directory that lives as long as its owner.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// INVARIANT: locked from before the directory has its final name until this value is dropped.
    _lock: File,
}

impl Scratch {
    /// Makes a fresh directory, readable by all, and removes those of dead owners.
    pub(crate) fn new() -> LabResult<Self> {
        let parent = std::env::temp_dir();
        remove_stale(&parent);
        let id = unique();
        // Another lab's sweep must not meet the directory before it is locked, hence the second name.
        let unlocked = parent.join(format!(".{PREFIX}{id}"));
        let path = parent.join(format!("{PREFIX}{id}"));
        make_dir(&unlocked)?;
        let name = unlocked.join(LOCK);
        let lock =
            File::create(&name).map_err(LabError::io(format!("create {}", name.display())))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|errno| LabError::io(format!("lock {}", name.display()))(errno.into()))?;
        fs::rename(&unlocked, &path)
            .map_err(LabError::io(format!("rename to {}", path.display())))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes a directory that every user may read, whatever the umask.
pub(crate) fn make_dir(path: &Path) -> LabResult<()> {
    let what = || format!("create {}", path.display());
    fs::create_dir(path).map_err(LabError::io(what()))?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(LabError::io(what()))
}

/// Makes a directory that only its owner may enter.
pub(crate) fn make_private_dir(path: &Path) -> LabResult<()> {
    let what = || format!("create {}", path.display());
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(LabError::io(what()))
}

/// Replaces a file by this text, whatever the umask. A reader sees the old text or the new, and at no moment can
/// anybody read it whom `mode` does not let. The draft beside it begins with a dot and ends with `.tmp`.
pub(crate) fn replace_file(path: &Path, text: &str, mode: u32) -> LabResult<()> {
    replace_file_for(None, path, text, mode)
}

/// As [`replace_file`]; the file then belongs to this user, where one is given.
pub(crate) fn replace_file_for(
    owner: Option<u32>,
    path: &Path,
    text: &str,
    mode: u32,
) -> LabResult<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.tmp"));
    let write = || {
        // Left over from a write that failed; its mode may be another.
        let _ = fs::remove_file(&draft);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(mode))?;
        fchown(&file, owner, owner)?;
        fs::rename(&draft, path)
    };
    write().map_err(LabError::io(format!("write {}", path.display())))
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}-{:x}", std::process::id(), now & 0xffff_ffff)
}

fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && is_abandoned(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
            remove_groups(&entry.file_name());
        }
    }
}

/// Removes the control groups of that name and those below. Left over only where the holder was killed, too.
fn remove_groups(name: &OsStr) {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten();
    for top in hierarchies
        .map(|entry| entry.path())
        .chain([root.to_owned()])
    {
        remove_group(&top.join(name));
    }
}

/// A control group can be removed only after those below it.
fn remove_group(group: &Path) {
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&below.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// An owner that lives holds the lock; one that cannot be opened is not ours to remove. Everybody may write to the
/// parent, so what is there may be a pipe on which an ordinary open would wait for ever.
fn is_abandoned(dir: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(dir.join(LOCK), flags, Mode::empty())
        .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
}
