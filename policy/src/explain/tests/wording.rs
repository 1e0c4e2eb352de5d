//! What a person reads of each clause.

use super::{asked, pod};
use crate::explain::Clause;
use crate::samples::{Who, egress, identity, ingress, rule, with_ports};
use crate::spec::{Policy, Rule};

/// What a policy of one ingress rule says to a refused peer: `clause: detail`.
fn check(one: Rule, rows: &[(Who, &str, &str, &str)]) {
    check_policy(&ingress("shop/p", "{}", vec![one]), rows);
}

fn check_policy(policy: &Policy, rows: &[(Who, &str, &str, &str)]) {
    for (who, address, port, expected) in rows {
        let found = asked(std::slice::from_ref(policy), who, address, port);
        let [miss] = &found[..] else {
            panic!("{who:?} {address} {port}: {found:?}");
        };
        let said = format!("{}: {}", miss.clause.label(), miss.detail);
        assert_eq!(said, *expected, "{who:?} {address} {port}");
        assert_eq!(miss.policy.to_string(), "shop/p");
    }
}

#[test]
fn a_policy_without_rules() {
    let miss = &asked(
        &[ingress("shop/p", "{}", vec![])],
        &Who::Outside,
        "10.0.0.1",
        "80/TCP",
    )[0];
    assert_eq!((miss.rule, miss.clause), (None, Clause::NoRules));
    assert_eq!(
        miss.detail,
        "the policy has no ingress rule, so it admits nobody"
    );
}

#[test]
fn the_port() {
    let named =
        "port: port 9000/TCP is not http (8080/TCP) or metrics/TCP (declared by no container)";
    let x = || pod("shop", "", "app=x");
    check(
        rule(&["pods app=x"], &["80/TCP"]),
        &[(
            x(),
            "10.0.0.1",
            "9000/TCP",
            "port: port 9000/TCP is not 80/TCP",
        )],
    );
    check(
        rule(&[], &["http/TCP", "metrics/TCP"]),
        &[(x(), "10.0.0.1", "9000/TCP", named)],
    );
    check(
        rule(&[], &["80-90/TCP", "/UDP", "broken"]),
        &[(
            x(),
            "10.0.0.1",
            "79/TCP",
            "port: port 79/TCP is not 80-90/TCP or any UDP port or one that cannot be read",
        )],
    );
    check(
        rule(&[], &["1/TCP", "2/TCP", "3/TCP", "4/TCP", "5/TCP", "6/TCP"]),
        &[(
            x(),
            "10.0.0.1",
            "79/TCP",
            "port: port 79/TCP is not 1/TCP or 2/TCP or 3/TCP or 4/TCP or 2 more",
        )],
    );
}

#[test]
fn s56_a_name_that_nobody_declares() {
    check(
        rule(&[], &["metrics/TCP"]),
        &[(
            Who::Outside,
            "10.0.0.1",
            "80/TCP",
            "named_port: no number for port name metrics/TCP (declared by no container)",
        )],
    );
    check(
        rule(&[], &["dns/TCP"]),
        &[(
            Who::Outside,
            "10.0.0.1",
            "53/TCP",
            "named_port: no number for port name dns/TCP (declared for UDP only)",
        )],
    );
}

#[test]
fn s52_s55_egress_names() {
    let policy = egress("shop/p", "{}", vec![rule(&[], &["http/TCP"])]);
    let declares = Who::Pod(with_ports(identity("bank", "", ""), &["http=81/TCP"]));
    check_policy(
        &policy,
        &[
            (
                declares,
                "10.0.0.1",
                "80/TCP",
                "port: port 80/TCP is not http (81/TCP)",
            ),
            (
                Who::Outside,
                "10.0.0.1",
                "80/TCP",
                "named_port: no number for port name http/TCP (declared by no container)",
            ),
            (
                Who::Unknown,
                "10.0.0.1",
                "80/TCP",
                "peer_unknown: no pod is known by 10.0.0.1, so whether port 80/TCP is http/TCP is not known",
            ),
        ],
    );
}

#[test]
fn the_pods_labels() {
    check(
        rule(&["pods app=x"], &[]),
        &[
            (
                pod("shop", "", "app=rogue"),
                "10.0.0.1",
                "80/TCP",
                "pod_labels: pod labels app=rogue do not match app=x",
            ),
            (
                pod("shop", "", ""),
                "10.0.0.1",
                "80/TCP",
                "pod_labels: pod labels <none> do not match app=x",
            ),
            (
                pod("shop", "", "app=y,z=1"),
                "10.0.0.1",
                "80/TCP",
                "pod_labels: pod labels app=y do not match app=x",
            ),
            (
                pod("shop", "", "a=1,b=2,c=3,d=4,e=5"),
                "10.0.0.1",
                "80/TCP",
                "pod_labels: pod labels a=1,b=2,c=3,d=4 and 1 more do not match app=x",
            ),
            (
                pod("bank", "", "app=x"),
                "10.0.0.1",
                "80/TCP",
                "other_namespace: the peer is in namespace bank, and without a namespaceSelector the rule speaks of pods of shop",
            ),
        ],
    );
}

