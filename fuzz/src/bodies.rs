//! One run of each target: bytes in, a panic where something does not hold.
//!
//! Deliberately absent: libFuzzer, so that a plain test can run the same over the corpus. The crate
//! around this file provides `agree`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::compile::compile;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::diagnostic::Severity;
use podwall_policy::document::{self, Documents};
use podwall_policy::explain::misses;
use podwall_policy::flow::{Direction, Flow, Protocol};
use podwall_policy::object::{NAMESPACE_NAME_LABEL, Object, Pod};
use podwall_policy::peer::{Identity, Peer};
use podwall_policy::reference::Other;
use podwall_policy::selector::Selector;
use podwall_policy::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

use crate::agree::{Asked, agree};

/// How many pods are asked about as subjects and as peers: the work grows with the square.
const MOST_PODS: usize = 6;

/// Reads bytes as manifests and holds what is true of every reading.
pub fn documents(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match document::read("fuzz", text) {
        Err(fault) => {
            let message = fault.to_string();
            assert!(
                message.starts_with("fuzz") && !message.contains(char::is_control),
                "{message}"
            );
        }
        Ok(read) => {
            assert_eq!(
                document::read("fuzz", text).as_ref(),
                Ok(&read),
                "read twice"
            );
            hold_documents(&read);
            if let Ok((cluster, _)) = Cluster::assemble(read.objects) {
                hold_cluster(&cluster);
            }
        }
    }
}

fn hold_documents(read: &Documents) {
    for one in &read.diagnostics {
        let said = [&one.place, &one.message, &one.help];
        assert!(
            said.iter()
                .all(|text| !text.is_empty() && !text.contains(char::is_control)),
            "{one:?}"
        );
    }
    let errors = read
        .diagnostics
        .iter()
        .any(|one| one.severity == Severity::Error);
    assert!(
        !read.skipped.concat().contains(char::is_control),
        "{:?}",
        read.skipped
    );
    for object in &read.objects {
        match object {
            Object::Policy(policy) => hold_policy(policy, errors),
            Object::Namespace(one) => {
                assert_eq!(one.labels.get(NAMESPACE_NAME_LABEL), Some(&*one.name))
            }
            Object::Pod(pod) => hold_pod(pod),
            Object::BrokenPod(_) | Object::BrokenNamespace(_) => {
                assert!(errors, "{object:?} and not a word")
            }
        }
    }
}

fn hold_pod(pod: &Pod) {
    assert!(
        pod.named_ports.is_sorted() && pod.named_ports.iter().all(|port| port.port > 0),
        "{pod:?}"
    );
    let canonical = |address: &IpAddr| address.to_canonical() == *address;
    assert!(
        pod.addresses.iter().all(canonical) && pod.host_addresses.iter().all(canonical),
        "{pod:?}"
    );
}

fn hold_policy(policy: &Policy, errors: bool) {
    assert!(
        policy.ingress.is_some() || policy.egress.is_some(),
        "isolates nobody: {policy:?}"
    );
    let rules = policy.ingress.iter().chain(&policy.egress).flatten();
    let broken = rules
        .map(hold_rule)
        .fold(policy.subjects == Selector::Broken, |any, one| any | one);
    assert!(
        errors || !broken,
        "a broken part and not a word: {policy:?}"
    );
}

/// Whether a part of the rule is broken.
fn hold_rule(rule: &Rule) -> bool {
    let peers: &[PeerSpec] = match &rule.peers {
        Peers::Any => &[],
        Peers::OneOf(peers) => {
            assert!(!peers.is_empty(), "an empty list is everybody: {rule:?}");
            peers
        }
    };
    let ports: &[PortSpec] = match &rule.ports {
        Ports::Any => &[],
        Ports::OneOf(ports) => {
            assert!(!ports.is_empty(), "an empty list is every port: {rule:?}");
            ports
        }
    };
    for port in ports {
        match port {
            PortSpec::Range { first, last, .. } => assert!(first <= last, "{port:?}"),
            PortSpec::Named { name, .. } => assert!(!name.is_empty(), "{port:?}"),
            PortSpec::Broken => {}
        }
    }
    for peer in peers {
        if let PeerSpec::Pods { namespaces, pods } = peer {
            assert!(
                *pods != Selector::Broken && *namespaces != Namespaces::Matching(Selector::Broken),
                "{peer:?}"
            );
        }
    }
    peers.contains(&PeerSpec::Broken) || ports.contains(&PortSpec::Broken)
}

fn hold_cluster(cluster: &Cluster) {
    for pod in cluster.pods() {
        assert_eq!(cluster.pod(&pod.name), Some(pod));
        for address in &pod.addresses {
            let owns = cluster.owners(*address).any(|owner| owner.name == pod.name);
            assert_eq!(owns, !pod.host_network && !pod.is_finished(), "{pod:?}");
        }
    }
}

