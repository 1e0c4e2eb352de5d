//! Who is not cut: those whose verdict stays, those who may stay by `--keep-established`, and those who wait.

use podwall_lab::{PodSpec, wait_until};

use super::cut::Stage;
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, Ending, Pair, both, connect, fate};

/// How often a race against the hold's own end may be lost.
const ATTEMPTS: usize = 10;

#[test]
fn p28_keep_established_leaves_open_connections_alone() {
    let mut stage = Stage::set_with(CART_ONLY, &["--keep-established"], |_| {});
    let mut pairs = stage.open(&stage.scene.cart);
    let busy = stage.busy(&stage.scene.cart);
    let other = [("app", "other")];
    stage
        .scene
        .change(|lab| lab.relabel("shop", "cart", &other));
    for to in both(&stage.scene.web, APP) {
        let how = fate(stage.scene.cart.place(), to);
        assert_eq!(how, Ending::Reset, "a new connection is judged anew");
    }
    busy.goes_on(busy.carried());
    busy.finish();
    pairs.iter_mut().for_each(Pair::greet);
    let revoked = |line: &serde_json::Value| line["kind"] == "revocation";
    assert!(!stage.scene.sidecar().log().iter().any(revoked));
    assert_eq!(stage.revoked("no_rule_admits"), 0.0);
}

/// A change of everything, under which every verdict stays as it was.
#[test]
fn p28_a_verdict_that_stays_is_no_cut() {
    let mut stage = Stage::set(CART_ONLY);
    let mut pairs = stage.open(&stage.scene.cart);
    let busy = stage.busy(&stage.scene.cart);
    let renamed = CART_ONLY.replace("cart-only", "the-same");
    stage.scene.change(|lab| lab.set_policies_yaml(&renamed));
    stage.scene.change(|lab| {
        let more = [("app", "cart"), ("more", "labels")];
        lab.relabel("shop", "cart", &more)
    });
    stage
        .scene
        .change(|lab| lab.namespace("shop", &[("team", "z")]));
    busy.goes_on(busy.carried());
    busy.finish();
    pairs.iter_mut().for_each(Pair::greet);
    let lines = stage.scene.sidecar().log();
    assert!(
        lines.iter().all(|line| line["end"] == "closed"),
        "{lines:#?}"
    );
}

/// An arrival that waits for its answer is not cut by a change that cuts others: it waits on, and gets
/// its own answer.
#[test]
fn p28_a_held_arrival_is_not_disturbed() {
    let mut stage = Stage::set(CART_ONLY);
    let ghost = PodSpec::new("shop", "ghost")
        .label("app", "cart")
        .unannounced();
    let ghost = stage.scene.lab.pod(ghost).unwrap();
    let (source, [to, _]) = (ghost.v4().to_string(), both(&stage.scene.web, APP));
    for _ in 0..ATTEMPTS {
        let pair = Pair::open(stage.scene.cart.place(), to, &stage.app);
        let skip = stage.scene.sidecar().log().len();
        let held = connect(ghost.place(), to).unwrap();
        let waiting = || stage.scene.sidecar().metric("podwall_held");
        assert!(wait_until(SOON, || waiting().unwrap() == Some(1.0)));
        let other = [("app", "other")];
        stage.scene.lab.relabel("shop", "cart", &other).unwrap();
        let cart = pair.client.local_addr().unwrap();
        stage.told(skip, cart, "no_rule_admits");
        stage.scene.lab.announce("shop", "ghost").unwrap();
        let mut admitted = false;
        let answered = || {
            admitted = stage.app.has_visitor();
            admitted || held.take_error().unwrap().is_some()
        };
        assert!(wait_until(SOON, answered), "no answer");
        if admitted {
            let lines = stage.scene.sidecar().log();
            let of_ghost = |line: &&serde_json::Value| line["source"] == source.as_str();
            let revoked = |line: &serde_json::Value| line["kind"] == "revocation";
            assert!(
                !lines.iter().filter(of_ghost).any(revoked),
                "only carts are cut: {lines:#?}"
            );
            return;
        }
        let own = |line: &serde_json::Value| line["source"] == source.as_str();
        let line = stage.scene.sidecar().wait_log(skip, own, SOON).unwrap();
        assert_eq!(line["reason"], "peer_unknown", "{line}");
        assert!(line["duration_ms"].as_u64() >= Some(900), "{line}");
        let again = [("app", "cart")];
        stage.scene.lab.forget("shop", "ghost").unwrap();
        stage
            .scene
            .change(|lab| lab.relabel("shop", "cart", &again));
    }
    panic!("in none of {ATTEMPTS} attempts the held arrival was let in");
}
