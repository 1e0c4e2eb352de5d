//! Who is refused without the law's word, and whose place goes to others.

use std::time::Duration;

use podwall_proxy::connection::DrainPhase;
use podwall_proxy::datagram::{HELD_BYTES, HELD_DATAGRAMS};

use super::rig::{CART, NEWCOMER, ROGUE, Rig, eventually, pod};

const SESSIONS: &str = "podwall_udp_sessions";
const HELD: &str = "podwall_udp_dropped_total{why=\"held\"}";

#[test]
fn p34_a_source_that_is_the_pod_itself_and_a_destination_that_is_not_are_refused() {
    let rig = Rig::new();
    let own = rig.client([127, 0, 0, 1].into());
    own.send(b"from myself").unwrap();
    let line = rig.line("connection", "source", "127.0.0.1");
    assert_eq!(
        (&line["reason"], &line["peer"]),
        (&"not_this_pod".into(), &serde_json::Value::Null)
    );
    let elsewhere = std::net::UdpSocket::bind((CART, 0)).unwrap();
    elsewhere
        .send_to(b"to another", ("127.0.0.5", rig.door))
        .unwrap();
    let line = rig.line("connection", "destination", "127.0.0.5");
    assert_eq!(line["reason"], "not_this_pod", "{line}");
    rig.app_heard_nothing();
    rig.talk(&rig.client(CART));
}

#[test]
fn the_least_recently_used_session_makes_room() {
    // An eighth of the places is one source's: two.
    let rig = Rig::with(16, |_| {});
    let clients = [CART, CART, CART].map(|from| rig.client(from));
    rig.talk(&clients[0]);
    rig.talk(&clients[1]);
    rig.talk(&clients[0]);
    rig.talk(&clients[2]);
    let line = rig.line("connection", "end", "evicted");
    let evicted = clients[1].local_addr().unwrap().port();
    assert_eq!(
        (&line["source_port"], &line["bytes_in"]),
        (&evicted.into(), &8.into()),
        "{line}"
    );
    assert_eq!(rig.metric("podwall_udp_evicted_total"), 1.0);
    assert_eq!(rig.metric(SESSIONS), 2.0);
    // It is a newcomer now, as good as any.
    rig.talk(&clients[1]);
    rig.talk(&clients[2]);
}

#[test]
fn a_held_flow_keeps_its_first_datagrams_and_no_more() {
    let rig = Rig::with(1000, |settings| {
        settings.hold_time = Duration::from_secs(60)
    });
    let many = rig.client(NEWCOMER);
    for _ in 0..HELD_DATAGRAMS + 3 {
        many.send(b"again").unwrap();
    }
    rig.reaches(HELD, 3.0);
    let large = rig.client(NEWCOMER);
    large.send(&[1; HELD_BYTES]).unwrap();
    large.send(b"one more").unwrap();
    rig.reaches(HELD, 4.0);
    let too_large = rig.client(NEWCOMER);
    too_large.send(&vec![1; HELD_BYTES + 1]).unwrap();
    rig.reaches(HELD, 5.0);
    too_large.send(b"a small one").unwrap();
    rig.reaches("podwall_held", 3.0);
    rig.apply(pod("newcomer", "cart", NEWCOMER));
    let mut buffer = vec![0; 2 * HELD_BYTES];
    let mut lengths: Vec<usize> = (0..HELD_DATAGRAMS + 2)
        .map(|_| rig.app.recv(&mut buffer).expect("a datagram"))
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [5, 5, 5, 5, 11, HELD_BYTES]);
}

/// Who waits while podwall stops is not let in any more, and hears no later than others.
#[test]
fn who_waits_is_refused_when_podwall_begins_to_stop() {
    let rig = Rig::with(1000, |settings| {
        settings.hold_time = Duration::from_secs(60)
    });
    let waiting = rig.client(NEWCOMER);
    for _ in 0..3 {
        waiting.send(b"wait").unwrap();
    }
    rig.reaches("podwall_held", 1.0);
    rig.phase(DrainPhase::Draining);
    let line = rig.line("connection", "source", NEWCOMER.to_string());
    assert_eq!(
        (&line["end"], &line["reason"]),
        (&"denied".into(), &"draining".into()),
        "{line}"
    );
    rig.reaches("podwall_udp_dropped_total{why=\"denied\"}", 3.0);
}

#[test]
fn what_waits_when_podwall_ends_is_counted() {
    let rig = Rig::with(1000, |settings| {
        settings.hold_time = Duration::from_secs(60)
    });
    let waiting = rig.client(NEWCOMER);
    for _ in 0..3 {
        waiting.send(b"wait").unwrap();
    }
    let early = rig.client(CART);
    rig.talk(&early);
    rig.phase(DrainPhase::Over);
    let line = rig.line("connection", "source", NEWCOMER.to_string());
    assert_eq!(line["end"], "stopped", "{line}");
    rig.reaches(HELD, 3.0);
}

/// No place to wait in is not a reason to stay refused: there may be one for the next datagram.
#[test]
fn who_found_the_hold_full_may_wait_when_it_is_not() {
    let rig = Rig::with(1000, |settings| settings.hold_time = Duration::from_secs(2));
    let waiting: Vec<_> = (0..64).map(|_| rig.client(NEWCOMER)).collect();
    for client in &waiting {
        client.send(b"wait").unwrap();
    }
    rig.reaches("podwall_held", 64.0);
    let late = rig.client(NEWCOMER);
    late.send(b"too many").unwrap();
    let port = late.local_addr().unwrap().port();
    assert_eq!(
        rig.line("connection", "source_port", port)["reason"],
        "hold_full"
    );
    rig.reaches("podwall_held", 0.0);
    late.send(b"wait").unwrap();
    rig.reaches("podwall_held", 1.0);
    rig.apply(pod("newcomer", "cart", NEWCOMER));
    rig.heard(b"wait");
}

/// What the kernel did not take it has not seen go, so its own time for the flow runs on (P30).
#[test]
fn p30_an_answer_that_was_not_sent_prolongs_nothing() {
    let rig = Rig::with_idle(Duration::from_millis(500));
    let client = rig.client(CART);
    client.send(b"question").unwrap();
    let from = rig.heard(b"question");
    rig.close_the_way_back();
    let is_over = || {
        let _closed = rig.app.send_to(b"answer", from);
        rig.lines().iter().any(|line| line["end"] == "idle")
    };
    eventually(&mut { is_over }, || "the session is kept".to_owned());
    let line = rig.line("connection", "end", "idle");
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&8.into(), &0.into()),
        "{line}"
    );
    assert!(rig.metric("podwall_udp_dropped_total{why=\"no_way\"}") > 0.0);
}

#[test]
fn a_denied_flow_has_one_line_and_no_descriptor() {
    let rig = Rig::new();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let client = rig.client(ROGUE);
    let before = descriptors();
    for _ in 0..100 {
        client.send(b"let me in").unwrap();
    }
    rig.reaches("podwall_udp_dropped_total{why=\"denied\"}", 100.0);
    assert_eq!(rig.lines().len(), 1);
    // Other tests of this process open and close theirs meanwhile, but a hundred would show.
    assert!(descriptors() < before + 100);
    rig.app_heard_nothing();
}
