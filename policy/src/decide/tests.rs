#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::decide;
use crate::compile::compile;
use crate::compiled::Table;
use crate::flow::Direction::{Egress, Ingress};
use crate::peer::Peer;
use crate::samples::{
    Who, egress, flow, identity, ingress, rule, says, subject, table, with_ports,
};
use crate::spec::Rule;
use crate::verdict::{AllowReason, Verdict};

const DENY: &str = "no_rule_admits";
const UNKNOWN: &str = "peer_unknown";

fn pod(namespace: &str, namespace_labels: &str, labels: &str) -> Who {
    Who::Pod(identity(namespace, namespace_labels, labels))
}

/// A table of `shop/p`, which selects the subject for ingress.
fn into(rules: Vec<Rule>) -> Table {
    table(&[ingress("shop/p", "{}", rules)])
}

/// The same for egress.
fn out_of(rules: Vec<Rule>) -> Table {
    table(&[egress("shop/p", "{}", rules)])
}

/// Rows of peer, its address, port, and what is said of them.
fn check(table: &Table, rows: &[(Who, &str, &str, &str)]) {
    let direction = if table.isolates(Egress) {
        Egress
    } else {
        Ingress
    };
    for (who, address, port, expected) in rows {
        let said = says(table, &flow(direction, port, address), who);
        assert_eq!(said, *expected, "{who:?} {address} {port}");
    }
}

#[test]
fn s63_s68_node_and_own_pass_whatever_the_policies() {
    let closed = into(vec![]);
    let asked = flow(Ingress, "80/TCP", "10.0.0.1");
    assert_eq!(
        decide(&closed, &asked, Peer::Node),
        Verdict::Allow(AllowReason::Node)
    );
    assert_eq!(
        decide(&closed, &asked, Peer::Own),
        Verdict::Allow(AllowReason::Own)
    );
}

#[test]
fn s01_nobody_is_asked_for_where_nothing_isolates() {
    for direction in [Ingress, Egress] {
        let asked = flow(direction, "80/TCP", "");
        assert_eq!(says(&table(&[]), &asked, &Who::Unknown), "not_isolated");
    }
}

#[test]
fn s15_s16_no_rule_admits_nobody_and_an_empty_rule_everybody() {
    let rows = |said| {
        [
            (Who::Outside, "10.0.0.1", "80/TCP", said),
            (Who::Unknown, "", "9/SCTP", said),
        ]
    };
    check(&into(vec![]), &rows(DENY));
    check(&into(vec![rule(&[], &[])]), &rows("shop/p#0"));
}

#[test]
fn s19_peer_and_port_match_in_one_rule() {
    let rules = vec![
        rule(&["pods app=x"], &["80/TCP"]),
        rule(&["pods app=y"], &["90/TCP"]),
    ];
    check(
        &into(rules),
        &[
            (pod("shop", "", "app=x"), "10.0.0.1", "80/TCP", "shop/p#0"),
            (pod("shop", "", "app=x"), "10.0.0.1", "90/TCP", DENY),
            (pod("shop", "", "app=y"), "10.0.0.1", "90/TCP", "shop/p#1"),
            (pod("shop", "", "app=y"), "10.0.0.1", "80/TCP", DENY),
        ],
    );
}

#[test]
fn s30_only_blocks_and_open_rules_admit_what_is_no_pod() {
    let rules = vec![
        rule(&["ns {}"], &["80/TCP"]),
        rule(&["10.0.0.0/8"], &["81/TCP"]),
        rule(&[], &["82/TCP"]),
    ];
    check(
        &into(rules),
        &[
            (Who::Outside, "10.0.0.1", "80/TCP", DENY),
            (Who::Outside, "10.0.0.1", "81/TCP", "shop/p#1"),
            (Who::Outside, "11.0.0.1", "81/TCP", DENY),
            (Who::Outside, "11.0.0.1", "82/TCP", "shop/p#2"),
        ],
    );
}

