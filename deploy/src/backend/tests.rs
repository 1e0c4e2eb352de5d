#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn what_the_programs_say_is_understood() {
    let rows = [
        (
            "iptables-nft-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission \
          denied (you must be root)",
            Obstacle::Privilege,
        ),
        (
            "iptables-save v1.8.9 (legacy): Cannot initialize: Permission denied",
            Obstacle::Privilege,
        ),
        (
            "iptables-nft-restore: line 2 failed: Operation not permitted.",
            Obstacle::Privilege,
        ),
        (
            "Fatal: can't open lock file /run/xtables.lock: Permission denied",
            Obstacle::Lock,
        ),
        (
            "Fatal: can't open lock file /run/xtables.lock: Read-only file system",
            Obstacle::Lock,
        ),
        (
            "Another app is currently holding the xtables lock; still 1s",
            Obstacle::Lock,
        ),
        (
            "iptables-restore: line 3 failed: No chain/target/match by that name.",
            Obstacle::Other,
        ),
    ];
    for (message, expected) in rows {
        assert_eq!(obstacle(message), expected, "{message}");
    }
}

#[test]
fn every_mend_names_what_is_missing() {
    for (obstacle, word) in [
        (Obstacle::Missing, "`iptables`"),
        (Obstacle::Privilege, "NET_ADMIN"),
        (Obstacle::Privilege, "NET_RAW"),
        (Obstacle::Lock, "/run/xtables.lock"),
        (Obstacle::Lock, "XTABLES_LOCKFILE"),
        (Obstacle::Lock, "NET_RAW"),
    ] {
        assert!(obstacle.mend().contains(word), "{obstacle:?}: {word}");
    }
}

#[test]
fn programs_are_found_beside_path_and_only_if_executable() {
    assert_eq!(look_up_in(OsStr::new(""), "podwall-no-such-program"), None);
    assert_eq!(
        look_up_in(OsStr::new("relative:"), "podwall-no-such-program"),
        None
    );
    let shell = look_up_in(OsStr::new("/nowhere:/bin"), "sh").unwrap();
    assert_eq!(shell, Path::new("/bin/sh"));
    assert_eq!(
        look_up_in(OsStr::new("/etc"), "passwd"),
        None,
        "a file that cannot be run"
    );
}
