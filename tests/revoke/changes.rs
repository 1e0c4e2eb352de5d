//! P28: every kind of change that can turn a verdict cuts what it turns.

use super::cut::Stage;
use crate::manifests::{adopt_namespace, adopt_pod, with_broken_labels, write};
use crate::support::CART_ONLY;

/// Lets only pods with keep=yes into shop/web, under the name of [`CART_ONLY`].
const KEEP_ONLY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: cart-only, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ podSelector: { matchLabels: { keep: 'yes' } } }]
";

/// Lets pods of namespaces with team=a or team=b into shop/web.
const TEAMS: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: teams, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ namespaceSelector: { matchExpressions: [{ key: team, operator: In, values: [a, b] }] } }]
";

/// Selects shop/web only once it has the label guarded=yes.
const GUARDED: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: guarded, namespace: shop }
spec:
  podSelector: { matchLabels: { guarded: 'yes' } }
  ingress:
    - from: [{ podSelector: { matchLabels: { keep: 'yes' } } }]
";

#[test]
fn p28_a_policy_that_changes_cuts() {
    let mut stage = Stage::set(CART_ONLY);
    let pairs = stage.open(&stage.scene.cart);
    stage.cuts(pairs, "no_rule_admits", |lab| {
        lab.policy("shop", "cart-only", KEEP_ONLY).unwrap();
    });
}

#[test]
fn p28_the_first_policy_cuts_what_nothing_forbade() {
    let mut stage = Stage::set("");
    let pairs = stage.open(&stage.scene.rogue);
    stage.cuts(pairs, "no_rule_admits", |lab| {
        lab.policy("shop", "cart-only", KEEP_ONLY).unwrap();
    });
}

#[test]
fn p28_a_policy_that_goes_takes_its_connections_along() {
    let both = format!("{CART_ONLY}---\n{}", KEEP_ONLY.replace("cart-only", "keep"));
    let mut stage = Stage::set(&both);
    let pairs = stage.open(&stage.scene.cart);
    stage.cuts(pairs, "no_rule_admits", |lab| {
        lab.remove_policy("shop", "cart-only").unwrap();
    });
}

#[test]
fn p28_a_peer_that_is_relabelled_is_cut() {
    let mut stage = Stage::set(CART_ONLY);
    let pairs = stage.open(&stage.scene.cart);
    stage.cuts(pairs, "no_rule_admits", |lab| {
        lab.relabel("shop", "cart", &[("app", "other")]).unwrap();
    });
}

#[test]
fn p28_a_namespace_that_is_relabelled_takes_its_pods_along() {
    let mut stage = Stage::set(TEAMS);
    let pairs = stage.open(&stage.scene.stranger);
    stage.cuts(pairs, "no_rule_admits", |lab| {
        lab.namespace("other", &[("team", "c")]).unwrap();
    });
}

#[test]
fn p28_a_namespace_whose_object_goes_is_unknown_and_not_without_labels() {
    let mut stage = Stage::set(TEAMS);
    let pairs = stage.open(&stage.scene.stranger);
    stage.cuts(pairs, "peer_unknown", |lab| {
        lab.remove_namespace("other").unwrap();
    });
}

#[test]
fn p26_p28_a_namespace_that_becomes_malformed_takes_its_pods_along() {
    let mut namespace = None;
    let mut stage = Stage::set_with(TEAMS, &[], |lab| {
        namespace = Some(adopt_namespace(lab, "other", "other.json"));
    });
    let pairs = stage.open(&stage.scene.stranger);
    let broken = with_broken_labels(namespace.unwrap());
    stage.cuts(pairs, "peer_unknown", |lab| {
        write(lab, "other.json", broken);
    });
}

#[test]
fn p26_p28_a_peer_that_becomes_malformed_is_cut() {
    let mut cart = None;
    let mut stage = Stage::set_with(CART_ONLY, &[], |lab| {
        cart = Some(adopt_pod(lab, "shop", "cart", "cart.json"));
    });
    let pairs = stage.open(&stage.scene.cart);
    let broken = with_broken_labels(cart.unwrap());
    stage.cuts(pairs, "peer_unknown", |lab| write(lab, "cart.json", broken));
}

#[test]
fn s78_p28_a_subject_that_is_relabelled_into_isolation_cuts() {
    let mut stage = Stage::set(GUARDED);
    let pairs = stage.open(&stage.scene.cart);
    stage.cuts(pairs, "no_rule_admits", |lab| {
        lab.relabel("shop", "web", &[("app", "web"), ("guarded", "yes")])
            .unwrap();
    });
}