#[test]
fn s23_the_labels_of_pod_and_namespace() {
    check(
        rule(&["ns team=a pods app=x"], &["80/TCP"]),
        &[
            (
                pod("bank", "team=a", "app=y"),
                "10.0.0.1",
                "80/TCP",
                "pod_labels: pod labels app=y do not match app=x",
            ),
            (
                pod("bank", "?", "app=y"),
                "10.0.0.1",
                "80/TCP",
                "pod_labels: pod labels app=y do not match app=x",
            ),
            (
                pod("bank", "?", "app=x"),
                "10.0.0.1",
                "80/TCP",
                "namespace_unknown: the labels of namespace bank are not known (selector team=a)",
            ),
            (
                pod("bank", "team=b", "app=y"),
                "10.0.0.1",
                "81/TCP",
                "namespace_labels: namespace bank has label team=b (selector team=a); pod labels app=y do not match app=x; port 81/TCP is not 80/TCP",
            ),
        ],
    );
}

#[test]
fn s27_a_namespaces_name_is_asked_for_under_the_wrong_key() {
    let hint = "namespace_labels: namespace my-app-ns2 has no label name (selector name=my-app-ns2); \
                select it by kubernetes.io/metadata.name=my-app-ns2";
    let bare = "kubernetes.io/metadata.name=my-app-ns2";
    check(
        rule(&["ns name=my-app-ns2"], &[]),
        &[
            (pod("my-app-ns2", bare, ""), "10.0.0.1", "80/TCP", hint),
            (
                pod("other", "", ""),
                "10.0.0.1",
                "80/TCP",
                "namespace_labels: namespace other has no label name (selector name=my-app-ns2)",
            ),
        ],
    );
    check(
        rule(&["ns kubernetes.io/metadata.name=a"], &[]),
        &[(
            pod("b", "kubernetes.io/metadata.name=b", ""),
            "10.0.0.1",
            "80/TCP",
            "namespace_labels: namespace b has label kubernetes.io/metadata.name=b (selector kubernetes.io/metadata.name=a)",
        )],
    );
}

#[test]
fn the_address() {
    check(
        rule(&["10.0.0.0/8 except 10.0.0.0/24"], &[]),
        &[
            (
                Who::Outside,
                "10.0.0.5",
                "80/TCP",
                "except: 10.0.0.5 is excluded by except 10.0.0.0/24 of 10.0.0.0/8",
            ),
            (
                Who::Outside,
                "11.0.0.5",
                "80/TCP",
                "ip_block: 11.0.0.5 is not in 10.0.0.0/8",
            ),
            (
                Who::Outside,
                "fd00::5",
                "80/TCP",
                "ip_block: fd00::5 is IPv6 and 10.0.0.0/8 holds IPv4 only",
            ),
            (
                pod("shop", "", ""),
                "",
                "80/TCP",
                "address_unknown: the peer has no address yet (ipBlock 10.0.0.0/8)",
            ),
        ],
    );
    check(
        rule(&["10.0.0.0/8", "fd00::/8", "pods {}"], &[]),
        &[(
            Who::Outside,
            "11.0.0.5",
            "80/TCP",
            "ip_block: 11.0.0.5 is not in 10.0.0.0/8 or fd00::/8",
        )],
    );
}

#[test]
fn the_unknown_and_the_stranger() {
    check(
        rule(&["pods app=x"], &["80/TCP"]),
        &[
            (
                Who::Unknown,
                "10.0.0.5",
                "80/TCP",
                "peer_unknown: no pod is known by 10.0.0.5",
            ),
            (
                Who::Unknown,
                "",
                "80/TCP",
                "peer_unknown: nothing is known of the peer",
            ),
            (
                Who::Unknown,
                "10.0.0.5",
                "81/TCP",
                "port: no pod is known by 10.0.0.5; port 81/TCP is not 80/TCP",
            ),
            (
                Who::Outside,
                "10.0.0.5",
                "80/TCP",
                "not_a_pod: 10.0.0.5 is no pod, and the rule names pods only",
            ),
        ],
    );
}

#[test]
fn p26_the_unreadable() {
    let broken = "unreadable: no peer of the rule can be read, so it admits nobody";
    let rows = || [(pod("shop", "", ""), "10.0.0.1", "80/TCP", broken)];
    check(rule(&["broken"], &[]), &rows());
    check(
        rule(&["pods <unreadable>", "ns <unreadable>"], &[]),
        &rows(),
    );
    let ports = "unreadable: no port of the rule can be read, so it admits nobody";
    check(
        rule(&[], &["broken"]),
        &[(pod("shop", "", ""), "10.0.0.1", "80/TCP", ports)],
    );
}
