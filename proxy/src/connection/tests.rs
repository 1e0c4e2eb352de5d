use super::*;

/// What an idle connection costs here, its boxes apart. The runtime adds some 110 bytes for the task
/// and 256 for each of two sockets; together they stay under 1.5 KiB.
#[test]
fn an_idle_connection_is_small() {
    let bytes = size_of::<Connection>();
    assert!(bytes <= 264, "{bytes}");
}
