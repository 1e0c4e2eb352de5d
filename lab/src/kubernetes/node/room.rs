//! The mount namespace of a node: containerd, the kubelet and the containers mount in it, and nobody else sees that.
//!
//! `/run`, `/var/lib` and `/var/log`, where these programs keep their state under fixed names, are directories of the
//! lab in there, and `/proc` shows the lab's processes only. Every mount goes with the last process inside, so no
//! unmounting is needed, however the owner ends. Control groups do not go by themselves: all are below one that is
//! called as the lab's directory, which the [`holder`](crate::holder) removes.

use std::{ffi::OsStr, fs, path::Path, time::Duration};

use crate::{Cmd, LabError, LabResult, Place, Process};

/// Bound on the start of the process that holds the namespace.
const START: Duration = Duration::from_secs(20);
/// The directories that are the lab's own inside.
const OWN: [&str; 3] = ["run", "var/lib", "var/log"];
/// Holds the namespace: makes the control group `$2` in every hierarchy, mounts each further directory `$1/NAME` over
/// `/NAME`, says so and stays. A group of the first version's cpuset has no processors unless it is given some.
const SCRIPT: &str = r#"set -e
root="$1"; group="$2"; shift 2
tops=/sys/fs/cgroup
[ -e /sys/fs/cgroup/cgroup.procs ] || tops=$(echo /sys/fs/cgroup/*)
for top in $tops; do
  [ -d "$top" ] && [ ! -L "$top" ] || continue
  mkdir "$top/$group"
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$top/$file" ] || cat "$top/$file" > "$top/$group/$file"
  done
done
for name in "$@"; do mount --bind "$root/$name" "/$name"; done
echo made
exec sleep infinity"#;

/// The control group below which those of containers belong, without a slash.
pub(super) fn group(place: &Place) -> &OsStr {
    place.dir().file_name().unwrap_or_default()
}

/// A running mount namespace.
#[derive(Debug)]
pub(super) struct Room {
    place: Place,
    keeper: Process,
}

impl Room {
    /// Makes it for programs that run at `place`, with the content of its directories below `dir`, which exists; and
    /// the control group [`group`].
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
            .arg(group(place))
            .args(OWN)
            .spawn()?;
        keeper.wait_for_line(|line| line == "made", START)?;
        Ok(Self {
            place: place.clone(),
            keeper,
        })
    }

    /// A program to be run inside.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Cmd {
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
