//! The decision and its explanation agree, and both agree with the plain reading.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::{Clause, Miss, misses};
use crate::decide::decide;
use crate::flow::{Direction, Flow};
use crate::object::ObjectName;
use crate::reference::{self, Other};
use crate::samples::{Who, egress, flow, identity, ingress, rule, subject, table, with_ports};
use crate::selector::Picks;
use crate::spec::{Policy, Rule};
use crate::verdict::{DenyReason, Verdict};

const PEERS: &[&str] = &[
    "pods app=x",
    "pods app!=x",
    "pods {}",
    "ns team=a",
    "ns !team",
    "ns {} pods app=x",
    "ns team=a pods app=x",
    "ns <unreadable>",
    "10.0.0.0/8 except 10.1.0.0/16",
    "10.1.0.0/24",
    "fd00::/8",
    "broken",
];
const PORTS: &[&str] = &[
    "80/TCP",
    "80-8080/TCP",
    "/UDP",
    "http/TCP",
    "nope/TCP",
    "dns/UDP",
    "broken",
];

/// The clauses that say what is not known.
const UNKNOWN: [Clause; 3] = [
    Clause::PeerUnknown,
    Clause::NamespaceUnknown,
    Clause::AddressUnknown,
];

fn any_rule() -> impl Strategy<Value = Rule> {
    (subsequence(PEERS, 0..4), subsequence(PORTS, 0..3))
        .prop_map(|(peers, ports)| rule(&peers, &ports))
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let name = select(vec!["shop/a", "shop/b", "shop/c", "bank/a"]);
    let subjects = select(vec!["{}", "app=web", "app=db", "<unreadable>"]);
    let rules = prop::collection::vec(any_rule(), 0..4);
    (name, subjects, rules, any::<bool>()).prop_map(|(name, subjects, rules, inward)| {
        if inward {
            ingress(name, subjects, rules)
        } else {
            egress(name, subjects, rules)
        }
    })
}

fn any_who() -> impl Strategy<Value = Who> {
    let namespace = select(vec!["shop", "bank"]);
    let namespace_labels = select(vec!["", "team=a", "team=b", "?"]);
    let own = select(vec!["", "app=x", "app=y"]);
    let ports = select(vec![
        &[][..],
        &["http=80/TCP"],
        &["http=81/TCP", "dns=53/UDP"],
    ]);
    prop_oneof![
        (namespace, namespace_labels, own, ports).prop_map(|(namespace, theirs, own, ports)| {
            Who::Pod(with_ports(identity(namespace, theirs, own), ports))
        }),
        Just(Who::Outside),
        Just(Who::Unknown),
    ]
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let port = select(vec!["80/TCP", "81/TCP", "8080/TCP", "53/UDP", "80/SCTP"]);
    let address = select(vec![
        "", "10.0.0.1", "10.1.0.1", "10.1.1.1", "11.0.0.1", "fd00::1",
    ]);
    (select(Direction::BOTH.to_vec()), port, address)
        .prop_map(|(direction, port, address)| flow(direction, port, address))
}

/// Holds the clause of one miss against the plain reading of its rule.
fn clause_is_true(
    miss: &Miss,
    policy: &Policy,
    flow: &Flow,
    who: &Who,
) -> Result<(), TestCaseError> {
    let rules = policy.rules(flow.direction);
    let rules = rules.expect("the policy of a miss isolates");
    let Some(index) = miss.rule else {
        prop_assert!(rules.is_empty());
        return Ok(());
    };
    let other = match who {
        Who::Pod(identity) => Other::Pod(identity),
        Who::Outside => Other::Outside,
        Who::Unknown => Other::Unknown,
    };
    let rule = &rules[index as usize];
    let peer = reference::peers_match(policy, rule, flow, other);
    let port = reference::ports_match(rule, &subject(), flow, other);
    prop_assert_eq!(miss.peer, peer);
    match miss.clause {
        Clause::Port | Clause::NamedPort => {
            prop_assert!(peer != Picks::No && port == Picks::No, "{:?}", miss);
        }
        clause if UNKNOWN.contains(&clause) => {
            prop_assert_eq!(peer.and(port), Picks::Unknown);
        }
        Clause::Unreadable => prop_assert!(peer == Picks::No || port == Picks::No),
        _ => prop_assert_eq!(peer, Picks::No),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn misses_explain_every_denial_and_nothing_else(
        mut policies in prop::collection::vec(any_policy(), 0..5),
        who in any_who(),
        flow in any_flow(),
    ) {
        let mut seen = HashSet::new();
        policies.retain(|policy| seen.insert(policy.name.clone()));
        let table = table(&policies);
        let (verdict, found) =
            who.ask(&table, |peer| (decide(&table, &flow, peer), misses(&table, &flow, peer)));
        prop_assert_eq!(found.is_empty(), verdict.is_allow());
        match verdict {
            Verdict::Allow(_) => {}
            Verdict::Deny(DenyReason::NoRuleAdmits) => {
                prop_assert!(found.is_sorted_by_key(|miss| miss.clause));
            }
            Verdict::Deny(DenyReason::PeerUnknown) => {
                prop_assert!(UNKNOWN.contains(&found[0].clause), "{:?}", found);
            }
        }

        let mut named: Vec<ObjectName> = found.iter().map(|miss| miss.policy.clone()).collect();
        named.sort();
        let isolating: Vec<ObjectName> = table.isolating(flow.direction).cloned().collect();
        prop_assert!(found.is_empty() || named == isolating, "{:?} {:?}", named, isolating);
        for miss in &found {
            prop_assert!(!miss.detail.is_empty(), "{:?}", miss);
            let policy = policies.iter().find(|policy| policy.name == miss.policy);
            clause_is_true(miss, policy.expect("it exists"), &flow, &who)?;
        }
    }
}
