//! Short spellings of policies, pods and flows for the unit tests of this crate.
//!
//! A mistake in a sample panics and names itself. Deliberately absent: YAML; whole manifests are
//! read by the tests under `tests/`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;
use std::sync::Arc;

use crate::cidr::{self, IpBlock};
use crate::compile::compile;
use crate::compiled::Table;
use crate::decide::decide;
use crate::flow::{Direction, Flow, Protocol};
use crate::labels::Labels;
use crate::object::{NamedPort, ObjectName};
use crate::peer::{Identity, Peer};
use crate::selector::{Requirement, Selector, Test};
use crate::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

/// `a=b,c=d`; empty text for none.
pub(crate) fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            pair.split_once('=')
                .unwrap_or_else(|| panic!("{pair:?} is no label"))
        })
        .collect()
}

/// `{}`, `<unreadable>`, or a list of `k=v`, `k=v|w`, `k!=v|w`, `k`, `!k`.
pub(crate) fn selector(text: &str) -> Selector {
    match text {
        "{}" => Selector::everything(),
        "<unreadable>" => Selector::Broken,
        _ => Selector::All(text.split(',').map(requirement).collect()),
    }
}

fn requirement(text: &str) -> Requirement {
    let values = |text: &str| text.split('|').map(Arc::from).collect();
    let (key, test) = if let Some((key, rest)) = text.split_once("!=") {
        (key, Test::NotIn(values(rest)))
    } else if let Some((key, rest)) = text.split_once('=') {
        (key, Test::In(values(rest)))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Test::DoesNotExist)
    } else {
        (text, Test::Exists)
    };
    Requirement {
        key: key.into(),
        test,
    }
}

/// A pod's identity: namespace, the namespace's labels (`?` where not known), the pod's labels.
pub(crate) fn identity(namespace: &str, namespace_labels: &str, own: &str) -> Identity {
    Identity {
        namespace: namespace.into(),
        namespace_labels: (namespace_labels != "?").then(|| labels(namespace_labels)),
        labels: labels(own),
        named_ports: Arc::default(),
    }
}

/// The same pod with these container ports: `http=8080/TCP`.
pub(crate) fn with_ports(identity: Identity, ports: &[&str]) -> Identity {
    let mut named: Vec<NamedPort> = ports.iter().map(|text| named_port(text)).collect();
    named.sort();
    Identity {
        named_ports: named.into(),
        ..identity
    }
}

fn named_port(text: &str) -> NamedPort {
    let (name, rest) = text.split_once('=').expect("name=port/protocol");
    let (port, protocol) = rest.split_once('/').expect("name=port/protocol");
    NamedPort {
        name: name.into(),
        protocol: protocol.parse().unwrap(),
        port: port.parse().unwrap(),
    }
}

/// A rule; no peers or no ports means any.
///
/// Peers: `pods SEL`, `ns SEL`, `ns SEL pods SEL`, `CIDR`, `CIDR except CIDR CIDR`, `broken`.
/// Ports: `80/TCP`, `80-90/TCP`, `/TCP`, `http/TCP`, `broken`.
pub(crate) fn rule(peers: &[&str], ports: &[&str]) -> Rule {
    Rule {
        peers: match peers {
            [] => Peers::Any,
            some => Peers::OneOf(some.iter().map(|text| peer_spec(text)).collect()),
        },
        ports: match ports {
            [] => Ports::Any,
            some => Ports::OneOf(some.iter().map(|text| port_spec(text)).collect()),
        },
    }
}

fn peer_spec(text: &str) -> PeerSpec {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["broken"] => PeerSpec::Broken,
        ["pods", pods] => pods_spec(Namespaces::Own, pods),
        ["ns", namespaces] => pods_spec(Namespaces::Matching(selector(namespaces)), "{}"),
        ["ns", namespaces, "pods", pods] => {
            pods_spec(Namespaces::Matching(selector(namespaces)), pods)
        }
        [cidr] => block(cidr, &[]),
        [cidr, "except", ref except @ ..] => block(cidr, except),
        _ => panic!("{text:?} is no peer"),
    }
}

