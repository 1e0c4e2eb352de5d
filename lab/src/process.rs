//! A running process of a pod: its output while it runs, its signals, its end. It never outlives its pod or the lab.

use std::{
    fmt,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{Child, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};

use crate::{LabError, LabResult};

/// How long a drop waits for a killed process to be collected.
const COLLECT: Duration = Duration::from_secs(5);

/// A process that was started in a pod or on the node.
///
/// Dropping it kills the process, and its process group, and waits for its end; [`Process::keep`] leaves it to the
/// pod. Its whole group is killed when its first process ends.
#[derive(Debug)]
pub struct Process {
    running: Arc<Running>,
    keep: bool,
}

/// What the collecting threads and the handle share.
pub(crate) struct Running {
    name: String,
    pid: u32,
    pidfd: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Streams that may still bring bytes.
    open: u8,
    status: Option<ExitStatus>,
}

#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl Process {
    /// Takes over a child just started, as leader of its own process group: reads its output and collects it.
    pub(crate) fn adopt(name: String, mut child: Child, stdin: Option<Vec<u8>>) -> LabResult<Self> {
        let pid = child.id();
        let pidfd = raw(pid)
            .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?))
            .map_err(LabError::io(format!("open process {pid} ({name})")))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let open = u8::from(stdout.is_some()) + u8::from(stderr.is_some());
        let state = Mutex::new(State {
            open,
            ..State::default()
        });
        let running = Arc::new(Running {
            name,
            pid,
            pidfd,
            state,
            changed: Condvar::new(),
        });
        if let Some(stream) = stdout {
            running.read_from(stream, Stream::Stdout);
        }
        if let Some(stream) = stderr {
            running.read_from(stream, Stream::Stderr);
        }
        if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
            // A process that does not read its input is not an error of the lab.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let collector = Arc::clone(&running);
        thread::spawn(move || collector.collect(child));
        Ok(Self {
            running,
            keep: false,
        })
    }

    /// Its process id, as the owner of the lab sees it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid
    }

    /// What it printed on stdout until now, then what it printed on stderr.
    #[must_use]
    pub fn output_so_far(&self) -> String {
        self.running.lock().text()
    }

    /// What it printed on stdout until now.
    #[must_use]
    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&self.running.lock().stdout).into_owned()
    }

    /// What it printed on stderr until now.
    #[must_use]
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.running.lock().stderr).into_owned()
    }

    /// How it ended, or none while it runs.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.running.lock().status
    }

    /// Waits for a whole line, of stdout or stderr, for which `wanted` holds, and returns it. Lines already printed
    /// count.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after `deadline`, [`LabError::Ended`] where the process ended without it; both carry
    /// the output.
    pub fn wait_for_line(
        &self,
        wanted: impl Fn(&str) -> bool,
        deadline: Duration,
    ) -> LabResult<String> {
        let mut seen = (0, 0);
        let mut found = None;
        let state = self.running.wait_while(deadline, |state| {
            found = next_line(&state.stdout, &mut seen.0, &wanted)
                .or_else(|| next_line(&state.stderr, &mut seen.1, &wanted));
            found.is_none() && !state.is_over()
        });
        match (found, state.status) {
            (Some(line), _) => Ok(line),
            (None, Some(status)) => Err(self.ended(status, &state)),
            (None, None) => Err(self.timeout("the awaited line", deadline, &state)),
        }
    }

    /// Sends it a signal; a process that has ended already is left in peace.
    ///
    /// # Errors
    /// [`LabError::Io`] where the kernel refuses.
    pub fn signal(&self, signal: Signal) -> LabResult<()> {
        match pidfd_send_signal(self.running.pidfd.as_fd(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(LabError::io(format!("signal {}", self.running.name))(
                errno.into(),
            )),
        }
    }

    /// Waits for its end and for the end of its output.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after `deadline`; the process goes on then.
    pub fn wait(&self, deadline: Duration) -> LabResult<ExitStatus> {
        let state = self.running.wait_while(deadline, |state| !state.is_over());
        state
            .status
            .ok_or_else(|| self.timeout("its end", deadline, &state))
    }

    /// Lets the process run on when this handle is dropped, until its pod or the lab ends.
    pub fn keep(mut self) {
        self.keep = true;
    }

    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    fn ended(&self, status: ExitStatus, state: &State) -> LabError {
        LabError::Ended {
            process: self.running.name.clone(),
            status: status.to_string(),
            what: "the awaited line".to_owned(),
            output: state.text(),
        }
    }

    fn timeout(&self, what: &str, after: Duration, state: &State) -> LabError {
        LabError::Timeout {
            what: format!("{} ({}): {what}", self.running.name, self.running.pid),
            after,
            output: state.text(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.keep {
            self.running.kill();
        }
    }
}

impl Running {
    /// Kills its group and waits until it is collected.
    pub(crate) fn kill(&self) {
        if self.lock().status.is_none() {
            // The pid cannot belong to another: the process is not collected before its status is set.
            let _ = pidfd_send_signal(self.pidfd.as_fd(), Signal::KILL);
        }
        drop(self.wait_while(COLLECT, |state| state.status.is_none()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the state at the first change after which `pending` is false, or at the deadline.
    fn wait_while(
        &self,
        deadline: Duration,
        mut pending: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'_, State> {
        let end = Instant::now() + deadline;
        let mut state = self.lock();
        while pending(&mut state) {
            let Some(left) = end
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
            else {
                break;
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn read_from(self: &Arc<Self>, mut from: impl Read + Send + 'static, stream: Stream) {
        let running = Arc::clone(self);
        thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut chunk) {
                running.update(|state| state.stream(stream).extend_from_slice(&chunk[..count]));
            }
            running.update(|state| state.open -= 1);
        });
    }

    /// Waits for the end, kills what is left of the group while its number is still ours, and collects.
    fn collect(&self, mut child: Child) {
        let end = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(
            waitid(WaitId::PidFd(self.pidfd.as_fd()), end),
            Err(rustix::io::Errno::INTR)
        ) {}
        if let Ok(group) = raw(self.pid) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = child
            .wait()
            .unwrap_or_else(|_| ExitStatus::from_raw(0xff00));
        self.update(|state| state.status = Some(status));
    }
}

impl State {
    fn stream(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn is_over(&self) -> bool {
        self.status.is_some() && self.open == 0
    }

    fn text(&self) -> String {
        [&self.stdout, &self.stderr]
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .concat()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.name, self.pid)
    }
}

fn raw(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// The first whole line from `seen` on that is wanted; moves `seen` past what was looked at.
fn next_line(bytes: &[u8], seen: &mut usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
    while let Some(length) = bytes[*seen..].iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&bytes[*seen..*seen + length]).into_owned();
        *seen += length + 1;
        if wanted(&line) {
            return Some(line);
        }
    }
    None
}
