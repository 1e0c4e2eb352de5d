//! The back ends that a test can use on this machine.

use std::fs::File;

use podwall_deploy::Backend;

/// Both back ends; without legacy, said aloud, where this user may not open its lock file. With
/// `CI` set that is a failure.
pub fn backends(test: &str) -> Vec<Backend> {
    let lock = std::env::var_os("XTABLES_LOCKFILE").unwrap_or_else(|| "/run/xtables.lock".into());
    if File::options()
        .append(true)
        .create(true)
        .open(&lock)
        .is_ok()
    {
        return Backend::ORDER.to_vec();
    }
    let why = format!("back end legacy needs a lock file; set XTABLES_LOCKFILE ({lock:?} fails)");
    assert!(std::env::var_os("CI").is_none(), "{test}: {why}");
    println!("SKIPPED: {test}: {why}");
    vec![Backend::Nft]
}
