#![allow(clippy::unwrap_used, clippy::expect_used)]

use podwall_policy::flow::Protocol;

use super::*;

fn flow(number: usize) -> Tuple {
    let port = u16::try_from(number % 60_000).unwrap() + 1;
    let host = number / 60_000 + 1;
    let source = format!("10.0.0.{host}:{port}").parse().unwrap();
    Tuple::new(Protocol::Udp, source, "10.0.9.9:53".parse().unwrap())
}

#[test]
fn a_refused_flow_gets_one_line_until_it_has_been_silent() {
    let (repeats, t0) = (Repeats::default(), Instant::now());
    assert!(!repeats.is_repeat(flow(1), t0));
    assert!(repeats.is_repeat(flow(1), t0 + QUIET / 2));
    assert!(repeats.is_repeat(flow(1), t0 + QUIET), "it was not silent");
    assert!(!repeats.is_repeat(flow(1), t0 + QUIET * 2));
    repeats.forget(&flow(1));
    assert!(!repeats.is_repeat(flow(1), t0 + QUIET * 2));
}

#[test]
fn what_a_flow_that_was_cut_goes_on_sending_gets_no_line() {
    let (repeats, t0) = (Repeats::default(), Instant::now());
    repeats.note(flow(1), t0);
    assert!(repeats.is_repeat(flow(1), t0 + QUIET / 2));
    repeats.note(flow(1), t0 + QUIET);
    assert!(repeats.is_repeat(flow(1), t0 + QUIET * 3 / 2), "noted anew");
    assert!(!repeats.is_repeat(flow(2), t0));
}

#[test]
fn a_flood_of_refused_flows_grows_nothing() {
    let (repeats, t0) = (Repeats::default(), Instant::now());
    for number in 0..100_000 {
        assert!(!repeats.is_repeat(flow(number), t0));
    }
    assert_eq!(repeats.known().last.len(), MOST);
    // When they have been silent there is room again.
    assert!(!repeats.is_repeat(flow(100_000), t0 + QUIET));
    assert_eq!(repeats.known().last.len(), 1);
}
