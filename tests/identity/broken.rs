//! P26: an object that cannot be read never widens, and everything else goes on working.

use podwall_lab::{Lab, wait_until};

use crate::manifests::{adopt_pod, with_broken_labels, write};
use crate::support::{CART_ONLY, SOON, Scene, Seen};

/// A policy of the namespace `shop` with this as its spec.
fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: {name}, namespace: shop }}\nspec: {spec}\n"
    )
}

const FROM_CART: &str = "[{ from: [{ podSelector: { matchLabels: { app: cart } } }] }]";

/// Loud: in the log and in the metrics.
fn is_told(scene: &Scene, words: &str) {
    let talk = || scene.sidecar().process().stderr_so_far();
    assert!(wait_until(SOON, || talk().contains(words)), "{}", talk());
    let findings = scene.sidecar().metric("podwall_findings").unwrap();
    assert!(findings >= Some(1.0), "{findings:?}");
}

#[test]
fn p26_a_pod_that_becomes_malformed_loses_what_it_was() {
    let mut scene = Scene::guarded(CART_ONLY);
    let cart = adopt_pod(&mut scene.lab, "shop", "cart", "cart.json");
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    let broken = with_broken_labels(cart.clone());
    scene.change(|lab| {
        write(lab, "cart.json", broken);
        Ok(())
    });
    let (seen, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(seen, Seen::Reset);
    assert_eq!(line["reason"], "peer_unknown", "{line}");
    is_told(&scene, "shop/cart");
    // The others are read on.
    scene.change(|lab| lab.relabel("shop", "rogue", &[("app", "cart")]));
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
    scene.change(|lab| {
        write(lab, "cart.json", cart.to_string());
        Ok(())
    });
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
}

#[test]
fn p26_a_subject_that_becomes_malformed_is_unknown() {
    let mut scene = Scene::guarded(CART_ONLY);
    let web = adopt_pod(&mut scene.lab, "shop", "web", "web.json");
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    scene.change(|lab| {
        write(lab, "web.json", with_broken_labels(web));
        Ok(())
    });
    let (seen, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(seen, Seen::Reset);
    assert_eq!(line["reason"], "subject_unknown", "{line}");
    let (code, text) = scene.sidecar().get("/readyz").unwrap();
    assert!(code == 503 && text.contains("subject_unknown"), "{text}");
}

/// Its subject cannot be read, so it isolates all of its namespace; its rules can be read, so they admit.
#[test]
fn p26_a_policy_with_an_unreadable_subject_isolates_and_keeps_its_good_rules() {
    let spec = format!("{{ podSelector: everything, ingress: {FROM_CART} }}");
    let mut scene = Scene::guarded("");
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
    let broken = policy("broken", &spec);
    scene.change(|lab| lab.policy("shop", "broken", &broken));
    is_told(&scene, "shop/broken");
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    let (seen, line) = scene.ask_logged(&scene.rogue, 80);
    assert_eq!(seen, Seen::Reset);
    assert_eq!(line["nearest_miss"]["policy"], "shop/broken", "{line}");
}

#[test]
fn p26_the_broken_parts_of_a_policy_admit_nobody() {
    let specs = [
        // A list that is none, a peer that is none, an operator that is none.
        "{ podSelector: {}, ingress: everyone }",
        "{ podSelector: {}, ingress: [{ from: everyone }] }",
        "{ podSelector: {}, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: app, operator: Sometimes }] } }] }] }",
        // An exception that cannot be read must not be left out; nor a port.
        "{ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: 10.244.0.0/16, except: [half] } }] }] }",
        "{ podSelector: {}, ingress: [{ ports: [{ port: 80.5 }] }] }",
        // A field that is not known may narrow.
        "{ podSelector: {}, ingress: [{ from: [{ podSelector: {}, fromWhom: friends }] }] }",
        // Nothing can be read at all.
        "everything",
    ];
    let mut scene = Scene::guarded("");
    for spec in specs {
        assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page, "before {spec}");
        let broken = policy("broken", spec);
        scene.change(|lab| lab.policy("shop", "broken", &broken));
        let (seen, line) = scene.ask_logged(&scene.rogue, 80);
        assert_eq!(seen, Seen::Reset, "{spec}: {line}");
        assert_eq!(line["reason"], "no_rule_admits", "{spec}: {line}");
        assert_eq!(scene.ask_v6(&scene.cart, 80), Seen::Reset, "{spec}");
        is_told(&scene, "shop/broken");
        scene.change(|lab| lab.set_policies_yaml(""));
    }
}

#[test]
fn p26_beside_a_malformed_policy_the_others_go_on_working() {
    let broken = policy("broken", "{ podSelector: {}, ingress: everyone }");
    let mut scene = Scene::guarded(&format!("{CART_ONLY}---\n{broken}"));
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Reset);
    scene.change(|lab| lab.relabel("shop", "rogue", &[("app", "cart")]));
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
    scene.change(|lab| lab.remove_policy("shop", "cart-only"));
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Reset);
    let more = policy(
        "more",
        &format!("{{ podSelector: {{}}, ingress: {FROM_CART} }}"),
    );
    scene.change(|lab| lab.policy("shop", "more", &more));
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
}

/// What is no manifest at all is not taken: the last good state is enforced, and the next good one.
#[test]
fn p26_a_file_that_is_no_manifest_keeps_the_last_good_state() {
    let mut scene = Scene::guarded(CART_ONLY);
    write(&scene.lab, "more.yaml", "kind: [");
    let problem = |scene: &Scene| scene.sidecar().metric("podwall_source_problem").unwrap();
    assert!(wait_until(SOON, || problem(&scene) == Some(1.0)));
    let rogue = |lab: &mut Lab| lab.relabel("shop", "rogue", &[("app", "cart")]);
    rogue(&mut scene.lab).unwrap();
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Reset);
    let (code, text) = scene.sidecar().get("/readyz").unwrap();
    assert!(code == 200 && text.contains("more.yaml"), "{text}");
    scene.change(|lab| {
        write(lab, "more.yaml", "# nothing\n");
        Ok(())
    });
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
    assert_eq!(problem(&scene), Some(0.0));
}
