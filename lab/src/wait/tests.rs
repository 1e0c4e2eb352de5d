//! The condition is asked at least once, and its truth ends the waiting.

use std::time::{Duration, Instant};

use super::wait_until;

#[test]
fn waits_until_the_condition_holds() {
    let mut asked = 0;
    assert!(wait_until(Duration::from_secs(60), || {
        asked += 1;
        asked == 3
    }));
    assert_eq!(asked, 3);
}

#[test]
fn gives_up_at_the_deadline() {
    let start = Instant::now();
    assert!(!wait_until(Duration::from_millis(10), || false));
    assert!(start.elapsed() >= Duration::from_millis(10));
    assert!(wait_until(Duration::ZERO, || true));
}
