//! A miss in words: what was asked and what is there.
//!
//! Deliberately absent: any judgement; the steps come from `nearest` and are only told here.

use std::fmt::Display;
use std::net::IpAddr;

use super::Miss;
use super::nearest::{Asked, Nearest, PeerStep, PortStep, RuleMiss, Who};
use crate::labels::Labels;
use crate::object::NAMESPACE_NAME_LABEL;
use crate::peer::Identity;
use crate::selector::{Picks, Requirement, Selector, Test};
use crate::spec::{PeerSpec, Peers, PortSpec, Ports};

/// How many ports, ranges or labels one detail lists before it says how many more there are.
const MOST_LISTED: usize = 4;

/// The miss that goes into logs and JSON.
pub(super) fn miss(asked: &Asked<'_>, nearest: &Nearest<'_>) -> Miss {
    let detail = match &nearest.rule {
        Some(rule) => rule_detail(asked, nearest, rule),
        None => format!(
            "the policy has no {} rule, so it admits nobody",
            asked.flow.direction.label()
        ),
    };
    Miss {
        policy: nearest.policy.name.clone(),
        rule: nearest.rule.as_ref().map(|rule| rule.index),
        clause: nearest.clause(),
        peer: nearest
            .rule
            .as_ref()
            .map_or(Picks::No, |rule| rule.peer.picks()),
        detail,
    }
}

/// Everything that keeps the rule from admitting the flow, the peer's part first.
fn rule_detail(asked: &Asked<'_>, nearest: &Nearest<'_>, rule: &RuleMiss<'_>) -> String {
    let mut parts = peer_parts(asked, nearest, rule);
    parts.extend(port_part(asked, rule));
    parts.join("; ")
}

fn peer_parts(asked: &Asked<'_>, nearest: &Nearest<'_>, rule: &RuleMiss<'_>) -> Vec<String> {
    let who = who(asked);
    match rule.peer {
        PeerStep::Matches => Vec::new(),
        PeerStep::Excepted(block, hole) => {
            vec![format!(
                "{who} is excluded by except {hole} of {}",
                block.cidr
            )]
        }
        PeerStep::Unheard => vec![unheard(asked)],
        PeerStep::AddressUnknown => {
            let blocks = any_of(blocks(rule));
            vec![format!("the peer has no address yet (ipBlock {blocks})")]
        }
        PeerStep::OutsideBlocks => vec![outside(asked, rule)],
        PeerStep::NotAPod => vec![format!("{who} is no pod, and the rule names pods only")],
        PeerStep::Unreadable => {
            vec!["no peer of the rule can be read, so it admits nobody".into()]
        }
        PeerStep::NamespaceUnknown(_)
        | PeerStep::PodLabels(_)
        | PeerStep::NamespaceLabels { .. }
        | PeerStep::OtherNamespace { .. } => match asked.who {
            Who::Pod(identity) => label_parts(nearest, rule, identity),
            Who::NoPod | Who::Anybody => Vec::new(),
        },
    }
}

fn label_parts(nearest: &Nearest<'_>, rule: &RuleMiss<'_>, identity: &Identity) -> Vec<String> {
    let namespace = &identity.namespace;
    let (mut parts, pods) = match rule.peer {
        PeerStep::PodLabels(pods) => (Vec::new(), Some(pods)),
        PeerStep::NamespaceUnknown(selector) => {
            let unknown =
                format!("the labels of namespace {namespace} are not known (selector {selector})");
            (vec![unknown], None)
        }
        PeerStep::NamespaceLabels { namespaces, pods } => {
            (namespace_parts(namespaces, identity), pods)
        }
        PeerStep::OtherNamespace { pods } => {
            let own = &nearest.policy.name.namespace;
            let other = format!(
                "the peer is in namespace {namespace}, and without a namespaceSelector the rule speaks of pods of {own}"
            );
            (vec![other], pods)
        }
        _ => (Vec::new(), None),
    };
    parts.extend(pods.map(|pods| {
        let labels = shown(&identity.labels, pods);
        format!("pod labels {labels} do not match {pods}")
    }));
    parts
}

/// Which label of the namespace fails, and, where its name was meant, the label that carries it.
fn namespace_parts(selector: &Selector, identity: &Identity) -> Vec<String> {
    let (name, labels) = (&identity.namespace, identity.namespace_labels.as_ref());
    let (Selector::All(requirements), Some(labels)) = (selector, labels) else {
        return Vec::new();
    };
    let failing = || requirements.iter().filter(|one| !one.holds(labels));
    let first = failing().next().map(|one| match labels.get(&one.key) {
        Some(value) => format!(
            "namespace {name} has label {}={value} (selector {selector})",
            one.key
        ),
        None => format!(
            "namespace {name} has no label {} (selector {selector})",
            one.key
        ),
    });
    let meant = failing().any(|one| means_name(one, name));
    let hint = meant.then(|| format!("select it by {NAMESPACE_NAME_LABEL}={name}"));
    first.into_iter().chain(hint).collect()
}

