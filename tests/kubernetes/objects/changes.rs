//! Labels, namespaces and policies that change under a running sidecar: judged by what holds now, live connections too.

use podwall_lab::{Lab, Pod, PodSpec, wait_until};
use serde_json::json;

use crate::faults::{Fault, Resource, Rule};
use crate::kubernetes::siege::Siege;
use crate::kubernetes::stage::Stage;
use crate::support::{CART_ONLY, SOON, Seen};
use crate::talk::{APP, Ending, Pair, both, ending};
use crate::waiting::assert_waited;

/// Lets pods of namespaces into shop/web that are not of team z.
const NOT_Z: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: not-z, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ namespaceSelector: { matchExpressions: [{ key: team, operator: NotIn, values: [z] }] } }]
";

/// Open connections over both families are reset at both ends by this change, and new ones are refused.
fn cuts(stage: &mut Stage, client: &Pod, change: impl FnOnce(&mut Lab)) {
    stage.fares(client, Seen::Page, "rule");
    let pairs = both(&stage.scene.web, APP).map(|to| Pair::open(client, to, &stage.app));
    change(&mut stage.scene.lab);
    for mut pair in pairs {
        for end in [&mut pair.client, &mut pair.app] {
            assert_eq!(ending(end), Ending::Reset, "{}", stage.output());
        }
    }
    stage.fares(client, Seen::Reset, "no_rule_admits");
}

#[test]
fn s78_s82_labels_of_peer_namespace_and_subject_take_effect_without_restart() {
    let mut stage = Stage::direct();
    let (cart, stranger) = (stage.scene.cart.clone(), stage.scene.stranger.clone());
    cuts(&mut stage, &cart, |lab| {
        lab.relabel("shop", "cart", &[("app", "rogue")]).unwrap()
    });
    stage
        .scene
        .lab
        .relabel("shop", "cart", &[("app", "cart")])
        .unwrap();
    // The subject's: another policy selects it then.
    let strict = CART_ONLY
        .replace("cart-only", "strict")
        .replace("app: web", "guarded: 'yes'");
    stage
        .scene
        .lab
        .policy(
            "shop",
            "strict",
            &strict.replace("app: cart", "app: nobody"),
        )
        .unwrap();
    cuts(&mut stage, &cart, |lab| {
        lab.relabel("shop", "web", &[("guarded", "yes")]).unwrap();
    });
    stage
        .scene
        .lab
        .relabel("shop", "web", &[("app", "web")])
        .unwrap();
    stage.fares(&cart, Seen::Page, "rule");
    // The namespace's.
    stage.scene.lab.policy("shop", "not-z", NOT_Z).unwrap();
    cuts(&mut stage, &stranger, |lab| {
        lab.namespace("other", &[("team", "z")]).unwrap()
    });
    stage
        .scene
        .lab
        .namespace("other", &[("team", "b")])
        .unwrap();
    stage.fares(&stranger, Seen::Page, "rule");
}

/// The pod is told before its namespace, whose labels are unknown until then and not absent.
#[test]
fn p27_s31_a_namespace_that_is_told_after_its_pod() {
    let mut stage = Stage::spoiled(NOT_Z);
    stage.start();
    stage.faults().hold(Resource::Namespaces);
    let lab = &mut stage.scene.lab;
    lab.namespace("new", &[("team", "a")]).unwrap();
    let early = PodSpec::new("new", "early").label("app", "any");
    let early = lab.pod(early).unwrap();
    let known = || stage.scene.ask_logged(&early, 80).1["peer"] == "new/early";
    assert!(wait_until(SOON, known), "{}", stage.output());
    let line = stage.fares(&early, Seen::Reset, "peer_unknown");
    assert_waited(&line, "peer_unknown");
    assert_eq!(
        line["nearest_miss"]["clause"], "namespace_unknown",
        "{line}"
    );
    stage.faults().relent();
    stage.fares(&early, Seen::Page, "rule");
}

#[test]
fn s07_s83_policies_come_and_go_and_their_coming_is_counted() {
    let mut stage = Stage::bare("");
    stage.start();
    let rogue = stage.scene.rogue.clone();
    stage.fares(&rogue, Seen::Page, "not_isolated");
    let rogue_too = CART_ONLY
        .replace("cart-only", "rogue-too")
        .replace("app: cart", "app: rogue");
    // No API says when a policy is in force; the generation and the number of policies do.
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", CART_ONLY));
    assert_eq!(stage.metric("policies"), 1.0);
    assert_eq!(stage.scene.ask(&rogue, 80), Seen::Reset);
    stage
        .scene
        .change(|lab| lab.policy("shop", "rogue-too", &rogue_too));
    assert_eq!(stage.metric("policies"), 2.0);
    let mut pair = Pair::open(&rogue, both(&stage.scene.web, APP)[0], &stage.app);
    // One of two takes its allows along, the last of them the isolation.
    stage
        .scene
        .change(|lab| lab.remove_policy("shop", "rogue-too"));
    assert_eq!(ending(&mut pair.client), Ending::Reset);
    assert_eq!(stage.scene.ask(&rogue, 80), Seen::Reset);
    stage
        .scene
        .change(|lab| lab.remove_policy("shop", "cart-only"));
    assert_eq!(stage.metric("policies"), 0.0);
    stage.fares(&rogue, Seen::Page, "not_isolated");
}

