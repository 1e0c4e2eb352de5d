//! P28 and P29: whenever a change comes, no datagram passes by an answer that does not hold any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::rig::{CART, NEWCOMER, Rig, pod};

const SESSIONS: &str = "podwall_udp_sessions";
const DENIED: &str = "podwall_udp_dropped_total{why=\"denied\"}";

#[test]
fn p28_a_datagram_after_a_change_is_judged_by_it_though_the_task_has_not_been_told() {
    let rig = Rig::new();
    let client = rig.client(CART);
    rig.talk(&client);
    let touched = rig.apply_untold(pod("cart", "other", CART));
    client.send(b"in still?").unwrap();
    rig.reaches(DENIED, 1.0);
    rig.app_heard_nothing();
    assert_eq!(
        rig.line("connection", "source", "127.0.0.2")["end"],
        "revoked"
    );
    // Told of it now, the task finds nothing left to do.
    rig.recheck.note(&touched);
    rig.apply(pod("cart", "cart", CART));
    rig.talk(&client);
    let revocations = |line: &&serde_json::Value| line["kind"] == "revocation";
    assert_eq!(rig.lines().iter().filter(revocations).count(), 1);
}

/// The verdict turns hundreds of times while a client sends without end: after each turn, and after the last word of
/// the task about it, the session is there or it is not, as the law says.
#[test]
fn p29_no_change_falls_between_entry_and_judgement() {
    let rig = Rig::new();
    let stop = AtomicBool::new(false);
    let client = rig.client(CART);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let _full = client.send(b"x");
                thread::yield_now();
            }
        });
        for round in 0..300 {
            rig.apply(pod("cart", "other", CART));
            rig.reaches(SESSIONS, 0.0);
            // What went to the application before the cut is there by now; nothing comes after it.
            rig.app.set_nonblocking(true).unwrap();
            while rig.app.recv_from(&mut [0; 64]).is_ok() {}
            rig.app.set_nonblocking(false).unwrap();
            let before = rig.metric(DENIED);
            super::rig::eventually(&mut || rig.metric(DENIED) > before + 3.0, || {
                format!("round {round}: nobody is denied")
            });
            rig.app_heard_nothing();
            rig.apply(pod("cart", "cart", CART));
            rig.reaches(SESSIONS, 1.0);
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn p07_held_datagrams_arrive_in_order_when_the_pod_appears() {
    let rig = Rig::with(1000, |settings| {
        settings.hold_time = Duration::from_secs(60)
    });
    let client = rig.client(NEWCOMER);
    for words in [b"one", b"two", b"six"] {
        client.send(words).unwrap();
    }
    rig.reaches("podwall_held", 1.0);
    rig.apply(pod("other", "other", CART));
    rig.app_heard_nothing();
    rig.apply(pod("newcomer", "cart", NEWCOMER));
    for words in [b"one", b"two", b"six"] {
        rig.heard(words);
    }
    rig.reaches("podwall_held", 0.0);
    rig.reaches(SESSIONS, 1.0);
}

/// A denial for a reason that may turn is held once; after it each change is looked at, without another hold.
#[test]
fn p07_who_was_held_in_vain_is_let_in_at_the_next_datagram_after_its_pod_appeared() {
    let rig = Rig::with(1000, |settings| {
        settings.hold_time = Duration::from_millis(50)
    });
    let client = rig.client(NEWCOMER);
    client.send(b"too early").unwrap();
    assert_eq!(
        rig.line("connection", "end", "denied")["reason"],
        "peer_unknown"
    );
    client.send(b"still too early").unwrap();
    rig.reaches(DENIED, 2.0);
    rig.apply(pod("newcomer", "cart", NEWCOMER));
    rig.talk(&client);
    assert_eq!(rig.lines().len(), 1);
}
