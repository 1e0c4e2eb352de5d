#![allow(clippy::unwrap_used, clippy::expect_used)]

use podwall_policy::compile::selects;
use podwall_policy::document;
use podwall_policy::flow::{Direction, Protocol};
use podwall_policy::labels::Labels;
use podwall_policy::object::Object;

use super::*;

const ONLY_FRIENDS: &str = "
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {name: only-friends, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}
";

fn policy(yaml: &str) -> Arc<Policy> {
    match document::read("test", yaml).unwrap().objects.remove(0) {
        Object::Policy(policy) => Arc::new(policy),
        other => panic!("{other:?}"),
    }
}

fn identity(app: &str) -> Arc<Identity> {
    Arc::new(Identity {
        namespace: "shop".into(),
        namespace_labels: Some(Labels::default()),
        labels: [("app", app)].into_iter().collect(),
        named_ports: [].into(),
    })
}

fn judge() -> Judge {
    Judge::new(&[policy(ONLY_FRIENDS)], &identity("web"), 1).0
}

fn reason(judge: &Judge, identity: &Arc<Identity>, slot: usize) -> &'static str {
    let name = ObjectName::new("shop", "peer");
    let flow = Flow::with_peer_address(Direction::Ingress, Protocol::Tcp, 80, None);
    let sender = Sender::Pod {
        name: &name,
        identity,
        slot,
    };
    judge.rule(&flow, sender, 1).decision.reason()
}

#[test]
fn what_is_kept_for_a_number_holds_until_it_is_forgotten() {
    let (friend, stranger) = (identity("friend"), identity("stranger"));
    let mut judge = judge();
    judge.make_room(2);
    assert_eq!(reason(&judge, &friend, 0), "rule");
    assert_eq!(reason(&judge, &stranger, 1), "no_rule_admits");
    judge.forget(0);
    assert_eq!(reason(&judge, &stranger, 0), "no_rule_admits");
    assert_eq!(reason(&judge, &stranger, 1), "no_rule_admits");
}

#[test]
fn a_number_without_room_is_judged_all_the_same() {
    let judge = judge();
    assert_eq!(reason(&judge, &identity("friend"), 7), "rule");
    assert_eq!(reason(&judge, &identity("stranger"), 7), "no_rule_admits");
}

#[test]
fn only_policies_that_may_select_the_subject_concern_it() {
    let web = identity("web");
    assert!(selects(&policy(ONLY_FRIENDS), &web));
    assert!(!selects(&policy(ONLY_FRIENDS), &identity("db")));
    assert!(!selects(
        &policy(&ONLY_FRIENDS.replace("namespace: shop", "namespace: other")),
        &web
    ));
    // P26: a selector that cannot be read selects all of its namespace.
    let broken = ONLY_FRIENDS.replace(
        "{matchLabels: {app: web}}",
        "{matchExpressions: [{key: app, operator: Like}]}",
    );
    assert!(selects(&policy(&broken), &identity("db")));
}
