use super::*;

/// What an idle connection costs here, beside the runtime's own 2 x 256 bytes for two sockets and
/// some 100 for the task: together they must stay well under 1.5 KiB.
#[test]
fn an_idle_connection_is_small() {
    assert!(
        size_of::<Connection>() <= 640,
        "{}",
        size_of::<Connection>()
    );
}
