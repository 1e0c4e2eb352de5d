#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::{compile, cut_out};
use crate::flow::Direction::{self, Egress, Ingress};
use crate::samples::{
    Who, egress, flow, identity, ingress, rule, says, subject, table, with_ports,
};
use crate::spec::Policy;

fn names(policies: &[Policy], direction: Direction) -> Vec<String> {
    table(policies)
        .isolating(direction)
        .map(ToString::to_string)
        .collect()
}

#[test]
fn s01_s02_only_selecting_policies_isolate_and_only_their_direction() {
    let policies = [
        ingress("shop/other", "app=db", vec![]),
        egress("shop/out", "app=web", vec![]),
        ingress("shop/in", "app=web", vec![]),
    ];
    assert_eq!(names(&policies, Ingress), ["shop/in"]);
    assert_eq!(names(&policies, Egress), ["shop/out"]);
    assert!(!table(&policies[..1]).isolates(Ingress));
}

#[test]
fn s05_a_policy_selects_in_its_own_namespace_only() {
    assert!(names(&[ingress("bank/all", "{}", vec![])], Ingress).is_empty());
    assert_eq!(
        names(&[ingress("shop/all", "{}", vec![])], Ingress),
        ["shop/all"]
    );
}

#[test]
fn p26_an_unreadable_subject_selects_its_whole_namespace() {
    let policies = [
        ingress("shop/broken", "<unreadable>", vec![]),
        ingress("bank/broken", "<unreadable>", vec![]),
    ];
    assert_eq!(names(&policies, Ingress), ["shop/broken"]);
}

#[test]
fn takes_what_the_caller_has() {
    let policy = ingress("shop/in", "app=web", vec![]);
    let shared = [Arc::new(policy.clone())];
    for compiled in [
        compile(std::slice::from_ref(&policy), &subject(), 7),
        compile(shared.iter().cloned(), &subject(), 7),
        compile(shared.iter().map(AsRef::as_ref), &subject(), 7),
    ] {
        assert!(compiled.table.isolates(Ingress));
        assert_eq!(compiled.table.generation(), 7);
    }
}

#[test]
fn the_deciding_rule_does_not_depend_on_the_order_of_policies() {
    let mut policies = vec![
        ingress("shop/b", "{}", vec![rule(&[], &[])]),
        ingress(
            "shop/a",
            "{}",
            vec![rule(&[], &["1/TCP"]), rule(&[], &["80/TCP"])],
        ),
        ingress("shop/c", "{}", vec![rule(&[], &[])]),
    ];
    for _ in 0..policies.len() {
        let asked = flow(Ingress, "80/TCP", "10.0.0.1");
        assert_eq!(says(&table(&policies), &asked, &Who::Outside), "shop/a#1");
        policies.rotate_left(1);
    }
}

#[test]
fn s08_a_policy_being_deleted_isolates_and_is_reported() {
    let mut policy = ingress("shop/going", "{}", vec![]);
    policy.terminating = true;
    let compiled = compile([&policy], &subject(), 1);
    assert!(compiled.table.isolates(Ingress));
    let [found] = &compiled.diagnostics[..] else {
        panic!("{:?}", compiled.diagnostics)
    };
    assert_eq!(
        found.place,
        "NetworkPolicy shop/going: metadata.deletionTimestamp"
    );
}

#[test]
fn s56_a_name_that_no_container_declares_is_reported() {
    let rules = vec![
        rule(&[], &["80/TCP", "http/TCP"]),
        rule(&[], &["metrics/TCP", "dns/TCP", "dns/UDP"]),
    ];
    let compiled = compile([&ingress("shop/in", "{}", rules)], &subject(), 1);
    let found: Vec<String> = compiled
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    expect_test::expect![[r#"
        [
            "warning: NetworkPolicy shop/in: spec.ingress[1].ports[0].port: no container declares a port named \"metrics\"; it admits nobody; declare it as a TCP container port of the pods, or write the port's number",
            "warning: NetworkPolicy shop/in: spec.ingress[1].ports[1].port: port \"dns\" is declared for UDP, not TCP; it admits nobody; declare it as a TCP container port of the pods, or write the port's number",
        ]
    "#]]
    .assert_debug_eq(&found);
}

#[test]
fn s52_egress_names_are_the_peers_to_declare_so_nothing_is_reported() {
    let policy = egress("shop/out", "{}", vec![rule(&[], &["metrics/TCP"])]);
    assert!(compile([&policy], &subject(), 1).diagnostics.is_empty());
}

#[test]
fn s54_a_name_declared_twice_stands_for_both_numbers() {
    let subject = with_ports(subject(), &["http=8080/TCP", "http=8081/TCP"]);
    let policy = ingress("shop/in", "{}", vec![rule(&[], &["http/TCP"])]);
    let table = compile([&policy], &subject, 1).table;
    for (port, expected) in [
        ("8080/TCP", "shop/in#0"),
        ("8081/TCP", "shop/in#0"),
        ("8080/UDP", "no_rule_admits"),
    ] {
        let asked = flow(Ingress, port, "10.0.0.1");
        assert_eq!(says(&table, &asked, &Who::Outside), expected, "{port}");
    }
}

/// The pieces of `whole` without `except`.
fn pieces(whole: (u128, u128), except: &[(u128, u128)]) -> Vec<(u128, u128)> {
    let mut out = Vec::new();
    cut_out(whole, except.to_vec(), |first, last| {
        out.push((first, last))
    });
    out
}

#[test]
fn s40_exceptions_are_cut_out() {
    let max = u128::MAX;
    for (whole, except, left) in [
        ((10, 20), vec![], vec![(10, 20)]),
        ((10, 20), vec![(12, 14)], vec![(10, 11), (15, 20)]),
        (
            (10, 20),
            vec![(16, 18), (12, 14)],
            vec![(10, 11), (15, 15), (19, 20)],
        ),
        ((10, 20), vec![(12, 18), (13, 14)], vec![(10, 11), (19, 20)]),
        ((10, 20), vec![(12, 14), (15, 16)], vec![(10, 11), (17, 20)]),
        ((10, 20), vec![(10, 20)], vec![]),
        ((10, 20), vec![(0, 30)], vec![]),
        ((10, 20), vec![(0, 9), (21, 30)], vec![(10, 20)]),
        ((10, 20), vec![(0, 10), (20, 30)], vec![(11, 19)]),
        ((0, max), vec![(0, 0)], vec![(1, max)]),
        ((0, max), vec![(max, max)], vec![(0, max - 1)]),
        ((0, max), vec![(0, max)], vec![]),
    ] {
        assert_eq!(pieces(whole, &except), left, "{whole:?} without {except:?}");
    }
}

#[test]
fn a_subject_with_unknown_namespace_labels_compiles_the_same() {
    let policy = ingress("shop/in", "app=web", vec![]);
    let subject = identity("shop", "?", "app=web");
    assert!(compile([&policy], &subject, 1).table.isolates(Ingress));
}
