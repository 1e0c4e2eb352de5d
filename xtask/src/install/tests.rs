#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("podwall-xtask-{}-{name}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn services_are_kept_from_starting_only_meanwhile() {
    let dir = scratch("meanwhile");
    let policy = dir.join("policy-rc.d");
    let guard = NoStart::set(&policy).unwrap();
    // By way of sh: a file just written may be busy for exec while another test forks.
    let said = Command::new("sh").arg(&policy).status().unwrap();
    assert_eq!(
        said.code(),
        Some(101),
        "what Debian reads as: start nothing"
    );
    let mode = fs::metadata(&policy).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "executable");
    drop(guard);
    assert!(!policy.exists());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_policy_of_the_machine_is_left_alone() {
    let dir = scratch("left-alone");
    let policy = dir.join("policy-rc.d");
    fs::write(&policy, "theirs").unwrap();
    drop(NoStart::set(&policy).unwrap());
    assert_eq!(fs::read_to_string(&policy).unwrap(), "theirs");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_policy_that_a_killed_run_left_is_taken_away() {
    let dir = scratch("killed");
    let policy = dir.join("policy-rc.d");
    std::mem::forget(NoStart::set(&policy).unwrap());
    drop(NoStart::set(&policy).unwrap());
    assert!(!policy.exists());
    fs::remove_dir_all(dir).unwrap();
}

/// A fresh machine has no package lists, so a line that only installs would find nothing.
#[test]
fn the_printed_line_also_fetches_the_lists_and_says_sudo_to_a_plain_user() {
    let packages = ["curl", "iproute2"];
    assert_eq!(
        line(&packages, true),
        "apt-get update && apt-get install -y --no-install-recommends curl iproute2"
    );
    assert_eq!(
        line(&packages, false),
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends curl iproute2"
    );
}
