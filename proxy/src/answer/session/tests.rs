//! The table, with time moved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

mod plain;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits() -> Limits {
    Limits {
        sessions: 4,
        sessions_per_source: 3,
        denials: 3,
        denials_per_source: 2,
        wait: Duration::from_millis(900),
        one_way_idle: ONE_WAY_IDLE,
        stream_idle: STREAM_IDLE,
    }
}

fn flow(client: &str) -> FlowKey {
    FlowKey {
        client: client.parse::<std::net::SocketAddr>().unwrap().into(),
        to: "10.0.0.1:53"
            .parse::<std::net::SocketAddr>()
            .unwrap()
            .into(),
    }
}

/// A table of names.
struct Bench {
    table: SessionTable<&'static str>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self {
            table: SessionTable::new(limits()),
            now: Instant::now(),
        }
    }

    fn after(&mut self, time: Duration) {
        self.now += time;
    }

    fn datagram(&mut self, client: &'static str, generation: u64) -> (SessionId, Seen) {
        self.table
            .on_datagram(flow(client), generation, self.now, || client)
    }

    /// Lets a new flow in; gives who had to go.
    fn admit(&mut self, client: &'static str) -> (SessionId, Option<&'static str>) {
        let (id, seen) = self.datagram(client, 1);
        assert_eq!(seen, Seen::First, "{client}");
        let evicted = self.table.admit(id, 1, self.now);
        (id, evicted.map(|(_, name)| name))
    }

    fn deny(&mut self, client: &'static str) -> SessionId {
        let (id, _) = self.datagram(client, 1);
        self.table.deny(id, 1, self.now);
        id
    }

    /// The names of the sessions that are over by now.
    fn idle(&mut self) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Some(due) = self.table.expire(self.now) {
            match due {
                Due::Idle(_, name) => names.push(name),
                Due::Undecided(id) => panic!("{id:?} waits"),
            }
        }
        names
    }
}

#[test]
fn p29_a_flow_is_entered_before_it_is_judged_and_waits_until_it_is() {
    let mut bench = Bench::new();
    let (id, seen) = bench.datagram("10.0.0.7:1000", 1);
    assert_eq!(seen, Seen::First);
    assert_eq!(bench.table.standing(id), Some(Standing::Waiting));
    assert_eq!(
        bench.datagram("10.0.0.7:1000", 1),
        (id, Seen::Known(Standing::Waiting))
    );
    // A change in between is seen by whoever asks again.
    assert_eq!(
        bench.datagram("10.0.0.7:1000", 2),
        (id, Seen::JudgeAgain(Standing::Waiting))
    );
    assert_eq!(bench.table.count(Standing::Waiting), 1);
}

#[test]
fn p28_a_new_generation_makes_a_known_flow_ask_again() {
    let mut bench = Bench::new();
    let (id, _) = bench.admit("10.0.0.7:1000");
    bench.after(secs(29));
    assert_eq!(
        bench.datagram("10.0.0.7:1000", 1).1,
        Seen::Known(Standing::Admitted)
    );
    bench.after(secs(1));
    let again = Seen::JudgeAgain(Standing::Admitted);
    assert_eq!(bench.datagram("10.0.0.7:1000", 2).1, again);
    assert_eq!(
        bench.datagram("10.0.0.7:1000", 2).1,
        again,
        "not judged yet"
    );
    bench.table.stamp(id, 2);
    assert_eq!(
        bench.datagram("10.0.0.7:1000", 2).1,
        Seen::Known(Standing::Admitted)
    );
    assert_eq!(bench.table.next_expiry(), Some(bench.now + secs(30)));
    bench.after(secs(30));
    assert_eq!(bench.idle(), ["10.0.0.7:1000"]);
    assert_eq!(bench.datagram("10.0.0.7:1000", 2).1, Seen::First);
}

#[test]
fn p30_a_session_is_forgotten_no_later_than_the_kernel_forgets() {
    // One way: 30 s after the last datagram.
    let mut bench = Bench::new();
    bench.admit("10.0.0.7:1000");
    bench.after(secs(30) - Duration::from_nanos(1));
    assert!(bench.idle().is_empty());
    bench.after(Duration::from_nanos(1));
    assert_eq!(bench.idle(), ["10.0.0.7:1000"]);

    // A question and its answer: the same, counted from the answer.
    let (id, _) = bench.admit("10.0.0.7:1000");
    bench.after(secs(1));
    bench.table.on_reply(id, bench.now);
    assert_eq!(bench.table.next_expiry(), Some(bench.now + secs(30)));

    // An answer that came late is still no stream; what comes after it is.
    let (id, _) = bench.admit("10.0.0.7:2000");
    bench.after(secs(3));
    bench.table.on_reply(id, bench.now);
    bench.after(secs(29));
    assert_eq!(bench.idle(), ["10.0.0.7:1000"]);
    bench.datagram("10.0.0.7:2000", 1);
    bench.after(secs(119));
    assert!(bench.idle().is_empty());
    assert_eq!(bench.table.next_expiry(), Some(bench.now + secs(1)));
    bench.table.on_reply(id, bench.now);
    bench.after(secs(120));
    assert_eq!(bench.idle(), ["10.0.0.7:2000"]);
    assert_eq!(bench.table.next_expiry(), None);
}

