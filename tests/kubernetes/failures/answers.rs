//! An API server that answers, but not with what was asked for.

use podwall_lab::wait_until;
use serde_json::json;

use crate::faults::{Call, Fault, Resource, Rule};
use crate::kubernetes::ordeal::Ordeal;
use crate::kubernetes::stage::Stage;
use crate::support::{CART_ONLY, SOON, Seen};

const ALL: [Resource; 3] = [Resource::Pods, Resource::Namespaces, Resource::Policies];

/// Every request is spoiled so until all is well again, and podwall says why it cannot read.
fn endures(stage: &mut Stage, fault: Fault, words: &str) {
    let mut ordeal = Ordeal::begin(stage);
    let before = stage.faults().spoiled();
    stage.faults().spoil(Rule::new(fault));
    stage.faults().cut();
    let met = || stage.faults().spoiled() >= before + ALL.len();
    assert!(wait_until(SOON, met), "{}", stage.output());
    let told = || {
        let (code, text) = stage.readiness();
        assert_eq!(code, 200, "the last state is in force: {text}");
        text.contains("source problem") && text.contains(words)
    };
    assert!(wait_until(SOON, told), "not {words}: {}", stage.output());
    assert_eq!(stage.metric("source_problem"), 1.0);
    ordeal.holds(stage);
    stage.faults().relent();
    ordeal.ends_well(stage);
}

#[test]
fn s84_errors_of_the_api_server_leave_the_last_state_in_force() {
    let mut stage = Stage::behind_faults();
    for (fault, words) in [
        (Fault::Answer(500, ""), "500"),
        (Fault::Answer(429, "Retry-After: 1\r\n"), "429"),
    ] {
        endures(&mut stage, fault, words);
    }
}

#[test]
fn s84_refusals_of_the_api_server_leave_the_last_state_in_force() {
    let mut stage = Stage::behind_faults();
    for (fault, words) in [
        (Fault::Answer(401, ""), "401"),
        (Fault::Answer(403, ""), "403"),
    ] {
        endures(&mut stage, fault, words);
    }
}

/// Both ways in which a server says that a watch cannot be resumed. What was removed meanwhile is gone after it:
/// the new list replaces the old state, it is not laid on top (P25).
#[test]
fn p25_s84_gone_means_a_new_list_that_replaces_the_old_state() {
    let mut stage = Stage::behind_faults();
    let event = json!({ "type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "reason": "Expired", "code": 410, "message": "too old resource version",
    }});
    for in_running_watch in [true, false] {
        let mut ordeal = Ordeal::begin(&stage);
        let lists = |stage: &Stage, one| {
            stage.faults().asked(one, Call::StreamingList) + stage.faults().asked(one, Call::List)
        };
        let before = ALL.map(|one| lists(&stage, one));
        // Not seen by the sidecar: it will have to find out.
        stage.faults().freeze(true);
        stage.scene.lab.forget("other", "stranger").unwrap();
        ordeal.holds(&stage);
        if in_running_watch {
            // Said before what has been held back.
            for one in ALL {
                stage.faults().say(one, &event);
            }
        } else {
            for one in ALL {
                let gone = Rule::new(Fault::Answer(410, "")).of(one);
                stage.faults().spoil(gone.call(Call::Watch).times(1));
            }
            stage.faults().cut();
        }
        stage.faults().freeze(false);
        let anew = || {
            let mut pairs = ALL.iter().zip(before);
            pairs.all(|(one, before)| lists(&stage, *one) > before)
        };
        assert!(wait_until(SOON, anew), "{}", stage.output());
        assert!(wait_until(SOON, || stage.metric("known_pods") == 3.0));
        stage.fares(&stage.scene.stranger, Seen::Reset, "peer_unknown");
        ordeal.ends_well(&mut stage);
        stage.scene.lab.announce("other", "stranger").unwrap();
        stage.fares(&stage.scene.stranger, Seen::Reset, "no_rule_admits");
    }
}

/// Half a list is no list: nothing of it counts, and nothing of the state before is lost.
#[test]
fn p25_a_list_that_breaks_off_counts_for_nothing() {
    let mut stage = Stage::behind_faults();
    let mut ordeal = Ordeal::begin(&stage);
    let before = stage.faults().spoiled();
    // Two of the four pods, and the middle of the only page.
    for (call, fault) in [
        (Call::StreamingList, Fault::CutAfterLines(2)),
        (Call::List, Fault::CutAfter(700)),
    ] {
        let broken = Rule::new(fault).of(Resource::Pods);
        stage.faults().spoil(broken.call(call));
    }
    let gone = Rule::new(Fault::ErrorEvent(410)).of(Resource::Pods);
    stage.faults().spoil(gone.call(Call::Watch));
    stage.faults().cut();
    // The watch that is told to be gone, the streaming lists that break off, and pages.
    let met = || stage.faults().asked(Resource::Pods, Call::List) > 0;
    assert!(wait_until(SOON, met), "{}", stage.output());
    assert!(stage.faults().spoiled() >= before + 4);
    ordeal.holds(&stage);
    assert_eq!(stage.metric("known_pods"), 4.0);
    stage.faults().relent();
    ordeal.ends_well(&mut stage);
}

/// Asked for in the newest version, which no old API server's cache may stand in for.
#[test]
fn p25_streaming_lists_are_read_where_the_server_has_them() {
    let stage = Stage::behind_faults();
    for one in ALL {
        assert!(stage.faults().asked(one, Call::StreamingList) > 0);
        assert_eq!(stage.faults().asked(one, Call::List), 0, "{one:?}");
    }
}

/// An old server, or one that is told so, knows no streaming lists.
#[test]
fn p25_where_streaming_lists_are_refused_pages_are_read() {
    let mut stage = Stage::spoiled(CART_ONLY);
    let refused = Rule::new(Fault::Answer(422, "")).call(Call::StreamingList);
    stage.faults().spoil(refused);
    stage.start();
    for one in ALL {
        assert!(stage.faults().asked(one, Call::List) > 0, "{one:?}");
    }
    let ordeal = Ordeal::begin(&stage);
    ordeal.ends_well(&mut stage);
}

/// At the start nothing counts before it is whole, and later a slow list leaves the old state in force.
#[test]
fn p06_s84_a_slow_api_server() {
    let mut stage = Stage::spoiled(CART_ONLY);
    let slow = || Rule::new(Fault::Trickle(48));
    stage.faults().spoil(slow());
    stage.launch();
    for client in [&stage.scene.cart, &stage.scene.rogue] {
        let line = stage.fares(client, Seen::Reset, "not_synced");
        assert_eq!(line["verdict"], "deny", "{line}");
    }
    stage.is_ready(super::super::stage::LONG);
    stage.faults().relent();
    let mut ordeal = Ordeal::begin(&stage);
    stage.faults().spoil(slow());
    stage
        .faults()
        .spoil(Rule::new(Fault::Answer(410, "")).call(Call::Watch).times(3));
    stage.faults().cut();
    let again = || stage.faults().running(Resource::Pods) > 0;
    assert!(wait_until(SOON, again), "{}", stage.output());
    ordeal.holds(&stage);
    ordeal.ends_well(&mut stage);
}
