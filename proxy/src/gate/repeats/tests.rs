//! Refusals at a made-up time, one flow's and a flood's.

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
    assert_eq!(repeats.note(flow(1), t0), Noted::First);
    assert_eq!(repeats.note(flow(1), t0 + QUIET / 2), Noted::Again);
    let again = repeats.note(flow(1), t0 + QUIET);
    assert_eq!(again, Noted::Again, "it was not silent");
    assert_eq!(repeats.note(flow(1), t0 + QUIET * 2), Noted::First);
    repeats.forget(&flow(1));
    assert_eq!(repeats.note(flow(1), t0 + QUIET * 2), Noted::First);
}

#[test]
fn a_flood_of_refused_flows_grows_nothing() {
    let (repeats, t0) = (Repeats::default(), Instant::now());
    for number in 0..100_000 {
        let wanted = match number < MOST {
            true => Noted::First,
            false => Noted::NoRoom,
        };
        assert_eq!(repeats.note(flow(number), t0), wanted);
    }
    assert_eq!(repeats.known().last.len(), MOST);
    // When they have been silent there is room again.
    assert_eq!(repeats.note(flow(100_000), t0 + QUIET), Noted::First);
    assert_eq!(repeats.known().last.len(), 1);
}
