#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use podwall_policy::flow::Protocol;

use super::*;

fn addresses(last: &[u8]) -> Touched {
    let address = |last: &u8| IpAddr::from([10, 0, 0, *last]);
    Touched::Addresses(last.iter().map(address).collect())
}

#[test]
fn changes_that_come_while_the_sweep_is_busy_are_taken_together() {
    let work = Work::new(false);
    work.touch(&addresses(&[1]));
    work.touch(&Touched::Nothing);
    work.touch(&addresses(&[2]));
    assert_eq!(work.wait(None).touched, addresses(&[1, 2]));
    work.touch(&addresses(&[1]));
    work.touch(&Touched::Everything);
    work.touch(&addresses(&[2]));
    assert_eq!(work.wait(None).touched, Touched::Everything);
    // Nothing is left, so this ends by its time.
    let due = work.wait(Some(Instant::now()));
    assert!(!due.is_something());
}

#[test]
fn with_keep_established_nothing_is_cut_and_what_was_refused_is_looked_at() {
    let work = Work::new(true);
    let flow = Tuple::new(
        Protocol::Udp,
        "10.0.0.1:1".parse().unwrap(),
        "10.0.0.2:2".parse().unwrap(),
    );
    work.cut(flow);
    assert!(!work.wait(Some(Instant::now())).is_something());
    work.touch(&Touched::Everything);
    assert_eq!(work.wait(None).touched, Touched::Everything);
}
