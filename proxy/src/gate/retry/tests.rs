//! Failures at a made-up time, and when each is due again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use super::*;

fn from(last: u8) -> Touched {
    Touched::Addresses([IpAddr::from([10, 0, 0, last])].into())
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn what_failed_is_done_again_ever_later_until_it_goes_well() {
    let (mut retry, mut now) = (Retry::default(), Instant::now());
    assert_eq!(retry.next_due(), None);
    let mut touched = from(1);
    for wait in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
        retry.failed(&touched, now);
        assert_eq!(retry.next_due(), Some(now + wait * MS));
        assert_eq!(
            retry.take_due(now + (wait - 1) * MS),
            Touched::Nothing,
            "too early"
        );
        now += wait * MS;
        touched = retry.take_due(now);
        assert_eq!(touched, from(1));
        assert_eq!(retry.next_due(), None);
    }
    assert!(retry.succeeded());
    retry.failed(&from(2), now);
    assert_eq!(retry.next_due(), Some(now + 100 * MS));
}

#[test]
fn what_fails_meanwhile_goes_along_and_what_goes_well_ends_no_wait() {
    let (mut retry, now) = (Retry::default(), Instant::now());
    retry.failed(&from(1), now);
    retry.failed(&from(2), now + 50 * MS);
    assert_eq!(retry.next_due(), Some(now + 100 * MS), "as before");
    assert!(!retry.succeeded(), "that was something else");
    let mut both = from(1);
    both.add(&from(2));
    assert_eq!(retry.take_due(now + 100 * MS), both);
    retry.failed(&both, now + 100 * MS);
    assert_eq!(retry.next_due(), Some(now + 300 * MS));
    retry.forget();
    assert_eq!(retry.next_due(), None);
    assert_eq!(retry.take_due(now + 300 * MS), Touched::Nothing);
}
