//! What is said at start.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn a_queue_with_room_for_less_than_four_times_the_hold_is_told() {
    assert_eq!(shortage(7, 4 * HOLD_PLACES), None);
    // The usual limit, of which the kernel grants twice as much.
    let said = shortage(15871, 2 * 212_992 / PACKET_COST).unwrap();
    for words in ["queue 15871", "some 416 packets", "rmem_max", "1048576"] {
        assert!(said.contains(words), "no {words}: {said}");
    }
}