/// Policies of other namespaces are none of its business.
#[test]
fn s05_a_policy_of_another_namespace_does_not_isolate() {
    let mut stage = Stage::bare("");
    stage.start();
    let lab = &mut stage.scene.lab;
    let foreign = CART_ONLY.replace("namespace: shop", "namespace: other");
    lab.policy("other", "cart-only", &foreign).unwrap();
    stage
        .scene
        .change(|lab| lab.relabel("shop", "cart", &[("app", "later")]));
    stage.fares(&stage.scene.rogue, Seen::Page, "not_isolated");
}

/// It exists until it is really gone: with a finalizer on it, and in a namespace that is being deleted.
#[test]
fn s08_a_policy_that_is_being_deleted_still_isolates() {
    let mut stage = Stage::direct();
    let later = CART_ONLY
        .replace("cart-only", "later")
        .replace("app: cart", "app: later");
    stage
        .scene
        .change(|lab| lab.policy("shop", "later", &later));
    let path = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/cart-only";
    let held = json!({ "metadata": { "finalizers": ["example.com/held"] } });
    stage.admin().merge(path, held).unwrap();
    stage.admin().delete(path).unwrap();
    let shop = "/api/v1/namespaces/shop";
    stage.admin().delete(shop).unwrap();
    for (path, field) in [(path, "metadata"), (shop, "metadata")] {
        let stamp = &stage.admin().get(path).unwrap()[field]["deletionTimestamp"];
        assert!(stamp.is_string(), "{path} is gone already");
    }
    // What comes later on each watch is taken in, so those before are.
    stage
        .scene
        .change(|lab| lab.namespace("other", &[("team", "later")]));
    let before = stage.scene.generation();
    let beside = path.replace("cart-only", "later");
    let other_port = json!({ "spec": { "ingress": [{ "ports": [{ "port": 1 }] }] } });
    stage.admin().merge(&beside, other_port).unwrap();
    let taken_in = stage.scene.sidecar().wait_beyond(before, SOON);
    taken_in.expect("the change taken in");
    stage.fares(&stage.scene.cart, Seen::Page, "rule");
    stage.admin().delete(&beside).unwrap();
    assert!(wait_until(SOON, || stage.metric("policies") == 1.0));
    stage.fares(&stage.scene.rogue, Seen::Reset, "no_rule_admits");
    let freed = json!({ "metadata": { "finalizers": null } });
    stage.admin().merge(path, freed).unwrap();
    stage.fares(&stage.scene.rogue, Seen::Page, "not_isolated");
}

/// From the first instant of the pod's life; what comes late is only what lets in.
#[test]
fn s80_a_new_pod_that_a_policy_selects_is_never_open() {
    let mut stage = Stage::bare(CART_ONLY);
    let web = stage.scene.web.clone();
    podwall_lab::Sidecar::install(&stage.scene.lab, &web, &crate::support::podwall(), &[]).unwrap();
    let siege = Siege::lay(&stage.scene.rogue, both(&web, 80).to_vec());
    siege.tries_again();
    for _ in 0..3 {
        stage.start();
        siege.tries_again();
        stage.fares(&stage.scene.cart, Seen::Page, "rule");
    }
    siege.lift();
}

/// Each of the three kinds is needed, whichever comes last.
#[test]
fn p06_nobody_enters_before_all_three_kinds_are_known() {
    let mut stage = Stage::spoiled(CART_ONLY);
    for last in [Resource::Policies, Resource::Namespaces, Resource::Pods] {
        stage.faults().spoil(Rule::new(Fault::Hang).of(last));
        let before = stage.faults().spoiled();
        stage.launch();
        let siege = Siege::lay(&stage.scene.rogue, both(&stage.scene.web, 80).to_vec());
        let others = [Resource::Policies, Resource::Namespaces, Resource::Pods];
        let running = |one: &Resource| *one == last || stage.faults().running(*one) > 0;
        let told = || stage.faults().spoiled() > before && others.iter().all(running);
        assert!(wait_until(SOON, told), "{last:?}: {}", stage.output());
        let line = stage.fares(&stage.scene.cart, Seen::Reset, "not_synced");
        assert_waited(&line, "not_synced");
        let (code, text) = stage.readiness();
        assert!(code == 503 && text.contains("not_synced"), "{text}");
        assert_eq!(stage.metric("synced"), 0.0);
        stage.faults().relent();
        stage.is_ready(SOON);
        stage.fares(&stage.scene.cart, Seen::Page, "rule");
        siege.tries_again();
        siege.lift();
        stage.scene.sidecar = None;
        stage.faults().cut();
    }
}
