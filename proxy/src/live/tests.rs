#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::task::Wake;

use podwall_policy::flow::{Direction, Protocol};

use super::*;

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn source(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn flow(from: IpAddr) -> Flow {
    Flow::between(Direction::Ingress, Protocol::Tcp, from, source(200), 80).unwrap()
}

fn seat(live: &Arc<Live>, from: IpAddr) -> Seat {
    let mut seat = live.enter().unwrap();
    seat.register(from, flow(from));
    seat
}

fn poll(seat: &Seat, bell: &Arc<Bell>) -> Poll<Signal> {
    seat.poll_signal(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

#[test]
fn p28_only_those_whose_verdict_turned_are_woken() {
    let live = Live::new(8, false);
    let (one, other) = (seat(&live, source(1)), seat(&live, source(2)));
    let (bell, silent) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    assert!(poll(&one, &bell).is_pending());
    assert!(poll(&other, &silent).is_pending());

    let woken = live.rejudge_by(&Touched::Everything, |from, _| from == source(2));
    assert_eq!(woken, 1);
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    assert_eq!(silent.0.load(Ordering::SeqCst), 0);
    assert_eq!(poll(&one, &bell), Poll::Ready(Signal::JudgeAgain));
    assert!(poll(&one, &bell).is_pending(), "a signal is given once");
    assert!(poll(&other, &silent).is_pending());
}

#[test]
fn p28_a_change_of_addresses_asks_for_those_addresses_only() {
    let live = Live::new(8, false);
    let _seats = [
        seat(&live, source(1)),
        seat(&live, source(1)),
        seat(&live, source(2)),
    ];
    let touched = Touched::Addresses(HashSet::from([source(1), source(9)]));
    assert_eq!(live.rejudge_by(&touched, |_, _| false), 2);
    assert_eq!(live.rejudge_by(&Touched::Nothing, |_, _| false), 0);
}

#[test]
fn p29_a_signal_before_the_first_poll_is_not_lost() {
    let live = Live::new(8, false);
    let seat = seat(&live, source(1));
    live.rejudge_by(&Touched::Everything, |_, _| false);
    let bell = Arc::new(Bell::default());
    assert_eq!(poll(&seat, &bell), Poll::Ready(Signal::JudgeAgain));
}

#[test]
fn keep_established_wakes_nobody() {
    let live = Live::new(8, true);
    let _seat = seat(&live, source(1));
    assert_eq!(live.rejudge_by(&Touched::Everything, |_, _| false), 0);
}

#[test]
fn p17_capacity_is_given_back() {
    let live = Live::new(2, false);
    let first = live.enter().unwrap();
    let second = seat(&live, source(1));
    assert!(live.enter().is_none());
    drop(first);
    let third = live.enter();
    assert!(third.is_some());
    drop((second, third));
    assert_eq!(live.open(), 0);
    assert!(live.by_source.is_empty());
}

#[test]
fn connections_leave_in_any_order() {
    let live = Live::new(64, false);
    let mut seats: Vec<_> = (0..32).map(|_| seat(&live, source(1))).collect();
    // Every third, then from both ends: each removal moves another entry.
    let mut order = 0;
    while !seats.is_empty() {
        order += 3;
        drop(seats.swap_remove(order % seats.len()));
        let found = live.rejudge_by(&Touched::Everything, |_, _| false);
        assert_eq!(found, seats.len());
        let bell = Arc::new(Bell::default());
        assert!(seats.iter().all(|seat| poll(seat, &bell).is_ready()));
    }
}

#[tokio::test]
async fn stop_reaches_those_that_are_there_and_those_that_come() {
    let live = Live::new(8, false);
    let early = seat(&live, source(1));
    live.stop();
    let late = seat(&live, source(2));
    assert_eq!(early.signal().await, Signal::Stop);
    assert_eq!(late.signal().await, Signal::Stop);
    assert_eq!(late.signal().await, Signal::Stop, "it stays");
    let empty = tokio::spawn({
        let live = Arc::clone(&live);
        async move { live.emptied().await }
    });
    drop((early, late));
    empty.await.unwrap();
}
