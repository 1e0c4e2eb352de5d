//! The mount namespace of a node: containerd, the kubelet and the containers mount in it, and nobody else sees that.
//!
//! `/run`, `/var/lib` and `/var/log`, where these programs keep their state under fixed names, are directories of the
//! lab in there, and `/proc` shows the lab's processes only. Every mount goes with the last process inside, so no
//! unmounting is needed, however the owner ends.

use std::{fs, path::Path, time::Duration};

use crate::{Cmd, LabError, LabResult, Place, Process};

/// Bound on the start of the process that holds the namespace.
const START: Duration = Duration::from_secs(20);
/// The directories that are the lab's own inside.
const OWN: [&str; 3] = ["run", "var/lib", "var/log"];
/// Holds the namespace: mounts each directory `$1/NAME` over `/NAME`, says so and stays.
const SCRIPT: &str = r#"set -e
root="$1"; shift
for name in "$@"; do mount --bind "$root/$name" "/$name"; done
echo made
exec sleep infinity"#;

/// A running mount namespace.
#[derive(Debug)]
pub(super) struct Room {
    place: Place,
    keeper: Process,
}

impl Room {
    /// Makes it for programs that run at `place`, with the content of its directories below `dir`, which exists.
    pub(super) fn build(place: &Place, dir: &Path) -> LabResult<Self> {
        for name in OWN {
            let path = dir.join(name);
            fs::create_dir_all(&path)
                .map_err(LabError::io(format!("create {}", path.display())))?;
        }
        let keeper = place
            .command("unshare")
            .args(["--mount", "--mount-proc", "--", "sh", "-c", SCRIPT, "room"])
            .arg(dir)
            .args(OWN)
            .spawn()?;
        keeper.wait_for_line(|line| line == "made", START)?;
        Ok(Self {
            place: place.clone(),
            keeper,
        })
    }

    /// A program to be run inside.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Cmd {
        self.enter(self.place.command(program))
    }

    /// Has the command run inside.
    pub(super) fn enter(&self, command: Cmd) -> Cmd {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.keeper.pid());
        command
            .started_by("nsenter", &[namespace, "--".to_owned()])
            .env("PATH", PATH)
    }
}

/// Where the programs look for others, such as iptables, whatever the owner's PATH is.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
