//! The mount namespace of a node: containerd, the kubelet and the containers mount in it, and nobody else sees that.
//!
//! `/run`, `/var/lib` and `/var/log`, where these programs keep their state under fixed names, are directories of the
//! lab in there, `/proc` shows the lab's processes only, and the kernel settings that a kubelet changes are copies. Every mount goes with the last process inside, so no
//! unmounting is needed, however the owner ends. Control groups do not go by themselves: all are below one that is
//! called as the lab's directory, which the [`holder`](crate::holder) removes.

use std::{ffi::OsStr, fs, path::Path, time::Duration};

use crate::{Cmd, LabError, LabResult, Place, Process};

/// Bound on the start of the process that holds the namespace.
const START: Duration = Duration::from_secs(20);
/// The directories that are the lab's own inside.
const OWN: [&str; 3] = ["run", "var/lib", "var/log"];
/// Settings of the machine's kernel that a kubelet changes. It changes copies inside, which nothing reads but itself.
const KERNEL: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];
/// Where the programs look for others, such as iptables, whatever the owner's PATH is.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Holds the namespace: makes the control group `$2` in every hierarchy, mounts a copy over each kernel setting of
/// `$3`, and each further directory `$1/NAME` over `/NAME`, says so and stays.
///
/// A group of the first version's cpuset has no processors unless it is given some; one of the second version has the
/// controllers that its parent passes on.
const SCRIPT: &str = r#"set -e
root="$1"; group="$2"; settings="$3"; shift 3
tops=/sys/fs/cgroup
[ -e /sys/fs/cgroup/cgroup.procs ] || tops=$(echo /sys/fs/cgroup/*)
for top in $tops; do
  [ -d "$top" ] && [ ! -L "$top" ] || continue
  for controller in $(cat "$top/cgroup.controllers" 2>/dev/null); do
    echo "+$controller" > "$top/cgroup.subtree_control" || true
  done 2>/dev/null
  mkdir "$top/$group"
  [ -e "$top/cgroup.controllers" ] || for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$top/$file" ] || cat "$top/$file" > "$top/$group/$file"
  done
done
for setting in $settings; do
  [ -e "/proc/sys/$setting" ] || continue
  copy="$root/sys/$setting"
  mkdir -p "${copy%/*}"
  cat "/proc/sys/$setting" > "$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done
for name in "$@"; do mount --bind "$root/$name" "/$name"; done
echo made
exec sleep infinity"#;

/// The control group below which those of containers belong, without a slash.
pub(super) fn group(place: &Place) -> &OsStr {
    place.dir().file_name().unwrap_or_default()
}

/// Refuses a path that a directory of the lab's own covers inside.
fn is_seen_inside(path: &Path) -> LabResult<()> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let covered = OWN.iter().map(|name| Path::new("/").join(name));
    match covered.into_iter().find(|own| real.starts_with(own)) {
        Some(own) => Err(LabError::Hidden { path: real, own }),
        None => Ok(()),
    }
}

/// A running mount namespace.
#[derive(Debug)]
pub(super) struct Room {
    place: Place,
    keeper: Process,
}

impl Room {
    /// Makes it for programs that run at `place`, with the content of its directories below `dir`, which exists; and
    /// the control group [`group`]. `needed` are files that its programs read besides.
    ///
    /// # Errors
    /// [`LabError::Hidden`] where the lab's directory, or a needed file, is among what cannot be seen inside.
    pub(super) fn build(place: &Place, dir: &Path, needed: &[&Path]) -> LabResult<Self> {
        [dir]
            .iter()
            .chain(needed)
            .try_for_each(|path| is_seen_inside(path))?;
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
            .arg(KERNEL.join(" "))
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
