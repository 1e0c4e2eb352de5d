//! Root, or root of a user namespace: one code path for both. Asks the kernel, and starts the program again if needed.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use crate::{LabError, LabResult, tools};

/// Set in the program's second life, so that it does not start itself for ever.
const MARK: &str = "PODWALL_LAB_ELEVATED";

/// Bits of the effective capability set that a lab needs: NET_ADMIN (12) and SYS_ADMIN (21).
const NEEDED: u64 = 1 << 12 | 1 << 21;

/// Whether this process may build a lab: it has CAP_SYS_ADMIN and CAP_NET_ADMIN in its user namespace.
#[must_use]
pub fn is_elevated() -> bool {
    effective_capabilities() & NEEDED == NEEDED
}

/// Returns at once where the process may build a lab; otherwise starts the same program with the same arguments as
/// root of a fresh user namespace, in this very process, and does not return.
///
/// Call it first in `main`: threads and open files of the caller are lost.
///
/// # Errors
/// [`LabError::UserNamespaces`] where the kernel refuses them to this user, [`LabError::NotPrivileged`] where the
/// second life has no privilege either, [`LabError::MissingTool`] without `unshare`.
pub fn elevate() -> LabResult<()> {
    if is_elevated() {
        return Ok(());
    }
    if env::var_os(MARK).is_some() {
        return Err(LabError::NotPrivileged);
    }
    let unshare = tools::find("unshare".as_ref())?;
    let probe = Command::new(&unshare)
        .args(["--user", "--map-root-user", "--net", "true"])
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::io("run unshare"))?;
    if !probe.status.success() {
        return Err(LabError::UserNamespaces {
            detail: refusal(&probe.stderr),
        });
    }
    let program = env::current_exe().map_err(LabError::io("read /proc/self/exe"))?;
    let failure = Command::new(unshare)
        .args(["--user", "--map-root-user", "--"])
        .arg(program)
        .args(env::args_os().skip(1))
        .env(MARK, "1")
        .exec();
    Err(LabError::io("start again by unshare")(failure))
}

/// Whether `uid` exists in this process's user namespace.
pub(crate) fn maps_uid(uid: u64) -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().any(|line| {
        let mut numbers = line
            .split_whitespace()
            .map(|word| word.parse::<u64>().unwrap_or(0));
        let first = numbers.next().unwrap_or(0);
        let count = numbers.nth(1).unwrap_or(0);
        (first..first.saturating_add(count)).contains(&uid)
    })
}

/// Whether this process lives in a user namespace other than the machine's first.
pub(crate) fn in_user_namespace() -> bool {
    !maps_uid(u64::from(u32::MAX) - 1)
}

fn effective_capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

/// What `unshare` said, with the settings that usually explain it.
fn refusal(stderr: &[u8]) -> String {
    let mut words = vec![String::from_utf8_lossy(stderr).trim().to_owned()];
    for file in [
        "/proc/sys/user/max_user_namespaces",
        "/proc/sys/kernel/unprivileged_userns_clone",
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    ] {
        if let Ok(value) = fs::read_to_string(file) {
            words.push(format!("{file} is {}", value.trim()));
        }
    }
    words.join("; ")
}
