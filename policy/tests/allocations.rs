//! A decision allocates nothing, whoever asks and however many rules there are.
//!
//! This file is a test program of its own: the counter replaces the allocator of the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::cidr::{self, IpBlock};
use podwall_policy::compile::compile;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::flow::{Direction, Flow, Protocol};
use podwall_policy::object::{NamedPort, ObjectName};
use podwall_policy::peer::{Identity, Peer};
use podwall_policy::selector::{Requirement, Selector, Test};
use podwall_policy::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

fn pod(app: &str, knows_namespace: bool) -> Identity {
    Identity {
        namespace: "shop".into(),
        namespace_labels: knows_namespace.then(|| [("team", "a")].into_iter().collect()),
        labels: [("app", app)].into_iter().collect(),
        named_ports: Arc::new([NamedPort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 8080,
        }]),
    }
}

fn equals(key: &str, value: &str) -> Selector {
    let test = Test::In(vec![value.into()]);
    Selector::All(vec![Requirement {
        key: key.into(),
        test,
    }])
}

/// Every kind of peer and of port, some of them different in each rule.
fn rule(at: usize) -> Rule {
    let net = |text: &str| cidr::parse(text).unwrap().0;
    let own = format!("10.{}.{}.0/24", at / 256, at % 256);
    let block = |cidr: &str, except: &[&str]| {
        PeerSpec::Block(IpBlock {
            cidr: net(cidr),
            except: except.iter().map(|one| net(one)).collect(),
        })
    };
    let pods = |namespaces, pods| PeerSpec::Pods { namespaces, pods };
    let port = u16::try_from(at % 60_000).unwrap();
    Rule {
        peers: Peers::OneOf(vec![
            pods(Namespaces::Own, equals("app", &format!("client-{at}"))),
            pods(
                Namespaces::Matching(equals("team", "b")),
                Selector::everything(),
            ),
            block(&own, &[&own.replace(".0/24", ".0/28")]),
            block("fd00::/8", &[]),
        ]),
        ports: Ports::OneOf(vec![
            PortSpec::Named {
                protocol: Protocol::Tcp,
                name: "http".into(),
            },
            PortSpec::Range {
                protocol: Protocol::Udp,
                first: port,
                last: port + 10,
            },
        ]),
    }
}

/// A table of `rules` rules in each direction.
fn table(rules: usize) -> Table {
    let rules: Vec<Rule> = (0..rules).map(rule).collect();
    let policy = Policy {
        name: ObjectName::new("shop", "everything"),
        subjects: Selector::everything(),
        ingress: Some(rules.clone()),
        egress: Some(rules),
        terminating: false,
    };
    compile([&policy], &pod("web", true), 1).table
}

/// All flows of interest: both directions, every protocol, both families and no address.
fn flows() -> Vec<Flow> {
    let addresses = [
        "10.0.0.200",
        "10.0.0.1",
        "192.0.2.1",
        "fd00::1",
        "2001:db8::1",
    ];
    let addresses: Vec<Option<IpAddr>> = addresses
        .iter()
        .map(|text| Some(text.parse().unwrap()))
        .chain([None])
        .collect();
    let mut flows = Vec::new();
    for direction in Direction::BOTH {
        for protocol in Protocol::ALL {
            for port in [0, 5, 8080, u16::MAX] {
                for address in &addresses {
                    flows.push(Flow::with_peer_address(direction, protocol, port, *address));
                }
            }
        }
    }
    flows
}

#[test]
fn deciding_allocates_nothing() {
    for rules in [0, 1, 1000] {
        let (table, other) = (
            table(rules),
            compile([] as [&Policy; 0], &pod("web", true), 2).table,
        );
        let known = [
            pod("client-0", true),
            pod("client-999", true),
            pod("stranger", true),
            pod("stranger", false),
        ];
        let mut matching: Vec<_> = known
            .into_iter()
            .map(|identity| table.matching(&Arc::new(identity)))
            .collect();
        matching.push(other.matching(&Arc::new(pod("of-another-table", true))));
        let peers: Vec<Peer<'_>> = matching
            .iter()
            .map(Peer::Pod)
            .chain([Peer::Node, Peer::Own, Peer::Outside, Peer::Unknown])
            .collect();
        let flows = flows();
        let mut verdicts = std::collections::HashMap::new();
        for peer in &peers {
            for flow in &flows {
                let verdict = decide(&table, flow, *peer);
                *verdicts.entry(verdict.reason()).or_insert(0_usize) += 1;
                let used = allocation_counter::measure(|| {
                    let _ = black_box(decide(black_box(&table), black_box(flow), black_box(*peer)));
                });
                assert_eq!(used.count_total, 0, "{rules} rules, {peer:?}, {flow:?}");
            }
        }
        if rules > 0 {
            // Every outcome was really taken.
            for reason in ["rule", "no_rule_admits", "peer_unknown", "node", "own"] {
                assert!(verdicts.contains_key(reason), "{rules} rules: {verdicts:?}");
            }
        }
    }
}

#[test]
fn the_counter_counts() {
    let used = allocation_counter::measure(|| {
        black_box(Box::new(black_box(1_u64)));
    });
    assert_eq!(used.count_total, 1);
}