/// Reads bytes as a cluster, compiles for its pods and holds every verdict against the plain reading.
pub fn compile_decide(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(read) = document::read("fuzz", text) else {
        return;
    };
    let Ok((cluster, _)) = Cluster::assemble(read.objects) else {
        return;
    };
    let pods: Vec<(&Pod, Arc<Identity>)> = cluster
        .pods()
        .take(MOST_PODS)
        .map(|pod| (pod, Arc::new(cluster.identity(pod))))
        .collect();
    let (ports, addresses) = (ports(&cluster), addresses(&cluster));
    for (generation, (_, subject)) in (1..).zip(&pods) {
        let table = compile(cluster.policies(), subject, generation).table;
        let session = Session {
            policies: cluster.policies(),
            subject,
            table: &table,
            ports: &ports,
        };
        for (pod, identity) in &pods {
            let matching = table.matching(identity);
            let of_pod = pod.addresses.iter().copied().map(Some).chain([None]);
            session.ask_all(of_pod, Peer::Pod(&matching), Other::Pod(identity));
        }
        for (peer, other) in [
            (Peer::Outside, Other::Outside),
            (Peer::Unknown, Other::Unknown),
        ] {
            session.ask_all(addresses.iter().copied().map(Some), peer, other);
        }
        for (peer, other) in [(Peer::Node, Other::Node), (Peer::Own, Other::Own)] {
            session.ask_all([None].into_iter(), peer, other);
        }
    }
}

/// One subject and its table.
struct Session<'a> {
    policies: &'a [Policy],
    subject: &'a Identity,
    table: &'a Table,
    ports: &'a [u16],
}

impl Session<'_> {
    /// Both directions, every protocol, every port that could make a difference.
    fn ask_all(
        &self,
        addresses: impl Iterator<Item = Option<IpAddr>>,
        peer: Peer<'_>,
        other: Other<'_>,
    ) {
        for address in addresses {
            for direction in [Direction::Ingress, Direction::Egress] {
                for protocol in Protocol::ALL {
                    for port in self.ports {
                        let flow = Flow::with_peer_address(direction, protocol, *port, address);
                        self.ask(&flow, peer, other);
                    }
                }
            }
        }
    }

    fn ask(&self, flow: &Flow, peer: Peer<'_>, other: Other<'_>) {
        let verdict = decide(self.table, flow, peer);
        let missed = misses(self.table, flow, peer);
        assert_eq!(
            verdict.is_allow(),
            missed.is_empty(),
            "{verdict:?} {missed:?}"
        );
        let asked = Asked {
            policies: self.policies,
            subject: self.subject,
            flow,
            other,
        };
        if let Err(differs) = agree(asked, self.table, verdict, &missed) {
            panic!("{differs}\n{flow:?} {peer:?}\nsubject {:?}", self.subject);
        }
    }
}

/// How many ports and addresses are asked about.
const MOST_EDGES: usize = 12;

/// The edges of the ranges in all rules, the numbers behind names, and one that is in no rule perhaps.
fn ports(cluster: &Cluster) -> Vec<u16> {
    let of_rules = rules(cluster).flat_map(|rule| match &rule.ports {
        Ports::Any => &[][..],
        Ports::OneOf(ports) => ports,
    });
    let of_rules = of_rules.flat_map(|port| match port {
        PortSpec::Range { first, last, .. } => vec![*first, *last, last.saturating_add(1)],
        PortSpec::Named { .. } | PortSpec::Broken => vec![],
    });
    let named = cluster
        .pods()
        .flat_map(|pod| pod.named_ports.iter().map(|port| port.port));
    let mut all: Vec<u16> = [80, 65_535]
        .into_iter()
        .chain(named)
        .chain(of_rules)
        .take(MOST_EDGES)
        .collect();
    all.retain(|port| *port > 0);
    all.sort_unstable();
    all.dedup();
    all
}

/// The first and last address of each range and exception, and two that are in none perhaps.
fn addresses(cluster: &Cluster) -> Vec<IpAddr> {
    let peers = rules(cluster).flat_map(|rule| match &rule.peers {
        Peers::Any => &[][..],
        Peers::OneOf(peers) => peers,
    });
    let ranges = peers.flat_map(|peer| match peer {
        PeerSpec::Block(block) => block.except.iter().chain([&block.cidr]).collect(),
        PeerSpec::Pods { .. } | PeerSpec::Broken => vec![],
    });
    let edges = ranges.flat_map(|range| [range.network(), range.broadcast()]);
    let anywhere = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let mut all: Vec<IpAddr> = anywhere.into_iter().chain(edges).take(MOST_EDGES).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn rules(cluster: &Cluster) -> impl Iterator<Item = &Rule> {
    cluster
        .policies()
        .iter()
        .flat_map(|policy| policy.ingress.iter().chain(&policy.egress))
        .flatten()
}