/// The kernel knows nothing of the wait: its time runs from the last datagram, in whatever order the answers come.
#[test]
fn p30_who_has_waited_is_forgotten_counted_from_its_last_datagram() {
    let mut bench = Bench::new();
    let begun = bench.now;
    let millis = Duration::from_millis;
    let (first, _) = bench.datagram("10.0.0.1:1", 1);
    bench.after(millis(100));
    bench.datagram("10.0.0.1:1", 1);
    bench.after(millis(200));
    let (second, _) = bench.datagram("10.0.0.2:1", 1);
    bench.after(millis(200));
    bench.admit("10.0.0.3:1");
    bench.after(millis(300));
    for id in [second, first] {
        bench.table.admit(id, 1, bench.now);
    }
    for (last, client) in [
        (100, "10.0.0.1:1"),
        (300, "10.0.0.2:1"),
        (500, "10.0.0.3:1"),
    ] {
        let due = begun + millis(last) + ONE_WAY_IDLE;
        assert_eq!(bench.table.next_expiry(), Some(due), "{client}");
        bench.now = due;
        assert_eq!(bench.idle(), [client]);
    }
}

#[test]
fn a_session_that_nobody_has_answered_for_long_is_no_stream() {
    let mut bench = Bench::new();
    bench.admit("10.0.0.7:1000");
    for _ in 0..5 {
        bench.after(secs(29));
        assert!(bench.idle().is_empty());
        bench.datagram("10.0.0.7:1000", 1);
    }
    assert_eq!(bench.table.next_expiry(), Some(bench.now + secs(30)));
}

#[test]
fn a_denial_is_remembered_for_its_time_however_much_is_sent() {
    let mut bench = Bench::new();
    bench.deny("10.0.0.7:1000");
    for _ in 0..29 {
        bench.after(secs(1));
        assert!(bench.idle().is_empty());
        assert_eq!(
            bench.datagram("10.0.0.7:1000", 1).1,
            Seen::Known(Standing::Denied)
        );
    }
    bench.after(secs(1));
    assert!(bench.idle().is_empty());
    assert_eq!(bench.datagram("10.0.0.7:1000", 1).1, Seen::First);
}

#[test]
fn who_waits_becomes_due_once_and_stays_until_it_is_settled() {
    let mut bench = Bench::new();
    let (id, _) = bench.datagram("10.0.0.7:1000", 1);
    bench.after(Duration::from_millis(899));
    bench.datagram("10.0.0.7:1000", 1);
    assert_eq!(bench.table.expire(bench.now), None);
    bench.after(Duration::from_millis(1));
    assert_eq!(bench.table.next_expiry(), Some(bench.now));
    assert_eq!(bench.table.expire(bench.now), Some(Due::Undecided(id)));
    assert_eq!(bench.table.expire(bench.now), None);
    assert_eq!(bench.table.standing(id), Some(Standing::Waiting));
    bench.table.deny(id, 1, bench.now);
    assert_eq!(bench.table.next_expiry(), Some(bench.now + DENIAL_MEMORY));
}

#[test]
fn the_least_recently_used_makes_room() {
    let mut bench = Bench::new();
    let (first, _) = bench.admit("10.0.0.1:1");
    for client in ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"] {
        bench.after(secs(1));
        assert_eq!(bench.admit(client).1, None);
    }
    bench.after(secs(1));
    // An answer is a use, and so is a question.
    bench.table.on_reply(first, bench.now);
    assert_eq!(bench.admit("10.0.0.5:1").1, Some("10.0.0.2:1"));
    bench.datagram("10.0.0.3:1", 1);
    assert_eq!(bench.admit("10.0.0.6:1").1, Some("10.0.0.4:1"));
    assert_eq!(bench.table.count(Standing::Admitted), 4);
    assert_eq!(bench.datagram("10.0.0.2:1", 1).1, Seen::First);
}

