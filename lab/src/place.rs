//! Somewhere in the lab where processes run and sockets open: a pod's network namespace, or the node's.

use std::{
    ffi::OsStr,
    fs,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    Cmd, LabError, LabResult, Process,
    elevate::{in_user_namespace, maps_uid},
    netns::NetNs,
    process::Running,
    scratch::make_dir,
    tools::copy_program,
};

/// The user that unprivileged processes run as, if it exists.
const NOBODY: u32 = 65532;

/// What every place of one lab shares.
#[derive(Debug)]
pub(crate) struct Core {
    dir: PathBuf,
    processes: OwnedFd,
    copies: AtomicU32,
}

impl Core {
    /// `dir` is the lab's directory, `processes` the process-id namespace of its holder.
    pub(crate) fn new(dir: &Path, processes: OwnedFd) -> LabResult<Self> {
        make_dir(&dir.join("bin"))?;
        Ok(Self {
            dir: dir.to_owned(),
            processes,
            copies: AtomicU32::new(0),
        })
    }

    /// Whether a process can become uid 65532.
    pub(crate) fn can_change_user(&self) -> bool {
        maps_uid(NOBODY.into())
    }

    /// The user of unprivileged processes, where they do not run as the lab's own.
    pub(crate) fn unprivileged_user(&self) -> Option<u32> {
        self.can_change_user().then_some(NOBODY)
    }

    /// A path of `program` that every user may execute: its own, or that of a copy in the lab's directory where the
    /// program lies below a private directory.
    pub(crate) fn reachable(&self, program: PathBuf) -> LabResult<PathBuf> {
        let what = || format!("make {} executable for all", program.display());
        let real = fs::canonicalize(&program).map_err(LabError::io(what()))?;
        if real.ancestors().all(|part| {
            part.metadata()
                .is_ok_and(|meta| meta.permissions().mode() & 1 == 1)
        }) {
            return Ok(program);
        }
        let number = self.copies.fetch_add(1, Ordering::Relaxed);
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let copy = self.dir.join("bin").join(format!("{number}-{name}"));
        copy_program(&real, &copy)?;
        Ok(copy)
    }
}

/// A network namespace of the lab. A cheap handle; it names the same place when cloned.
#[derive(Clone, Debug)]
pub struct Place {
    core: Arc<Core>,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    net: NetNs,
    running: Mutex<Vec<Weak<Running>>>,
}

impl Place {
    /// A fresh, empty network namespace.
    pub(crate) fn new(core: &Arc<Core>) -> LabResult<Self> {
        let inner = Inner {
            net: NetNs::new()?,
            running: Mutex::default(),
        };
        Ok(Self {
            core: Arc::clone(core),
            inner: Arc::new(inner),
        })
    }

    /// A program to be run here; a name without a slash is searched on PATH and in the system directories.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Cmd {
        Cmd::new(self.clone(), program.as_ref())
    }

    /// Runs `work` on a fresh thread inside the network namespace and returns what it returns.
    ///
    /// Sockets opened by it stay in the namespace wherever they are used later. Processes started by it are not the
    /// lab's: use [`Place::command`] for those.
    ///
    /// # Errors
    /// [`LabError::Io`] where the namespace cannot be entered.
    ///
    /// # Panics
    /// As `work` does.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> LabResult<T> {
        self.inner.net.enter(work)
    }

    /// Sets a kernel setting of the network namespace, such as `net.ipv4.ip_forward`.
    ///
    /// # Errors
    /// [`LabError::Io`] where the setting is unknown or refused.
    pub fn sysctl(&self, name: &str, value: &str) -> LabResult<()> {
        self.inner.net.sysctl(&[(name, value)])
    }

    /// The words that, put before a command in another terminal of the same user, run it here.
    #[must_use]
    pub fn entry(&self) -> String {
        let net = self.inner.net.path();
        if in_user_namespace() {
            let owner = std::process::id();
            return format!(
                "nsenter --target {owner} --user --preserve-credentials --net={net} --"
            );
        }
        format!("nsenter --net={net} --")
    }

    /// The lab's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.core.dir
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn net(&self) -> &NetNs {
        &self.inner.net
    }

    /// Starts `command` here, in the lab's process-id namespace.
    pub(crate) fn start(
        &self,
        name: String,
        mut command: Command,
        stdin: Option<Vec<u8>>,
    ) -> LabResult<Process> {
        let child = self
            .inner
            .net
            .enter_to_spawn(&self.core.processes, || command.spawn())
            .map_err(LabError::io(format!("start {name}; has the lab ended?")))?;
        let process = Process::adopt(name, child, stdin)?;
        let mut running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.retain(|known| known.strong_count() > 0);
        running.push(Arc::downgrade(process.running()));
        Ok(process)
    }

    /// Kills every process started here and waits until each is collected.
    pub(crate) fn kill_all(&self) {
        let running = std::mem::take(
            &mut *self
                .inner
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for process in running.iter().filter_map(Weak::upgrade) {
            process.kill();
        }
    }
}
