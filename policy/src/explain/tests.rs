#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod property;
mod wording;

use std::sync::Arc;

use super::{Clause, MOST_MISSES, Miss, misses};
use crate::compile::compile;
use crate::flow::Direction::{Egress, Ingress};
use crate::peer::Peer;
use crate::samples::{Who, egress, flow, identity, ingress, rule, subject, table};
use crate::spec::Policy;

fn pod(namespace: &str, namespace_labels: &str, labels: &str) -> Who {
    Who::Pod(identity(namespace, namespace_labels, labels))
}

fn asked(policies: &[Policy], who: &Who, address: &str, port: &str) -> Vec<Miss> {
    let table = table(policies);
    let direction = if table.isolates(Egress) {
        Egress
    } else {
        Ingress
    };
    let flow = flow(direction, port, address);
    who.ask(&table, |peer| misses(&table, &flow, peer))
}

#[test]
fn an_allow_has_no_miss() {
    let open = [ingress("shop/p", "{}", vec![rule(&[], &[])])];
    assert!(asked(&open, &Who::Unknown, "10.0.0.1", "80/TCP").is_empty());
    assert!(asked(&[], &Who::Unknown, "10.0.0.1", "80/TCP").is_empty());
    let closed = table(&[ingress("shop/p", "{}", vec![])]);
    let flow = flow(Ingress, "80/TCP", "10.0.0.1");
    assert!(misses(&closed, &flow, Peer::Node).is_empty());
    assert!(misses(&closed, &flow, Peer::Own).is_empty());
}

#[test]
fn the_nearest_peer_of_a_rule_and_the_nearest_rule_of_a_policy_are_named() {
    let rules = vec![
        rule(&["ns team=z", "pods app=y"], &[]),
        rule(&["broken", "pods app=x"], &["90/TCP"]),
        rule(&["pods app=x"], &["91/TCP"]),
    ];
    let found = asked(
        &[ingress("shop/p", "{}", rules)],
        &pod("shop", "", "app=x"),
        "10.0.0.1",
        "80/TCP",
    );
    assert_eq!((found[0].rule, found[0].clause), (Some(1), Clause::Port));
    let rules = vec![
        rule(&["ns team=z", "pods app=y"], &["90/TCP"]),
        rule(&["pods app=y"], &[]),
    ];
    let found = asked(
        &[ingress("shop/p", "{}", rules)],
        &pod("shop", "", "app=x"),
        "10.0.0.1",
        "80/TCP",
    );
    assert_eq!(
        (found[0].rule, found[0].clause),
        (Some(1), Clause::PodLabels)
    );
}

#[test]
fn the_nearest_policy_comes_first_and_equal_ones_by_name() {
    let policies = [
        ingress("shop/d", "{}", vec![rule(&["pods app=y"], &[])]),
        ingress("shop/a", "{}", vec![]),
        ingress("shop/c", "{}", vec![rule(&["pods app=x"], &["81/TCP"])]),
        ingress("shop/b", "{}", vec![rule(&["pods app=y"], &[])]),
        ingress("shop/not-mine", "app=db", vec![]),
        egress("shop/not-this-way", "{}", vec![]),
    ];
    let table = table(&policies);
    let matching = table.matching(&Arc::new(identity("shop", "", "app=x")));
    let found = misses(
        &table,
        &flow(Ingress, "80/TCP", "10.0.0.1"),
        Peer::Pod(&matching),
    );
    let order: Vec<String> = found.iter().map(|miss| miss.policy.to_string()).collect();
    assert_eq!(order, ["shop/c", "shop/b", "shop/d", "shop/a"]);
}

#[test]
fn what_depends_on_the_unknown_comes_before_what_certainly_misses() {
    let policies = [
        ingress("shop/a", "{}", vec![rule(&[], &["443/TCP"])]),
        ingress(
            "shop/b",
            "{}",
            vec![
                rule(&["pods app=y"], &["443/TCP"]),
                rule(
                    &["10.0.0.0/8 except 10.0.0.0/24", "pods app=x"],
                    &["80/TCP"],
                ),
            ],
        ),
    ];
    let found = asked(&policies, &Who::Unknown, "10.0.0.1", "80/TCP");
    let told: Vec<_> = found
        .iter()
        .map(|miss| (miss.policy.to_string(), miss.rule, miss.clause))
        .collect();
    let expected = [
        ("shop/b".to_owned(), Some(1), Clause::PeerUnknown),
        ("shop/a".to_owned(), Some(0), Clause::Port),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_list_is_capped_and_keeps_the_nearest() {
    let mut policies: Vec<Policy> = (0..MOST_MISSES * 2)
        .map(|at| ingress(&format!("shop/{at:03}"), "{}", vec![]))
        .collect();
    policies.push(ingress("shop/zz", "{}", vec![rule(&[], &["81/TCP"])]));
    let found = asked(&policies, &Who::Outside, "10.0.0.1", "80/TCP");
    assert_eq!(found.len(), MOST_MISSES);
    assert_eq!(found[0].policy.to_string(), "shop/zz");
}

#[test]
fn rules_matched_for_another_table_explain_as_unknown() {
    let policies = [ingress("shop/p", "{}", vec![rule(&["pods app=y"], &[])])];
    let (old, new) = (table(&policies), compile(&policies, &subject(), 2).table);
    let matching = old.matching(&Arc::new(identity("shop", "", "app=x")));
    let found = misses(
        &new,
        &flow(Ingress, "80/TCP", "10.0.0.1"),
        Peer::Pod(&matching),
    );
    assert_eq!(found[0].clause, Clause::PeerUnknown);
}
