//! Keeps the lab's processes alive exactly as long as the owner.
//!
//! The holder is process 1 of a process-id namespace and reads a pipe whose only writer is the owner. The owner's
//! end, by return, panic, Ctrl-C or SIGKILL, closes the pipe; process 1 then kills everything in its namespace,
//! removes the scratch directory and the control groups called by its name, and ends; the kernel makes sure of the
//! rest. The network namespaces are open files of the owner and of those processes, so they go too. No signal
//! handler, no destructor is needed for that.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::{LabError, LabResult, tools};

/// Process 1. `$1` is the scratch directory, `$2` its name. The first loop is for files that a dying process still
/// wrote. The control groups of containers are empty once their processes are gone, which takes the kernel a moment.
const SCRIPT: &str = r#"echo held; read -r _; kill -KILL -1 2>/dev/null
for i in 1 2 3 4 5; do rm -rf -- "$1" 2>/dev/null && break; done
for group in /sys/fs/cgroup/"$2" /sys/fs/cgroup/*/"$2"; do
  i=0
  while [ -d "$group" ] && [ $i -lt 200 ]; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    i=$((i + 1)); [ ! -d "$group" ] || sleep 0.02
  done
done"#;

/// The owner's side of the holder.
#[derive(Debug)]
pub(crate) struct Holder {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Holder {
    /// Starts it; also returns the process-id namespace that every process of the lab must enter.
    pub(crate) fn start(dir: &Path) -> LabResult<(Self, OwnedFd)> {
        let mut child = Command::new(tools::find("unshare".as_ref())?)
            .args([
                "--pid",
                "--fork",
                "--kill-child",
                "--",
                "sh",
                "-c",
                SCRIPT,
                "podwall-lab",
            ])
            .arg(dir)
            .arg(dir.file_name().unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .current_dir("/")
            .process_group(0) // A Ctrl-C at the terminal is for the owner; the holder must live to clean up.
            .spawn()
            .map_err(LabError::io("run unshare"))?;
        let pipe = child.stdin.take();
        let stdout = child.stdout.take();
        let mut holder = Self { child, pipe };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(LabError::io("read from the lab's holder"))?;
        }
        if line.trim() != "held" {
            return Err(holder.failure());
        }
        let path = format!("/proc/{}/ns/pid_for_children", holder.child.id());
        let namespace = File::open(&path).map_err(LabError::io(format!("open {path}")))?;
        Ok((holder, namespace.into()))
    }

    fn failure(&mut self) -> LabError {
        let mut stderr = String::new();
        self.pipe = None;
        if let Some(mut stream) = self.child.stderr.take() {
            let _ = stream.read_to_string(&mut stderr);
        }
        let status = self
            .child
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string());
        LabError::Tool {
            command: "unshare --pid --fork --kill-child".to_owned(),
            status,
            stderr,
        }
    }
}

impl Drop for Holder {
    /// Ends every process of the lab and returns when none is left.
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.child.wait();
    }
}
