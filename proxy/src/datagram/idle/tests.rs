//! The kernel's files, and what is made of them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn p30_a_session_is_forgotten_before_the_kernel_forgets_its_entry() {
    let dir = std::env::temp_dir().join(format!("podwall-idle-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let with = |one_way: &str, stream: &str| {
        fs::write(dir.join("nf_conntrack_udp_timeout"), one_way).unwrap();
        fs::write(dir.join("nf_conntrack_udp_timeout_stream"), stream).unwrap();
        let IdleTimes { one_way, stream } = IdleTimes::in_directory(&dir);
        (one_way, stream)
    };
    assert_eq!(with("30\n", "120\n"), (secs(29), secs(119)));
    assert_eq!(with("5\n", "60\n"), (secs(4), secs(59)));
    assert_eq!(with("300\n", "3600\n"), (secs(29), secs(119)));
    assert_eq!(with("0\n", "junk"), (secs(1) / 2, secs(119)));
    assert_eq!(with("1\n", "2\n"), (secs(1) / 2, secs(1)));
    assert_eq!(with("20\n", "10\n"), (secs(19), secs(9)));
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(IdleTimes::in_directory(&dir), IdleTimes::default());
}
