//! The kernel's list of queues, and the bounds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::holder::{Held, dropped_of, named};
use super::*;

#[test]
fn the_kernels_list_says_who_holds_a_queue() {
    let list = "    7 4242     0 2   128     0     0       12  1\n15871 99 3 2 128 0 0 0 1\n";
    assert_eq!(named(list, 7), Held::By(4242));
    assert_eq!(named(list, 15871), Held::By(99));
    assert_eq!(named(list, 8), Held::ByNobody);
    assert_eq!(named("", 8), Held::ByNobody);
}

#[test]
fn the_kernels_list_says_what_a_queue_has_dropped() {
    let list = "    7 4242     0 2   128     5     6       12  1\n15871 99 3 2 128 1 20 0 1\njunk\n15872 9\n";
    assert_eq!(dropped_of(list, |number| number == 7), 11);
    assert_eq!(dropped_of(list, |number| number >= 7), 32);
    assert_eq!(dropped_of(list, |number| number == 8), 0);
}

#[test]
fn the_kernels_queue_is_at_least_four_times_as_long_as_the_hold() {
    assert!(QUEUE_LENGTH as usize >= 4 * crate::hold::HOLD_PLACES);
}
