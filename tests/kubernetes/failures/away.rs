//! An API server that is not there: stopped, killed, or not started yet.

use std::thread;

use podwall_lab::{PodSpec, Sidecar, wait_until};

use crate::faults::{Fault, Rule};
use crate::kubernetes::ordeal::Ordeal;
use crate::kubernetes::siege::Siege;
use crate::kubernetes::stage::{LONG, Stage};
use crate::support::{CART_ONLY, SOON, Seen, podwall};
use crate::talk::{APP, Ending, Pair, both, ending};

/// An age in seconds that a source does not get while it is away for a moment only.
const AGE: f64 = 3.0;

/// The trouble is told in all three places, with the age of what is in force, which grows.
fn is_told(stage: &Stage) -> f64 {
    let old = || stage.metric("source_problem") == 1.0 && stage.metric("source_age_seconds") > AGE;
    assert!(wait_until(SOON, old), "{}", stage.output());
    let (code, text) = stage.readiness();
    assert_eq!(code, 200, "the last state is in force: {text}");
    assert!(
        text.contains("source problem") && text.contains("last well"),
        "{text}"
    );
    stage.says("connection refused");
    stage.says("s old, stays in force");
    let age = stage.metric("source_age_seconds");
    assert!(wait_until(SOON, || stage.metric("source_age_seconds") > age));
    stage.metric("source_age_seconds")
}

#[test]
fn s84_a_stopped_api_server_leaves_the_last_state_in_force() {
    let mut stage = Stage::direct();
    let mut ordeal = Ordeal::begin(&stage);
    stage.control.stop().unwrap();
    let age = is_told(&stage);
    ordeal.holds(&stage);
    stage.control.start().unwrap();
    let young = || stage.metric("source_age_seconds") < age;
    assert!(wait_until(LONG, young), "{}", stage.output());
    ordeal.ends_well(&mut stage);
}

/// etcd is kept, and with it what was written before.
#[test]
fn s84_a_killed_api_server_is_followed_again_when_it_is_back() {
    let mut stage = Stage::direct();
    let mut ordeal = Ordeal::begin(&stage);
    for _ in 0..2 {
        stage.control.kill();
        ordeal.holds(&stage);
        stage.control.start().unwrap();
    }
    ordeal.ends_well(&mut stage);
}

/// What was deleted while nobody told the sidecar must not live on in it (P25), nor what was changed.
#[test]
fn p25_what_changed_while_the_api_server_was_away_is_found_out() {
    let mut stage = Stage::behind_faults();
    let mut guests = let_guests_in(&mut stage);
    let mut ordeal = Ordeal::begin(&stage);
    stage.faults().spoil(Rule::new(Fault::Answer(503, "")));
    stage.faults().cut();
    let open = CART_ONLY
        .replace("cart-only", "for-friends")
        .replace("app: cart", "app: friend");
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "for-friends", &open).unwrap();
    lab.remove_policy("shop", "guests").unwrap();
    lab.remove("other", "stranger").unwrap();
    lab.remove_namespace("other").unwrap();
    ordeal.holds(&stage);
    stage.control.kill();
    stage.control.start().unwrap();
    assert_eq!(stage.metric("known_pods"), 5.0);
    let namespaces = stage.metric("known_namespaces");
    guests.greet();
    stage.faults().relent();
    let known = || ["known_pods", "policies", "known_namespaces"].map(|one| stage.metric(one));
    let found_out = || known() == [4.0, 2.0, namespaces - 1.0];
    assert!(wait_until(LONG, found_out), "{}", stage.output());
    assert_eq!(ending(&mut guests.client), Ending::Reset);
    let guest = stage.scene.lab.get("shop", "guest").unwrap();
    stage.fares(&guest, Seen::Reset, "no_rule_admits");
    ordeal.ends_well(&mut stage);
}

/// A guest with an open connection, and the policy `shop/guests` that admits it.
fn let_guests_in(stage: &mut Stage) -> Pair {
    let policy = CART_ONLY
        .replace("cart-only", "guests")
        .replace("app: cart", "app: guest");
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "guests", &policy).unwrap();
    let guest = lab.pod(PodSpec::new("shop", "guest").label("app", "guest"));
    let guest = guest.unwrap();
    stage.fares(&guest, Seen::Page, "rule");
    Pair::open(&guest, both(&stage.scene.web, APP)[0], &stage.app)
}

#[test]
fn s85_p06_started_while_the_api_server_is_away_it_is_closed() {
    let mut stage = Stage::bare(CART_ONLY);
    stage.control.stop().unwrap();
    is_closed_until_it_answers(&mut stage);
}

/// What the one before knew is gone with it: nothing is kept on disk that could be old.
#[test]
fn s85_restarted_while_the_api_server_is_away_it_is_closed() {
    let mut stage = Stage::direct();
    Ordeal::begin(&stage);
    stage.control.stop().unwrap();
    is_closed_until_it_answers(&mut stage);
}

/// Nobody but the node enters before the API server has told everything, and readiness says what is missing.
fn is_closed_until_it_answers(stage: &mut Stage) {
    // Closed from the init step on, whichever was before.
    Sidecar::install(&stage.scene.lab, &stage.scene.web, &podwall(), &[]).unwrap();
    let siege = Siege::lay(&stage.scene.rogue, both(&stage.scene.web, 80).to_vec());
    stage.launch();
    let scene = &stage.scene;
    thread::scope(|scope| {
        for client in [&scene.cart, &scene.stranger] {
            let stage: &Stage = stage;
            scope.spawn(|| stage.fares(client, Seen::Reset, "not_synced"));
        }
    });
    for host in both(&scene.web, 80) {
        let answer = scene.lab.node().curl(&format!("http://{host}/"), SOON);
        assert_eq!(answer.http, Some(200), "the node: {}", answer.error);
    }
    let told = || {
        let (code, text) = stage.readiness();
        assert_eq!(code, 503, "{text}");
        text.contains("not_synced") && text.contains("source problem")
    };
    assert!(wait_until(SOON, told), "{}", stage.output());
    stage.says("no whole state was told yet, so strangers are refused");
    assert_eq!(stage.metric("synced"), 0.0);
    siege.tries_again();
    stage.control.start().unwrap();
    stage.is_ready(LONG);
    stage.fares(&stage.scene.cart, Seen::Page, "rule");
    siege.lift();
    Ordeal::begin(stage).ends_well(stage);
}