#[test]
fn an_unknown_peer_is_decided_where_the_answer_is_certain() {
    let rules = vec![
        rule(&["pods app=x"], &["80/TCP"]),
        rule(&["10.0.0.0/8"], &["80-81/TCP"]),
        rule(&["pods <unreadable>", "broken"], &["82/TCP"]),
    ];
    check(
        &into(rules),
        &[
            (Who::Unknown, "10.0.0.1", "80/TCP", "shop/p#1"),
            (Who::Unknown, "11.0.0.1", "80/TCP", UNKNOWN),
            (Who::Unknown, "11.0.0.1", "81/TCP", DENY),
            (Who::Unknown, "11.0.0.1", "82/TCP", DENY),
            (Who::Unknown, "11.0.0.1", "80/UDP", DENY),
        ],
    );
}

#[test]
fn s31_a_pod_of_an_unknown_namespace_is_unknown_only_where_that_matters() {
    let rules = vec![
        rule(&["ns team=a pods app=x", "pods app=z"], &[]),
        rule(&["ns {} pods app=y"], &[]),
    ];
    check(
        &into(rules),
        &[
            (pod("bank", "?", "app=x"), "10.0.0.1", "80/TCP", UNKNOWN),
            (pod("bank", "?", "app=y"), "10.0.0.1", "80/TCP", "shop/p#1"),
            (pod("bank", "?", "app=w"), "10.0.0.1", "80/TCP", DENY),
            (pod("shop", "?", "app=z"), "10.0.0.1", "80/TCP", "shop/p#0"),
        ],
    );
}

#[test]
fn a_pod_without_address_leaves_blocks_undecided() {
    let rules = vec![
        rule(&["10.0.0.0/8"], &["80/TCP"]),
        rule(&["pods app=x"], &[]),
    ];
    check(
        &into(rules),
        &[
            (pod("shop", "", "app=y"), "", "80/TCP", UNKNOWN),
            (pod("shop", "", "app=y"), "", "81/TCP", DENY),
            (pod("shop", "", "app=x"), "", "80/TCP", "shop/p#1"),
        ],
    );
}

#[test]
fn s40_s42_a_block_less_its_exceptions_in_its_own_family() {
    let rules = vec![
        rule(&["10.0.0.0/8 except 10.1.0.0/16 10.2.3.4/32"], &[]),
        rule(&["fd00::/8 except fd00::/64"], &[]),
        rule(&["10.1.2.0/24"], &["90/TCP"]),
    ];
    check(
        &into(rules),
        &[
            (Who::Outside, "10.0.255.255", "80/TCP", "shop/p#0"),
            (Who::Outside, "10.1.0.0", "80/TCP", DENY),
            (Who::Outside, "10.1.255.255", "80/TCP", DENY),
            (Who::Outside, "10.2.0.0", "80/TCP", "shop/p#0"),
            (Who::Outside, "10.2.3.4", "80/TCP", DENY),
            (Who::Outside, "11.0.0.0", "80/TCP", DENY),
            (Who::Outside, "10.1.2.3", "90/TCP", "shop/p#2"),
            (Who::Outside, "fd00::1", "80/TCP", DENY),
            (Who::Outside, "fd00:0:0:1::1", "80/TCP", "shop/p#1"),
            (Who::Outside, "::a00:1", "80/TCP", DENY),
        ],
    );
}

#[test]
fn s42_one_familys_everything_is_not_the_others() {
    let v4 = into(vec![rule(&["0.0.0.0/0"], &[])]);
    check(
        &v4,
        &[
            (Who::Outside, "255.255.255.255", "80/TCP", "shop/p#0"),
            (Who::Outside, "::1", "80/TCP", DENY),
        ],
    );
    let v6 = into(vec![rule(&["::/0"], &[])]);
    check(
        &v6,
        &[
            (Who::Outside, "0.0.0.0", "80/TCP", DENY),
            (Who::Outside, "ffff::", "80/TCP", "shop/p#0"),
        ],
    );
}

#[test]
fn s41_an_exception_of_the_other_family_takes_nothing_out() {
    let table = into(vec![rule(&["10.0.0.0/8 except ::/0"], &[])]);
    check(&table, &[(Who::Outside, "10.0.0.1", "80/TCP", "shop/p#0")]);
}