fn pods_spec(namespaces: Namespaces, pods: &str) -> PeerSpec {
    let pods = selector(pods);
    PeerSpec::Pods { namespaces, pods }
}

fn block(cidr: &str, except: &[&str]) -> PeerSpec {
    let net = |text: &str| cidr::parse(text).unwrap().0;
    PeerSpec::Block(IpBlock {
        cidr: net(cidr),
        except: except.iter().map(|text| net(text)).collect(),
    })
}

fn port_spec(text: &str) -> PortSpec {
    if text == "broken" {
        return PortSpec::Broken;
    }
    let (port, protocol) = text.split_once('/').expect("port/protocol");
    let protocol: Protocol = protocol.parse().unwrap();
    let range = |first: &str, last: &str| PortSpec::Range {
        protocol,
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
    };
    match port.split_once('-') {
        _ if port.is_empty() => range("0", "65535"),
        Some((first, last)) => range(first, last),
        None if port.parse::<u16>().is_ok() => range(port, port),
        None => PortSpec::Named {
            protocol,
            name: port.into(),
        },
    }
}

/// A policy of `namespace/name` that selects `subjects` and isolates for ingress.
pub(crate) fn ingress(name: &str, subjects: &str, rules: Vec<Rule>) -> Policy {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    Policy {
        name: ObjectName::new(namespace, name),
        subjects: selector(subjects),
        ingress: Some(rules),
        egress: None,
        terminating: false,
    }
}

/// The same for egress.
pub(crate) fn egress(name: &str, subjects: &str, rules: Vec<Rule>) -> Policy {
    let policy = ingress(name, subjects, rules);
    Policy {
        egress: policy.ingress,
        ingress: None,
        ..policy
    }
}

/// The pod that every sample policy means: `shop/web`, `app=web`, http=8080/TCP.
pub(crate) fn subject() -> Identity {
    with_ports(
        identity("shop", "team=a", "app=web"),
        &["http=8080/TCP", "dns=53/UDP"],
    )
}

/// The table of `policies` for [`subject`], generation 1.
pub(crate) fn table(policies: &[Policy]) -> Table {
    compile(policies, &subject(), 1).table
}

/// `80/TCP` in `direction`; `address` empty where the peer has none.
pub(crate) fn flow(direction: Direction, port: &str, address: &str) -> Flow {
    let (port, protocol) = port.split_once('/').expect("port/protocol");
    let address = (!address.is_empty()).then(|| address.parse::<IpAddr>().unwrap());
    let protocol = protocol.parse().unwrap();
    Flow::with_peer_address(direction, protocol, port.parse().unwrap(), address)
}

/// The peer of a test row.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    Pod(Identity),
    Outside,
    Unknown,
}

impl Who {
    /// Calls `with` as a decision would be called.
    pub(crate) fn ask<T>(&self, table: &Table, with: impl FnOnce(Peer<'_>) -> T) -> T {
        match self {
            Self::Pod(identity) => {
                let matching = table.matching(&Arc::new(identity.clone()));
                with(Peer::Pod(&matching))
            }
            Self::Outside => with(Peer::Outside),
            Self::Unknown => with(Peer::Unknown),
        }
    }
}

/// The verdict as one word: `ns/name#rule` where a rule admits, else the reason.
pub(crate) fn says(table: &Table, flow: &Flow, who: &Who) -> String {
    let verdict = who.ask(table, |peer| decide(table, flow, peer));
    match verdict.rule() {
        Some(rule) => {
            let (policy, index) = table.rule_name(rule).expect("a rule of this table");
            format!("{policy}#{index}")
        }
        None => verdict.reason().to_owned(),
    }
}