#[test]
fn one_source_makes_room_for_itself_only() {
    let mut bench = Bench::new();
    bench.admit("10.0.0.1:1");
    for client in ["10.0.0.2:1", "10.0.0.2:2", "10.0.0.2:3"] {
        bench.after(secs(1));
        assert_eq!(bench.admit(client).1, None);
    }
    assert_eq!(bench.admit("10.0.0.2:4").1, Some("10.0.0.2:1"));
    assert_eq!(bench.admit("10.0.0.2:5").1, Some("10.0.0.2:2"));
    let source: IpAddr = "10.0.0.2".parse().unwrap();
    assert_eq!(bench.table.admitted_from(source).count(), 3);
    assert_eq!(bench.table.count(Standing::Admitted), 4);
}

#[test]
fn denials_take_no_place_of_a_session() {
    let mut bench = Bench::new();
    let (id, _) = bench.admit("10.0.0.1:1");
    for client in [
        "10.0.0.1:2",
        "10.0.0.1:3",
        "10.0.0.1:4",
        "10.0.0.2:1",
        "10.0.0.3:1",
    ] {
        bench.after(secs(1));
        bench.deny(client);
    }
    assert_eq!(bench.table.standing(id), Some(Standing::Admitted));
    // Two of one source, three of all.
    assert_eq!(bench.table.count(Standing::Denied), 3);
    let remembered = |bench: &mut Bench, client| bench.datagram(client, 1).1 != Seen::First;
    for (client, is_remembered) in [
        ("10.0.0.1:2", false),
        ("10.0.0.1:3", false),
        ("10.0.0.1:4", true),
        ("10.0.0.2:1", true),
        ("10.0.0.3:1", true),
    ] {
        assert_eq!(remembered(&mut bench, client), is_remembered, "{client}");
    }
}

#[test]
fn what_was_denied_may_be_let_in_and_the_other_way_round() {
    let mut bench = Bench::new();
    let id = bench.deny("10.0.0.1:1");
    bench.after(secs(20));
    assert_eq!(bench.table.admit(id, 2, bench.now), None);
    assert_eq!(bench.table.count(Standing::Denied), 0);
    assert_eq!(bench.table.next_expiry(), Some(bench.now + secs(30)));
    bench.after(secs(20));
    bench.table.deny(id, 3, bench.now);
    assert_eq!(bench.table.count(Standing::Admitted), 0);
    let source: IpAddr = "10.0.0.1".parse().unwrap();
    assert_eq!(bench.table.admitted_from(source).count(), 0);
    bench.after(DENIAL_MEMORY);
    assert_eq!(bench.table.expire(bench.now), None);
    assert_eq!(bench.table.standing(id), None);
}

#[test]
fn a_name_never_stands_for_a_later_session() {
    let mut bench = Bench::new();
    let (id, _) = bench.admit("10.0.0.1:1");
    assert_eq!(SessionId::from_number(id.number()), id);
    assert_eq!(bench.table.forget(id), Some("10.0.0.1:1"));
    let (other, _) = bench.admit("10.0.0.1:2");
    assert_eq!(other.slot, id.slot);
    assert_eq!(bench.table.standing(id), None);
    assert_eq!(bench.table.forget(id), None);
    bench.table.on_reply(id, bench.now);
    bench.table.deny(id, 1, bench.now);
    assert_eq!(bench.table.standing(other), Some(Standing::Admitted));
}

#[test]
fn one_client_towards_two_ports_and_two_addresses_is_four_flows() {
    let mut bench = Bench::new();
    for to in ["10.0.0.1:53", "10.0.0.1:54", "10.0.0.2:53", "[fd00::1]:53"] {
        let key = FlowKey {
            to: to.parse::<std::net::SocketAddr>().unwrap().into(),
            ..flow("10.0.0.7:1000")
        };
        let (_, seen) = bench.table.on_datagram(key, 1, bench.now, || "x");
        assert_eq!(seen, Seen::First, "{to}");
    }
}

#[test]
fn a_shorter_patience_holds_for_all() {
    let mut bench = Bench::new();
    let (id, _) = bench.admit("10.0.0.1:1");
    bench.after(secs(3));
    bench.table.on_reply(id, bench.now);
    bench.table.on_reply(id, bench.now);
    assert_eq!(bench.table.next_expiry(), Some(bench.now + STREAM_IDLE));
    bench.admit("10.0.0.2:1");
    bench.table.shorten_idle(secs(5));
    bench.after(secs(5));
    assert_eq!(bench.idle().len(), 2);
}

#[test]
fn one_source_gets_an_eighth_of_the_places_however_few_there_are() {
    for (sessions, per_source) in [(4096, 512), (256, 32), (4, 1), (0, 1)] {
        let limits = Limits::usual(sessions, Duration::from_secs(1));
        assert_eq!(limits.sessions_per_source, per_source, "{sessions}");
    }
}
