//! Looks at a made-up time: when each is due, and what is told of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use podwall_policy::flow::Protocol;

use super::*;

fn flow(port: u16) -> Tuple {
    let source = format!("10.0.0.7:{port}").parse().unwrap();
    Tuple::new(Protocol::Tcp, source, "10.0.0.9:80".parse().unwrap())
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn p39_a_cut_goes_on_until_two_looks_in_a_row_found_nothing() {
    let (mut cuts, t0) = (Cuts::default(), Instant::now());
    cuts.add(flow(1), t0);
    assert_eq!(cuts.take_due(t0), [flow(1)]);
    // Found and ended; then one look without; then the socket of a handshake that was under way.
    assert_eq!(cuts.report(&flow(1), false, t0), None);
    assert_eq!(cuts.take_due(t0 + 4 * MS), []);
    assert_eq!(cuts.next_due(), Some(t0 + 5 * MS));
    assert_eq!(cuts.report(&flow(1), true, t0 + 5 * MS), None);
    assert_eq!(cuts.report(&flow(1), false, t0 + 15 * MS), None);
    assert_eq!(cuts.report(&flow(1), true, t0 + 35 * MS), None);
    assert_eq!(cuts.next_due(), Some(t0 + 75 * MS), "one is not enough");
    assert_eq!(cuts.report(&flow(1), true, t0 + 75 * MS), None);
    assert_eq!(cuts.next_due(), None);
}

#[test]
fn p28_who_was_not_looked_at_yet_need_not_wait_for_second_looks() {
    let (mut cuts, t0) = (Cuts::default(), Instant::now());
    cuts.add(flow(1), t0);
    assert_eq!(cuts.take_pressing(t0), [flow(1)]);
    assert_eq!(cuts.report(&flow(1), false, t0), None);
    cuts.add(flow(2), t0);
    assert_eq!(cuts.take_pressing(t0 + 5 * MS), [flow(2)]);
    let sorted = |mut flows: Vec<Tuple>| {
        flows.sort_by_key(|tuple| tuple.source.port());
        flows
    };
    assert_eq!(sorted(cuts.take_due(t0 + 5 * MS)), [flow(1), flow(2)]);
    // But not for ever.
    assert_eq!(
        sorted(cuts.take_pressing(t0 + 505 * MS)),
        [flow(1), flow(2)]
    );
}

#[test]
fn a_cut_is_written_down_once_and_complained_about_once() {
    let (mut cuts, t0) = (Cuts::default(), Instant::now());
    cuts.add(flow(1), t0);
    assert!(cuts.announce(&flow(1)));
    cuts.add(flow(1), t0);
    assert!(!cuts.announce(&flow(1)));
    assert!(!cuts.announce(&flow(2)), "nobody cuts that one");
    assert_eq!(cuts.report(&flow(1), false, t0 + 999 * MS), None);
    assert_eq!(
        cuts.report(&flow(1), false, t0 + 1000 * MS),
        Some(1000 * MS)
    );
    assert_eq!(cuts.report(&flow(1), false, t0 + 2000 * MS), None);
    // A first look that comes late, or one that finds nothing, is no reason to complain.
    cuts.add(flow(3), t0);
    assert_eq!(cuts.report(&flow(3), false, t0 + 3000 * MS), None);
    assert_eq!(cuts.report(&flow(3), true, t0 + 4000 * MS), None);
    assert!(!cuts.done(&flow(3)), "it was not written down");
    assert!(cuts.done(&flow(1)));
    assert!(!cuts.done(&flow(1)), "there is none");
    assert_eq!(cuts.next_due(), None);
}
