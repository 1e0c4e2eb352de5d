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
        assert_eq!(retry.failed(touched, now), wait * MS);
        assert_eq!(retry.next_due(), Some(now + wait * MS));
        let mut due = Touched::Nothing;
        retry.join(&mut due, now + (wait - 1) * MS);
        assert_eq!(due, Touched::Nothing, "too early");
        now += wait * MS;
        retry.join(&mut due, now);
        assert_eq!(due, from(1));
        touched = due;
    }
    retry.succeeded();
    assert_eq!(retry.next_due(), None);
    assert_eq!(retry.failed(from(2), now), 100 * MS);
}

#[test]
fn what_failed_goes_along_with_what_comes_next() {
    let (mut retry, now) = (Retry::default(), Instant::now());
    retry.failed(from(1), now);
    let mut due = from(2);
    retry.join(&mut due, now);
    let mut both = from(1);
    both.add(&from(2));
    assert_eq!(due, both);
    // That failed too.
    assert_eq!(retry.failed(due, now), 200 * MS);
    let mut due = Touched::Nothing;
    retry.join(&mut due, now + 200 * MS);
    assert_eq!(due, both);
}