/// The requirement asks for a value that is the namespace's name, under another key than the one
/// that always carries it (S27).
fn means_name(requirement: &Requirement, namespace: &str) -> bool {
    let Test::In(values) = &requirement.test else {
        return false;
    };
    *requirement.key != *NAMESPACE_NAME_LABEL && values.iter().any(|one| **one == *namespace)
}

/// Those of `labels` that the selector asks about, or all where it has none of them.
fn shown(labels: &Labels, selector: &Selector) -> String {
    let asked = |key: &str| match selector {
        Selector::All(requirements) => requirements.iter().any(|one| *one.key == *key),
        Selector::Broken => false,
    };
    let pairs = || labels.iter();
    let relevant: Vec<_> = pairs().filter(|(key, _)| asked(key)).collect();
    let shown = if relevant.is_empty() {
        pairs().collect()
    } else {
        relevant
    };
    if shown.is_empty() {
        return labels.to_string();
    }
    listed(
        shown.iter().map(|(key, value)| format!("{key}={value}")),
        ",",
        " and ",
    )
}

fn outside(asked: &Asked<'_>, rule: &RuleMiss<'_>) -> String {
    let who = who(asked);
    let v6 = asked
        .flow
        .peer_address
        .is_some_and(|address| address.is_ipv6());
    let cidrs = any_of(blocks(rule));
    if blocks(rule).all(|cidr| cidr.addr().is_ipv6() != v6) {
        let (have, other) = if v6 {
            ("IPv6", "IPv4")
        } else {
            ("IPv4", "IPv6")
        };
        return format!("{who} is {have} and {cidrs} holds {other} only");
    }
    format!("{who} is not in {cidrs}")
}

fn blocks<'r>(rule: &'r RuleMiss<'_>) -> impl Iterator<Item = ipnet::IpNet> + 'r {
    let peers = match &rule.rule.peers {
        Peers::Any => &[][..],
        Peers::OneOf(peers) => peers,
    };
    peers.iter().filter_map(|peer| match peer {
        PeerSpec::Block(block) => Some(block.cidr),
        PeerSpec::Pods { .. } | PeerSpec::Broken => None,
    })
}

fn port_part(asked: &Asked<'_>, rule: &RuleMiss<'_>) -> Option<String> {
    let Ports::OneOf(ports) = &rule.rule.ports else {
        return None;
    };
    let flow = asked.flow;
    let asked_for = || any_of(ports.iter().map(|port| port_words(asked, port)));
    match rule.port {
        PortStep::Matches => None,
        PortStep::Differs => Some(format!(
            "port {}/{} is not {}",
            flow.port,
            flow.protocol,
            asked_for()
        )),
        PortStep::Undeclared => Some(format!("no number for port name {}", asked_for())),
        PortStep::Unresolved => Some(format!(
            "{}, so whether port {}/{} is {} is not known",
            unheard(asked),
            flow.port,
            flow.protocol,
            asked_for()
        )),
        PortStep::Unreadable => Some("no port of the rule can be read, so it admits nobody".into()),
    }
}

/// One item of `ports`; a name with what it stands for.
fn port_words(asked: &Asked<'_>, port: &PortSpec) -> String {
    match port {
        PortSpec::Broken => "one that cannot be read".to_owned(),
        PortSpec::Range {
            protocol,
            first: 0,
            last: u16::MAX,
        } => format!("any {protocol} port"),
        PortSpec::Range {
            protocol,
            first,
            last,
        } if first == last => format!("{first}/{protocol}"),
        PortSpec::Range {
            protocol,
            first,
            last,
        } => format!("{first}-{last}/{protocol}"),
        PortSpec::Named { protocol, name } => {
            let Some(declared) = asked.declared() else {
                return format!("{name}/{protocol}");
            };
            let mut same = declared.iter().filter(|have| have.name == *name);
            match same.clone().find(|have| have.protocol == *protocol) {
                Some(have) => format!("{name} ({}/{protocol})", have.port),
                None => match same.next() {
                    Some(other) => {
                        format!("{name}/{protocol} (declared for {} only)", other.protocol)
                    }
                    None => format!("{name}/{protocol} (declared by no container)"),
                },
            }
        }
    }
}

fn unheard(asked: &Asked<'_>) -> String {
    match asked.flow.peer_address {
        Some(address) => format!("no pod is known by {address}"),
        None => "nothing is known of the peer".to_owned(),
    }
}

fn who(asked: &Asked<'_>) -> String {
    let address = asked.flow.peer_address.as_ref();
    address.map_or_else(|| "the peer".to_owned(), IpAddr::to_string)
}

/// `a or b or c and 3 more`.
fn any_of(items: impl Iterator<Item = impl Display>) -> String {
    listed(items, " or ", " or ")
}

fn listed(items: impl Iterator<Item = impl Display>, comma: &str, last: &str) -> String {
    let words: Vec<String> = items.map(|item| item.to_string()).collect();
    let shown = words.len().min(MOST_LISTED);
    let mut out = words[..shown].join(comma);
    if words.len() > shown {
        out.push_str(&format!("{last}{} more", words.len() - shown));
    }
    out
}
