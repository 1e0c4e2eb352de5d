#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::picks;
use crate::compile::compile;
use crate::decide::decide;
use crate::flow::Direction::{Egress, Ingress};
use crate::peer::Peer;
use crate::samples::{egress, flow, identity, ingress, rule, subject, table, with_ports};
use crate::selector::Picks::{self, No, Unknown, Yes};
use crate::spec::Peers;

/// Whether a peer item of a policy in `shop` picks a pod: namespace, its labels, the pod's labels.
fn check(item: &str, rows: &[(&str, &str, &str, Picks)]) {
    let Peers::OneOf(peers) = rule(&[item], &[]).peers else {
        panic!("{item} is one peer");
    };
    for (namespace, namespace_labels, labels, expected) in rows {
        let identity = identity(namespace, namespace_labels, labels);
        let picked = picks(&peers[0], "shop", &identity);
        assert_eq!(
            picked, *expected,
            "{item} on {namespace} {namespace_labels} {labels}"
        );
    }
}

#[test]
fn s21_a_pod_selector_alone_means_the_own_namespace() {
    check(
        "pods app=x",
        &[
            ("shop", "", "app=x", Yes),
            ("shop", "?", "app=x", Yes),
            ("shop", "", "app=y", No),
            ("bank", "", "app=x", No),
            ("bank", "?", "app=x", No),
        ],
    );
}

#[test]
fn s22_a_namespace_selector_alone_means_all_pods_of_matching_namespaces() {
    check(
        "ns team=a",
        &[
            ("bank", "team=a", "", Yes),
            ("bank", "team=b", "", No),
            ("bank", "?", "", Unknown),
            ("shop", "team=b", "", No),
        ],
    );
}

#[test]
fn s23_s31_both_must_match_and_a_pod_that_does_not_settles_it() {
    check(
        "ns team=a pods app=x",
        &[
            ("bank", "team=a", "app=x", Yes),
            ("bank", "team=a", "app=y", No),
            ("bank", "team=b", "app=x", No),
            ("bank", "?", "app=x", Unknown),
            ("bank", "?", "app=y", No),
        ],
    );
}

#[test]
fn s25_every_namespace_needs_no_labels() {
    check("ns {}", &[("bank", "?", "", Yes), ("bank", "", "", Yes)]);
}

#[test]
fn p27_an_absent_label_and_an_unknown_one_differ() {
    check(
        "ns team!=a",
        &[("bank", "", "", Yes), ("bank", "?", "", Unknown)],
    );
    check(
        "ns !team",
        &[("bank", "", "", Yes), ("bank", "?", "", Unknown)],
    );
}

#[test]
fn s28_s38_what_cannot_be_read_picks_nobody() {
    let pod = ("shop", "team=a", "app=x", No);
    for item in [
        "broken",
        "pods <unreadable>",
        "ns <unreadable>",
        "ns {} pods <unreadable>",
        "ns <unreadable> pods {}",
        "10.0.0.0/8",
    ] {
        check(item, &[pod]);
    }
}

#[test]
fn rules_of_both_directions_have_different_names() {
    let table = table(&[
        ingress("shop/in", "{}", vec![rule(&[], &["1/TCP"]), rule(&[], &[])]),
        egress(
            "shop/out",
            "{}",
            vec![rule(&[], &["1/TCP"]), rule(&[], &[])],
        ),
    ]);
    for (direction, expected) in [(Ingress, "shop/in"), (Egress, "shop/out")] {
        let verdict = decide(
            &table,
            &flow(direction, "80/TCP", "10.0.0.1"),
            Peer::Unknown,
        );
        let (name, index) = table.rule_name(verdict.rule().unwrap()).unwrap();
        assert_eq!((name.to_string().as_str(), index), (expected, 1));
    }
}

#[test]
fn a_rule_of_another_generation_has_no_name_here() {
    let policies = [ingress("shop/in", "{}", vec![rule(&[], &[])])];
    let (old, new) = (table(&policies), compile(&policies, &subject(), 2).table);
    let verdict = decide(&old, &flow(Ingress, "80/TCP", "10.0.0.1"), Peer::Unknown);
    let rule = verdict.rule().unwrap();
    assert!(old.rule_name(rule).is_some());
    assert!(new.rule_name(rule).is_none());
}

#[test]
fn matching_keeps_no_set_where_nothing_matches() {
    let rules = || (0..200).map(|_| rule(&["pods app=x"], &[])).collect();
    let table = table(&[ingress("shop/in", "{}", rules())]);
    let matching = table.matching(&Arc::new(identity("shop", "", "app=y")));
    assert_eq!(matching.sides[0].yes, crate::rule_set::RuleSet::empty(0));
    assert_eq!(&*matching.identity().namespace, "shop");
}

#[test]
fn s53_a_name_resolves_by_protocol_in_the_peer() {
    let table = table(&[egress("shop/out", "{}", vec![rule(&[], &["dns/UDP"])])]);
    let peer = with_ports(identity("bank", "", ""), &["dns=5353/UDP", "dns=54/TCP"]);
    let matching = table.matching(&Arc::new(peer));
    for (port, expected) in [
        ("5353/UDP", "rule"),
        ("53/UDP", "no_rule_admits"),
        ("54/TCP", "no_rule_admits"),
        ("54/UDP", "no_rule_admits"),
    ] {
        let verdict = decide(
            &table,
            &flow(Egress, port, "10.0.0.1"),
            Peer::Pod(&matching),
        );
        assert_eq!(verdict.reason(), expected, "{port}");
    }
}
