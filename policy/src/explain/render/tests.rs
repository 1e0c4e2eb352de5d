#![allow(clippy::unwrap_used, clippy::expect_used)]

use expect_test::{Expect, expect};

use super::{Explanation, Side};
use crate::decide::decide;
use crate::explain::misses;
use crate::flow::Direction::{self, Egress, Ingress};
use crate::samples::{Who, egress, flow, identity, ingress, rule, table};
use crate::spec::Policy;

/// `shop/cart` at 10.0.0.7 asks `shop/web` for a port.
fn check(port: &str, into: &[Policy], out_of: Option<&[Policy]>, expected: &Expect) {
    let peer = Who::Pod(identity("shop", "", "app=cart"));
    let answer = |policies: &[Policy], direction: Direction| {
        let table = table(policies);
        let flow = flow(direction, port, "10.0.0.7");
        let (verdict, misses) = peer.ask(&table, |peer| {
            (decide(&table, &flow, peer), misses(&table, &flow, peer))
        });
        (table, verdict, misses)
    };
    let inward = answer(into, Ingress);
    let outward = out_of.map(|policies| answer(policies, Egress));
    let asked = flow(Ingress, port, "10.0.0.7");
    let explanation = Explanation {
        from: "shop/cart",
        to: "shop/web",
        protocol: asked.protocol,
        port: asked.port,
        ingress: Side {
            direction: Ingress,
            table: &inward.0,
            verdict: inward.1,
            misses: &inward.2,
            enforced: true,
        },
        egress: outward.as_ref().map(|side| Side {
            direction: Egress,
            table: &side.0,
            verdict: side.1,
            misses: &side.2,
            enforced: false,
        }),
    };
    expected.assert_eq(&explanation.to_string());
}

#[test]
fn explain_names_the_nearest_miss() {
    let policies = [
        ingress(
            "shop/allow-cart",
            "{}",
            vec![rule(&["pods app=cart"], &["80/TCP"])],
        ),
        ingress("shop/deny-all", "{}", vec![]),
    ];
    check(
        "81/TCP",
        &policies,
        Some(&[]),
        &expect![[r#"
        DENY  81/TCP  shop/cart -> shop/web  no_rule_admits
        ingress  deny: isolated by shop/allow-cart, shop/deny-all
                 shop/allow-cart rule 0: the peer matches; port 81/TCP is not 80/TCP
                 shop/deny-all: the policy has no ingress rule, so it admits nobody
        egress   allow: not isolated (podwall does not enforce egress yet)
    "#]],
    );
}

#[test]
fn explain_names_the_rule_that_admits() {
    let policies = [ingress(
        "shop/allow-cart",
        "{}",
        vec![rule(&["pods app=cart"], &["80/TCP"])],
    )];
    check(
        "80/TCP",
        &policies,
        None,
        &expect![[r#"
        ALLOW  80/TCP  shop/cart -> shop/web  rule
        ingress  allow: shop/allow-cart rule 0
        egress   shop/cart is no pod
    "#]],
    );
}

#[test]
fn s04_either_side_can_deny() {
    let closed = [egress("shop/out", "{}", vec![])];
    check(
        "80/TCP",
        &[],
        Some(&closed),
        &expect![[r#"
        DENY  80/TCP  shop/cart -> shop/web  no_rule_admits
        ingress  allow: not isolated
        egress   deny: isolated by shop/out (podwall does not enforce egress yet)
                 shop/out: the policy has no egress rule, so it admits nobody
    "#]],
    );
}

#[test]
fn many_policies_are_counted() {
    let policies: Vec<Policy> = (0..10)
        .map(|at| ingress(&format!("shop/p{at}"), "{}", vec![]))
        .collect();
    let table = table(&policies);
    let flow = flow(Ingress, "80/TCP", "10.0.0.7");
    let verdict = Who::Unknown.ask(&table, |peer| decide(&table, &flow, peer));
    let side = Side {
        direction: Ingress,
        table: &table,
        verdict,
        misses: &[],
        enforced: true,
    };
    expect![[r#"
        ingress  deny: isolated by shop/p0, shop/p1, shop/p2, shop/p3, shop/p4, shop/p5, shop/p6, shop/p7 and 2 more
    "#]]
    .assert_eq(&side.to_string());
}
