//! What one decision costs, and what has to be made before it: tables and matched identities.
//!
//! Needs no network. No number is asserted; read the medians. The claims that they show: `decide`
//! does not depend on policies that do not select the subject, nor on the pods known, and grows by
//! one step for 64 rules that do select it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use divan::Bencher;
use podwall_policy::cidr::{self, IpBlock};
use podwall_policy::compile::compile;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::explain::misses;
use podwall_policy::flow::{Direction, Flow, Protocol};
use podwall_policy::object::ObjectName;
use podwall_policy::peer::{Identity, MatchingRules, Peer};
use podwall_policy::selector::{Requirement, Selector, Test};
use podwall_policy::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

/// How many policies there are.
const POLICIES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// How many pods are known.
const PODS: [u32; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

fn main() {
    divan::main();
}

fn pod(app: &str) -> Identity {
    Identity {
        namespace: "shop".into(),
        namespace_labels: Some(
            [("kubernetes.io/metadata.name", "shop")]
                .into_iter()
                .collect(),
        ),
        labels: [
            ("app", app),
            ("pod-template-hash", "5d4f8c7b9"),
            ("tier", "front"),
        ]
        .into_iter()
        .collect(),
        named_ports: Arc::default(),
    }
}

fn equals(key: &str, value: &str) -> Selector {
    let test = Test::In(vec![value.into()]);
    Selector::All(vec![Requirement {
        key: key.into(),
        test,
    }])
}

/// A policy like many are: one rule, its own client by label, a range of addresses, one port.
fn policy(at: usize, subjects: Selector) -> Policy {
    let cidr = format!("10.{}.{}.0/24", at / 256 % 256, at % 256);
    let pods = equals("app", &format!("client-{at}"));
    let rule = Rule {
        peers: Peers::OneOf(vec![
            PeerSpec::Pods {
                namespaces: Namespaces::Own,
                pods,
            },
            PeerSpec::Block(IpBlock {
                cidr: cidr::parse(&cidr).unwrap().0,
                except: Vec::new(),
            }),
        ]),
        ports: Ports::OneOf(vec![PortSpec::Range {
            protocol: Protocol::Tcp,
            first: 80,
            last: 80,
        }]),
    };
    Policy {
        name: ObjectName::new("shop", &format!("allow-{at:05}")),
        subjects,
        ingress: Some(vec![rule]),
        egress: None,
        terminating: false,
    }
}

/// `count` policies that select the subject.
fn selecting(count: usize) -> Vec<Policy> {
    (0..count)
        .map(|at| policy(at, equals("app", "web")))
        .collect()
}

/// One policy that selects the subject, and `count` of its namespace that do not.
fn others(count: usize) -> Vec<Policy> {
    let others = (1..=count).map(|at| policy(at, equals("app", "db")));
    others.chain(selecting(1)).collect()
}

fn table(policies: &[Policy]) -> Table {
    compile(policies, &pod("web"), 1).table
}

/// A flow to port 80 from an address that no `ipBlock` above holds.
fn flow() -> Flow {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    Flow::with_peer_address(Direction::Ingress, Protocol::Tcp, 80, Some(address))
}

fn deciding(bencher: Bencher<'_, '_>, table: &Table, client: &str) {
    let matching = table.matching(&Arc::new(pod(client)));
    let flow = flow();
    bencher.bench(|| {
        decide(
            black_box(table),
            black_box(&flow),
            Peer::Pod(black_box(&matching)),
        )
    });
}

#[divan::bench(args = POLICIES)]
fn decide_allow_by_the_last_of_selecting_policies(bencher: Bencher<'_, '_>, policies: usize) {
    let table = table(&selecting(policies));
    deciding(bencher, &table, &format!("client-{}", policies - 1));
}

#[divan::bench(args = POLICIES)]
fn decide_deny_by_selecting_policies(bencher: Bencher<'_, '_>, policies: usize) {
    deciding(bencher, &table(&selecting(policies)), "stranger");
}

#[divan::bench(args = POLICIES)]
fn decide_beside_policies_that_do_not_select(bencher: Bencher<'_, '_>, policies: usize) {
    deciding(bencher, &table(&others(policies)), "client-0");
}

#[divan::bench(args = POLICIES)]
fn decide_unknown_peer(bencher: Bencher<'_, '_>, policies: usize) {
    let (table, flow) = (table(&selecting(policies)), flow());
    bencher.bench(|| decide(black_box(&table), black_box(&flow), Peer::Unknown));
}

/// The look-up of a peer's address included, another address each time.
#[divan::bench(args = PODS)]
fn decide_with_pods_known(bencher: Bencher<'_, '_>, pods: u32) {
    let table = table(&selecting(100));
    let identities: Vec<Arc<MatchingRules>> = (0..1_000.min(pods))
        .map(|at| Arc::new(table.matching(&Arc::new(pod(&format!("client-{at}"))))))
        .collect();
    let address = |at: u32| IpAddr::V4(Ipv4Addr::from_bits(0xac10_0000 + at));
    let known: HashMap<IpAddr, Arc<MatchingRules>> = (0..pods)
        .map(|at| {
            (
                address(at),
                Arc::clone(&identities[at as usize % identities.len()]),
            )
        })
        .collect();
    let mut at = 0;
    bencher.bench_local(|| {
        at = (at + 7919) % pods;
        let source = black_box(address(at));
        let flow = Flow {
            peer_address: Some(source),
            ..flow()
        };
        let peer = known
            .get(&source)
            .map_or(Peer::Unknown, |matching| Peer::Pod(matching));
        decide(&table, &flow, peer)
    });
}

#[divan::bench(args = POLICIES)]
fn misses_after_a_denial(bencher: Bencher<'_, '_>, policies: usize) {
    let (table, flow) = (table(&selecting(policies)), flow());
    let matching = table.matching(&Arc::new(pod("stranger")));
    bencher.bench(|| misses(&table, &flow, Peer::Pod(&matching)));
}

#[divan::bench(args = POLICIES)]
fn matching_one_identity(bencher: Bencher<'_, '_>, policies: usize) {
    let table = table(&selecting(policies));
    let identity = Arc::new(pod("client-0"));
    bencher.bench(|| table.matching(black_box(&identity)));
}

#[divan::bench(args = POLICIES)]
fn compile_selecting_policies(bencher: Bencher<'_, '_>, policies: usize) {
    let (policies, subject) = (selecting(policies), pod("web"));
    bencher.bench(|| compile(black_box(&policies), &subject, 1));
}

#[divan::bench(args = POLICIES)]
fn compile_beside_policies_that_do_not_select(bencher: Bencher<'_, '_>, policies: usize) {
    let (policies, subject) = (others(policies), pod("web"));
    bencher.bench(|| compile(black_box(&policies), &subject, 1));
}