#[test]
fn s49_s57_s60_ranges_hold_within_their_protocol() {
    let rules = vec![
        rule(&[], &["8000-8010/TCP"]),
        rule(&[], &["/SCTP"]),
        rule(&[], &["broken"]),
    ];
    check(
        &into(rules),
        &[
            (Who::Outside, "10.0.0.1", "7999/TCP", DENY),
            (Who::Outside, "10.0.0.1", "8000/TCP", "shop/p#0"),
            (Who::Outside, "10.0.0.1", "8010/TCP", "shop/p#0"),
            (Who::Outside, "10.0.0.1", "8011/TCP", DENY),
            (Who::Outside, "10.0.0.1", "8000/UDP", DENY),
            (Who::Outside, "10.0.0.1", "8000/SCTP", "shop/p#1"),
        ],
    );
}

#[test]
fn s52_s55_s56_ingress_names_are_the_subjects() {
    let rules = vec![rule(&["10.0.0.0/8"], &["http/TCP", "metrics/TCP"])];
    check(
        &into(rules),
        &[
            (Who::Outside, "10.0.0.1", "8080/TCP", "shop/p#0"),
            (Who::Unknown, "10.0.0.1", "8080/TCP", "shop/p#0"),
            (Who::Outside, "10.0.0.1", "80/TCP", DENY),
            (Who::Outside, "10.0.0.1", "8080/UDP", DENY),
        ],
    );
}

#[test]
fn s52_s55_egress_names_are_the_peers() {
    let rules = vec![rule(&["10.0.0.0/8", "pods app=x"], &["http/TCP"])];
    let peer = |number: &str| {
        let port = format!("http={number}/TCP");
        Who::Pod(with_ports(identity("shop", "", "app=x"), &[&port]))
    };
    check(
        &out_of(rules),
        &[
            (peer("80"), "11.0.0.1", "80/TCP", "shop/p#0"),
            (peer("81"), "11.0.0.1", "80/TCP", DENY),
            (pod("shop", "", "app=x"), "10.0.0.1", "80/TCP", DENY),
            (Who::Outside, "10.0.0.1", "80/TCP", DENY),
            (Who::Unknown, "10.0.0.1", "80/TCP", UNKNOWN),
            (Who::Unknown, "11.0.0.1", "80/TCP", UNKNOWN),
            (Who::Unknown, "10.0.0.1", "80/UDP", DENY),
        ],
    );
}

#[test]
fn the_lowest_rule_that_admits_is_named_beyond_64_too() {
    let mut rules: Vec<Rule> = (0..150).map(|_| rule(&["pods app=y"], &[])).collect();
    rules[70] = rule(&["10.0.0.0/8"], &[]);
    rules[130] = rule(&["pods app=x"], &["80/TCP"]);
    check(
        &into(rules),
        &[
            (pod("shop", "", "app=x"), "10.0.0.1", "80/TCP", "shop/p#70"),
            (pod("shop", "", "app=x"), "11.0.0.1", "80/TCP", "shop/p#130"),
            (pod("shop", "", "app=x"), "11.0.0.1", "81/TCP", DENY),
            (Who::Unknown, "11.0.0.1", "81/TCP", UNKNOWN),
            (Who::Unknown, "10.0.0.1", "81/TCP", "shop/p#70"),
        ],
    );
}

#[test]
fn rules_matched_for_another_table_count_as_unknown() {
    let policy = |peer| {
        ingress(
            "shop/p",
            "{}",
            vec![rule(&[peer], &[]), rule(&["10.0.0.0/8"], &[])],
        )
    };
    let old = table(&[policy("pods app=x")]);
    let new = compile([&policy("pods app=y")], &subject(), 2).table;
    let matching = old.matching(&Arc::new(identity("shop", "", "app=x")));
    let stale = |address| {
        decide(
            &new,
            &flow(Ingress, "80/TCP", address),
            Peer::Pod(&matching),
        )
        .reason()
    };
    assert_eq!(stale("11.0.0.1"), UNKNOWN);
    assert_eq!(stale("10.0.0.1"), "rule");
}
