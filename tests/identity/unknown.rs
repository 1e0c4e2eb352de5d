//! P7: a source address by which no pod is known. Answered at once where the answer is the same whoever it is,
//! held otherwise, and let in if its pod is announced meanwhile.

use std::collections::HashSet;

use podwall_lab::{Lab, Pod, PodSpec, wait_until};
use serde_json::Value;

use super::waiting::{ATTEMPTS, Waited, assert_at_once, assert_waited, wait_and_change};
use crate::support::{CART_ONLY, SOON, Scene, Seen};
use crate::talk::{APP, App, both, connect};

/// A pod of which no manifest tells.
fn ghost(lab: &mut Lab, app: &str) -> Pod {
    let ghost = PodSpec::new("shop", "ghost").label("app", app);
    lab.pod(ghost.unannounced()).unwrap()
}

/// One policy over shop/web with this one rule.
fn policy(rule: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: one, namespace: shop }}\n\
         spec: {{ podSelector: {{ matchLabels: {{ app: web }} }}, ingress: [{rule}] }}\n"
    )
}

fn governed_by(scene: &mut Scene, policies: &str) {
    // The label makes it a change even where the policies are the ones before.
    scene.change(|lab| lab.set_policies_yaml(policies));
}

#[test]
fn p07_what_is_certain_of_an_unknown_source_is_answered_at_once() {
    let mut scene = Scene::guarded("");
    let ghost = ghost(&mut scene.lab, "cart");
    let check = |scene: &Scene, port, seen, verdict, reason| {
        let (saw, line) = scene.ask_logged(&ghost, port);
        assert_eq!(saw, seen, "{line}");
        assert_at_once(&line, verdict, reason);
        assert_eq!(line["peer"], Value::Null, "{line}");
    };
    check(&scene, 80, Seen::Page, "allow", "not_isolated");
    // Any peer, on one port.
    governed_by(&mut scene, &policy("{ ports: [{ port: 80 }] }"));
    check(&scene, 80, Seen::Page, "allow", "rule");
    check(&scene, 9000, Seen::Reset, "deny", "no_rule_admits");
    // An ipBlock that holds the address admits whoever it is.
    let block = format!("{{ from: [{{ ipBlock: {{ cidr: {}/32 }} }}] }}", ghost.v4());
    governed_by(&mut scene, &policy(&block));
    check(&scene, 80, Seen::Page, "allow", "rule");
    // One that does not, and no selector beside it.
    let other = "{ from: [{ ipBlock: { cidr: 192.0.2.0/24 } }] }";
    governed_by(&mut scene, &policy(other));
    check(&scene, 80, Seen::Reset, "deny", "no_rule_admits");
    // A selector could admit it, but not on this port.
    let selector =
        "{ from: [{ podSelector: { matchLabels: { app: cart } } }], ports: [{ port: 80 }] }";
    governed_by(&mut scene, &policy(selector));
    check(&scene, 9000, Seen::Reset, "deny", "no_rule_admits");
    // On this one it depends on who it is.
    let (seen, line) = scene.ask_logged(&ghost, 80);
    assert_eq!(seen, Seen::Reset);
    assert_waited(&line, "peer_unknown");
    assert_eq!(line["nearest_miss"]["clause"], "peer_unknown", "{line}");
}

#[test]
fn p07_who_is_announced_while_it_waits_is_let_in() {
    let mut scene = Scene::guarded(CART_ONLY);
    let ghost = ghost(&mut scene.lab, "cart");
    let app = App::listen(scene.web.place(), APP);
    for to in both(&scene.web, APP) {
        let mut let_in = false;
        for _ in 0..ATTEMPTS {
            let announce = |lab: &mut Lab| lab.announce("shop", "ghost").unwrap();
            match wait_and_change(&mut scene, &app, &ghost, to, announce) {
                Waited::LetIn => let_in = true,
                Waited::Denied(line) => assert_waited(&line, "peer_unknown"),
            }
            scene.change(|lab| lab.forget("shop", "ghost"));
            if let_in {
                break;
            }
        }
        assert!(let_in, "in none of {ATTEMPTS} attempts");
        let waited = |line: &Value| line["peer"] == "shop/ghost" && line["verdict"] == "allow";
        let line = scene.sidecar().wait_log(0, waited, SOON).unwrap();
        assert_eq!(line["policy"], "shop/cart-only", "{line}");
        assert!(line["held_ms"].as_u64() > Some(0), "{line}");
    }
}

#[test]
fn p07_who_is_announced_while_it_waits_is_still_judged() {
    let mut scene = Scene::guarded(CART_ONLY);
    let ghost = ghost(&mut scene.lab, "rogue");
    let app = App::listen(scene.web.place(), APP);
    let [to, _] = both(&scene.web, APP);
    for _ in 0..ATTEMPTS {
        let announce = |lab: &mut Lab| lab.announce("shop", "ghost").unwrap();
        let answer = wait_and_change(&mut scene, &app, &ghost, to, announce);
        let Waited::Denied(line) = answer else {
            panic!("the rogue was let in");
        };
        if line["reason"] == "no_rule_admits" {
            assert_eq!(line["peer"], "shop/ghost", "{line}");
            assert!(line["held_ms"].as_u64() > Some(0), "{line}");
            return;
        }
        assert_waited(&line, "peer_unknown");
        scene.change(|lab| lab.forget("shop", "ghost"));
    }
    panic!("in none of {ATTEMPTS} attempts the waiting arrival was judged");
}

/// Beyond its share of the waiting room a source is denied at once; others wait, and enter, as before.
#[test]
fn p07_one_source_cannot_fill_the_waiting_room() {
    let mut scene = Scene::guarded(CART_ONLY);
    let ghost = ghost(&mut scene.lab, "cart");
    let [to, other] = both(&scene.web, 80);
    let mut crowd = Vec::new();
    let full = |line: &Value| line["reason"] == "hold_full";
    let crowded = || {
        crowd.extend(connect(&ghost, to));
        scene.sidecar().log().iter().any(full)
    };
    assert!(wait_until(SOON, crowded), "the waiting room is endless");
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    // The ghost's other address is another source.
    let late = connect(&ghost, other).unwrap();
    drop(late);
    let lines = scene.sidecar();
    let of_v6 = |line: &Value| line["source"] == ghost.v6().to_string().as_str();
    let line = lines.wait_log(0, of_v6, SOON).unwrap();
    assert_eq!(line["reason"], "peer_unknown", "{line}");
    let denied = |line: &Value| full(line);
    let line = scene.sidecar().wait_log(0, denied, SOON).unwrap();
    assert_at_once(&line, "deny", "hold_full");
    // Everyone who came has been told off, for one of the two reasons.
    let told = || {
        let lines = scene.sidecar().log();
        let of_v4 = lines
            .iter()
            .filter(|line| line["source"] == ghost.v4().to_string().as_str());
        of_v4.count() >= crowd.len()
    };
    assert!(wait_until(SOON, told));
    let lines = scene.sidecar().log();
    let of_v4 = lines
        .iter()
        .filter(|line| line["source"] == ghost.v4().to_string().as_str());
    let reasons: HashSet<&str> = of_v4.filter_map(|line| line["reason"].as_str()).collect();
    assert_eq!(reasons, HashSet::from(["hold_full", "peer_unknown"]));
    assert_eq!(scene.sidecar().metric("podwall_held").unwrap(), Some(0.0));
}
