//! Whose story is kept, and whose is taken.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use podwall_policy::flow::Protocol;

use super::*;
use crate::ruling::Refusal;

fn flow(port: u16) -> Tuple {
    let source = format!("10.0.0.7:{port}").parse().unwrap();
    Tuple::new(Protocol::Tcp, source, "10.0.0.9:80".parse().unwrap())
}

fn story(at: Instant) -> Story {
    Story {
        time: SystemTime::UNIX_EPOCH,
        at,
        held: Duration::ZERO,
        ruling: Refusal::Draining.into(),
        _live: None,
    }
}

#[test]
fn a_known_flow_keeps_its_story_and_a_full_table_gives_the_new_one_back() {
    let (flows, t0) = (Flows::new(2), Instant::now());
    let later = t0 + Duration::from_secs(1);
    assert!(flows.remember(flow(1), story(t0)).is_none());
    assert!(flows.remember(flow(1), story(later)).is_none());
    assert!(flows.remember(flow(2), story(t0)).is_none());
    assert_eq!(flows.remember(flow(3), story(later)).unwrap().at, later);
    assert_eq!(flows.len(), 2);
    assert_eq!(flows.take(&flow(1)).unwrap().at, t0);
    assert!(
        flows.take(&flow(1)).is_none(),
        "whoever takes it writes it down"
    );
}

#[test]
fn the_story_of_a_successor_is_left_alone() {
    let (flows, t0) = (Flows::new(8), Instant::now());
    assert!(flows.remember(flow(1), story(t0)).is_none());
    assert!(flows.take_older(&flow(1), t0).is_none());
    assert!(flows.take_older(&flow(2), t0).is_none());
    let later = t0 + Duration::from_secs(1);
    assert!(flows.take_older(&flow(1), later).is_some());
    assert_eq!(flows.len(), 0);
}

#[test]
fn only_old_flows_are_taken_for_over() {
    let (flows, t0) = (Flows::new(8), Instant::now());
    let later = t0 + Duration::from_secs(1);
    for (port, at) in [(1, t0), (2, t0), (3, later)] {
        assert!(flows.remember(flow(port), story(at)).is_none());
    }
    let over = flows.take_where(later, |tuple| *tuple != flow(2));
    assert_eq!(over.len(), 1);
    assert_eq!(over[0].0, flow(1));
    assert_eq!(flows.take_all().len(), 2);
    assert_eq!(flows.len(), 0);
}

#[tokio::test]
async fn whoever_waits_for_the_last_flow_hears_of_it() {
    let flows = Flows::new(8);
    assert!(flows.remember(flow(1), story(Instant::now())).is_none());
    let ((), taken) = tokio::join!(flows.emptied(), async { flows.take(&flow(1)) });
    assert!(taken.is_some());
}
