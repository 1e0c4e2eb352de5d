#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use super::*;
use crate::cidr;
use crate::peer::Identity;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn pod(namespace: &str, namespace_labels: Option<Labels>, own: &[(&str, &str)]) -> Identity {
    Identity {
        namespace: namespace.into(),
        namespace_labels,
        labels: labels(own),
        named_ports: Arc::from([]),
    }
}

fn requirement(key: &str, test: Test) -> Selector {
    let key = key.into();
    Selector::All(vec![Requirement { key, test }])
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy {
        name: ObjectName::new("shop", "p"),
        subjects: Selector::everything(),
        ingress: Some(rules),
        egress: None,
        terminating: false,
    }
}

fn from(namespaces: Namespaces, pods: Selector) -> Rule {
    Rule {
        peers: Peers::OneOf(vec![PeerSpec::Pods { namespaces, pods }]),
        ports: Ports::Any,
    }
}

fn ask(policies: &[Policy], other: Other<'_>) -> Answer {
    let address = "10.0.0.9".parse().ok();
    let flow = Flow::with_peer_address(Direction::Ingress, Protocol::Tcp, 80, address);
    let subject = pod("shop", Some(labels(&[])), &[]);
    answer(policies, &subject, &flow, other)
}

fn admitted(rule: usize) -> Answer {
    let policy = ObjectName::new("shop", "p");
    Answer::Allow(Because::Admitted { policy, rule })
}

#[test]
fn s01_s02_without_an_isolating_policy_everything_passes() {
    let mut egress_only = policy(Vec::new());
    egress_only.ingress = None;
    egress_only.egress = Some(Vec::new());
    assert_eq!(
        ask(&[egress_only], Other::Outside),
        Answer::Allow(Because::NotIsolated)
    );
    assert_eq!(
        ask(&[policy(Vec::new())], Other::Outside),
        Answer::Deny,
        "S15"
    );
}

#[test]
fn s34_s36_an_absent_key_is_not_an_empty_value() {
    let (absent, empty) = (labels(&[]), labels(&[("k", "")]));
    let rows = [
        // test                             absent key   empty value
        (Test::In(vec!["".into()]), Picks::No, Picks::Yes),
        (Test::NotIn(vec!["".into()]), Picks::Yes, Picks::No),
        (Test::NotIn(vec!["a".into()]), Picks::Yes, Picks::Yes),
        (Test::Exists, Picks::No, Picks::Yes),
        (Test::DoesNotExist, Picks::Yes, Picks::No),
    ];
    for (test, without, with) in rows {
        let selector = requirement("k", test);
        assert_eq!(
            selector_picks(&selector, Some(&absent)),
            without,
            "{selector:?}"
        );
        assert_eq!(
            selector_picks(&selector, Some(&empty)),
            with,
            "{selector:?}"
        );
        assert_eq!(
            selector_picks(&selector, None),
            Picks::Unknown,
            "{selector:?}"
        );
    }
}

#[test]
fn s31_labels_not_seen_are_unknown_unless_the_pod_rules_it_out() {
    let not_in = Namespaces::Matching(requirement("team", Test::NotIn(vec!["a".into()])));
    let stranger = pod("far", None, &[("role", "web")]);
    let any_pod = policy(vec![from(not_in.clone(), Selector::everything())]);
    assert_eq!(ask(&[any_pod], Other::Pod(&stranger)), Answer::Unknown);
    let db_only = requirement("role", Test::In(vec!["db".into()]));
    let web_never = policy(vec![from(not_in, db_only)]);
    assert_eq!(ask(&[web_never], Other::Pod(&stranger)), Answer::Deny);
    let every = Namespaces::Matching(Selector::everything());
    let all_pods = policy(vec![from(every, Selector::everything())]);
    assert_eq!(ask(&[all_pods], Other::Pod(&stranger)), admitted(0));
}

#[test]
fn s30_an_unknown_peer_may_be_a_pod_and_an_outsider_may_not() {
    let own = policy(vec![
        from(Namespaces::Own, Selector::Broken),
        from(Namespaces::Own, Selector::everything()),
    ]);
    assert_eq!(
        ask(std::slice::from_ref(&own), Other::Unknown),
        Answer::Unknown
    );
    assert_eq!(
        ask(std::slice::from_ref(&own), Other::Outside),
        Answer::Deny
    );
    let neighbour = pod("shop", None, &[]);
    assert_eq!(ask(&[own], Other::Pod(&neighbour)), admitted(1));
    let broken = policy(vec![from(Namespaces::Own, Selector::Broken)]);
    assert_eq!(ask(&[broken], Other::Unknown), Answer::Deny, "S38");
}

#[test]
fn s40_s42_a_range_is_its_leading_bits_and_one_family() {
    let rows = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.1.2.3/32", "10.1.2.3", true),
        ("10.1.2.3/32", "10.1.2.2", false),
        ("0.0.0.0/0", "255.1.2.3", true),
        ("0.0.0.0/0", "fd00::1", false),
        ("::/0", "10.0.0.1", false),
        ("fd00::/9", "fd7f::1", true),
        ("fd00::/9", "fd80::1", false),
        ("fd00::7/128", "fd00::7", true),
    ];
    for (range, address, inside) in rows {
        let (net, _) = cidr::parse(range).unwrap();
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(range_holds(&net, address), inside, "{address} in {range}");
    }
}

#[test]
fn three_values_combine_by_the_weakest_and_the_strongest() {
    use Picks::{No, Unknown, Yes};
    let rows = [
        (Yes, Yes, Yes, Yes),
        (Yes, No, No, Yes),
        (Yes, Unknown, Unknown, Yes),
        (No, No, No, No),
        (No, Unknown, No, Unknown),
        (Unknown, Unknown, Unknown, Unknown),
    ];
    for (left, right, both, either) in rows {
        for pair in [[left, right], [right, left]] {
            assert_eq!(all(pair), both, "all of {pair:?}");
            assert_eq!(any(pair), either, "any of {pair:?}");
        }
    }
}
