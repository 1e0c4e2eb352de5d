//! The law a second time, in the words of the API: one function per sentence, never optimised.
//!
//! The tests and the fuzz targets hold the compiled law against this one, so it shares only the
//! shapes of policies, labels and flows with it: how a selector picks, what a range holds and how
//! three values combine is worked out here again.
//!
//! May enter: policies, one subject, one flow and a plain word on who is at the other end.
//! Deliberately absent: tables, bitsets, generations, and any saving of work. Never call this from
//! the data path: it walks every policy of the cluster.
//!
//! Start at [`answer`].

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cidr::IpBlock;
use crate::flow::{Direction, Flow, Protocol};
use crate::labels::Labels;
use crate::object::ObjectName;
use crate::peer::Identity;
use crate::selector::{Picks, Requirement, Selector, Test};
use crate::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

/// Who is at the other end, said plainly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Other<'a> {
    /// A known pod.
    Pod(&'a Identity),
    /// The subject's own node.
    Node,
    /// The subject itself.
    Own,
    /// Certainly no pod.
    Outside,
    /// Nobody knows; it may be a pod.
    Unknown,
}

/// What the plain reading says of one flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It may pass.
    Allow(Because),
    /// It may not pass: the subject is isolated and nothing admits the flow.
    Deny,
    /// It may not pass: the answer depends on something that is not known.
    Unknown,
}

/// Why a flow may pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Because {
    /// No policy isolates the subject in this direction.
    NotIsolated,
    /// This rule admits it; the first one in the order of the policies, others may too.
    Admitted {
        /// The policy.
        policy: ObjectName,
        /// The rule's place in it, zero-based.
        rule: usize,
    },
    /// The other end is the subject's own node.
    Node,
    /// The other end is the subject itself.
    Own,
}

/// What the API says of `flow` between `subject` and `other`, given all `policies` of the cluster.
///
/// Work grows with all policies, all their rules, peers, ports and labels.
#[must_use]
pub fn answer(policies: &[Policy], subject: &Identity, flow: &Flow, other: Other<'_>) -> Answer {
    match other {
        Other::Node => return Answer::Allow(Because::Node),
        Other::Own => return Answer::Allow(Because::Own),
        Other::Pod(_) | Other::Outside | Other::Unknown => {}
    }
    let isolating: Vec<&Policy> = isolating(policies, subject, flow.direction).collect();
    if isolating.is_empty() {
        return Answer::Allow(Because::NotIsolated);
    }
    let mut undecided = false;
    for policy in isolating {
        for (at, rule) in rules(policy, flow.direction).iter().enumerate() {
            match rule_admits(policy, rule, subject, flow, other) {
                Picks::Yes => {
                    let policy = policy.name.clone();
                    return Answer::Allow(Because::Admitted { policy, rule: at });
                }
                Picks::Unknown => undecided = true,
                Picks::No => {}
            }
        }
    }
    if undecided {
        Answer::Unknown
    } else {
        Answer::Deny
    }
}

/// A pod is isolated in a direction by each policy that selects it and names that direction among
/// its types; where there is none, everything is allowed in that direction (S1, S2, S7). All
/// selecting policies count, in no order: what any of them allows is allowed (S3). A policy that is
/// being deleted still counts (S8).
pub fn isolating<'p>(
    policies: &'p [Policy],
    subject: &Identity,
    direction: Direction,
) -> impl Iterator<Item = &'p Policy> {
    policies
        .iter()
        .filter(move |policy| selects(policy, subject))
        .filter(move |policy| names_direction(policy, direction))
}

/// A policy applies to the pods of its own namespace that its pod selector picks; an empty selector
/// picks all of them (S5). One that cannot be read picks all of them too (S38, P26).
fn selects(policy: &Policy, subject: &Identity) -> bool {
    policy.name.namespace == subject.namespace
        && match &policy.subjects {
            Selector::Broken => true,
            readable => selector_picks(readable, Some(&subject.labels)) == Picks::Yes,
        }
}

/// Only the directions among the policy's types are affected; rules of the other one are not looked
/// at (S9 to S14).
fn names_direction(policy: &Policy, direction: Direction) -> bool {
    match direction {
        Direction::Ingress => policy.ingress.is_some(),
        Direction::Egress => policy.egress.is_some(),
    }
}

/// The rules of a policy for a direction; a list that is missing or empty admits nothing (S15).
fn rules(policy: &Policy, direction: Direction) -> &[Rule] {
    let rules = match direction {
        Direction::Ingress => &policy.ingress,
        Direction::Egress => &policy.egress,
    };
    rules.as_deref().unwrap_or_default()
}

/// Whether one rule of one policy admits the flow: the other end matches its peers, and the port
/// matches its ports (S19). A rule with neither admits everything (S16).
#[must_use]
pub fn rule_admits(
    policy: &Policy,
    rule: &Rule,
    subject: &Identity,
    flow: &Flow,
    other: Other<'_>,
) -> Picks {
    all([
        peers_match(policy, rule, flow, other),
        ports_match(rule, subject, flow, other),
    ])
}

/// A rule that lists no peer is for everybody, outside the cluster too (S17); otherwise one of the
/// listed peers must match (S20).
#[must_use]
pub fn peers_match(policy: &Policy, rule: &Rule, flow: &Flow, other: Other<'_>) -> Picks {
    match &rule.peers {
        Peers::Any => Picks::Yes,
        Peers::OneOf(peers) => any(peers
            .iter()
            .map(|peer| peer_matches(policy, peer, flow, other))),
    }
}

/// A peer is either pods by labels or a block of addresses; one that cannot be read matches nothing
/// (S28, S29, S38).
fn peer_matches(policy: &Policy, peer: &PeerSpec, flow: &Flow, other: Other<'_>) -> Picks {
    match peer {
        PeerSpec::Pods { namespaces, pods } => pods_match(policy, namespaces, pods, other),
        PeerSpec::Block(block) => block_matches(block, flow),
        PeerSpec::Broken => Picks::No,
    }
}

/// Selector peers are about pods only (S30). With a namespace selector, pods of the namespaces it
/// picks (S22, S26); without, pods of the policy's own namespace (S21); of those, the ones that the
/// pod selector picks, so that both given in one peer must both hold (S23, S24).
fn pods_match(
    policy: &Policy,
    namespaces: &Namespaces,
    pods: &Selector,
    other: Other<'_>,
) -> Picks {
    if *pods == Selector::Broken || *namespaces == Namespaces::Matching(Selector::Broken) {
        return Picks::No;
    }
    match other {
        Other::Pod(peer) => all([
            namespace_matches(policy, namespaces, peer),
            selector_picks(pods, Some(&peer.labels)),
        ]),
        Other::Unknown => Picks::Unknown,
        Other::Outside | Other::Node | Other::Own => Picks::No,
    }
}

/// The namespace part of a selector peer. Labels of a namespace not seen yet are not known, which is
/// not the same as having none (S31).
fn namespace_matches(policy: &Policy, namespaces: &Namespaces, peer: &Identity) -> Picks {
    match namespaces {
        Namespaces::Own => yes_or_no(policy.name.namespace == peer.namespace),
        Namespaces::Matching(selector) => selector_picks(selector, peer.namespace_labels.as_ref()),
    }
}

/// All requirements of a selector must hold; with none, everything matches, even what nobody knows
/// (S25, S32).
fn selector_picks(selector: &Selector, labels: Option<&Labels>) -> Picks {
    match selector {
        Selector::Broken => Picks::No,
        Selector::All(requirements) => all(requirements.iter().map(|one| match labels {
            None => Picks::Unknown,
            Some(labels) => yes_or_no(requirement_holds(one, labels)),
        })),
    }
}

/// `In`: the key is there and its value is listed, the empty value like any other (S33, S36).
/// `NotIn`: the key is not there, or its value is not listed (S34). `Exists` and `DoesNotExist` ask
/// for the key alone (S35).
fn requirement_holds(requirement: &Requirement, labels: &Labels) -> bool {
    let mut value = None;
    for (key, have) in labels.iter() {
        if key == &*requirement.key {
            value = Some(have);
        }
    }
    match (&requirement.test, value) {
        (Test::Exists, Some(_)) | (Test::DoesNotExist | Test::NotIn(_), None) => true,
        (Test::DoesNotExist, Some(_)) | (Test::Exists | Test::In(_), None) => false,
        (Test::In(listed), Some(have)) => listed.iter().any(|one| &**one == have),
        (Test::NotIn(listed), Some(have)) => listed.iter().all(|one| &**one != have),
    }
}

/// An address block matches an address in its range and in none of its exceptions, whoever has the
/// address (S40, S41, S46).
fn block_matches(block: &IpBlock, flow: &Flow) -> Picks {
    match flow.peer_address {
        None => Picks::Unknown,
        Some(address) => {
            let excepted = block.except.iter().any(|one| range_holds(one, address));
            yes_or_no(range_holds(&block.cidr, address) && !excepted)
        }
    }
}

/// A range holds the addresses of its own family whose leading bits are the range's (S42).
fn range_holds(range: &IpNet, address: IpAddr) -> bool {
    match (range.addr(), address) {
        (IpAddr::V4(range_start), IpAddr::V4(address)) => {
            let (start, address) = (u32::from(range_start), u32::from(address));
            (0..range.prefix_len()).all(|bit| start << bit >> 31 == address << bit >> 31)
        }
        (IpAddr::V6(range_start), IpAddr::V6(address)) => {
            let (start, address) = (u128::from(range_start), u128::from(address));
            (0..range.prefix_len()).all(|bit| start << bit >> 127 == address << bit >> 127)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// A rule that lists no port is for every port of every protocol (S18); otherwise one of the listed
/// ports must match (S20).
#[must_use]
pub fn ports_match(rule: &Rule, subject: &Identity, flow: &Flow, other: Other<'_>) -> Picks {
    match &rule.ports {
        Ports::Any => Picks::Yes,
        Ports::OneOf(ports) => any(ports
            .iter()
            .map(|port| port_matches(port, subject, flow, other))),
    }
}

/// The protocol must be the listed one (S49, S60) and the destination port in the range, both ends
/// included, or the one that the name stands for (S50, S57). One that cannot be read matches nothing.
fn port_matches(port: &PortSpec, subject: &Identity, flow: &Flow, other: Other<'_>) -> Picks {
    match port {
        PortSpec::Range {
            protocol,
            first,
            last,
        } => yes_or_no(*protocol == flow.protocol && *first <= flow.port && flow.port <= *last),
        PortSpec::Named { protocol, name } if *protocol == flow.protocol => {
            name_stands_for(name, *protocol, subject, flow, other)
        }
        PortSpec::Named { .. } | PortSpec::Broken => Picks::No,
    }
}

/// A name stands for the port that the containers of the connection's destination declare under that
/// name and protocol: the subject for ingress, the peer for egress (S52, S53). What no container
/// declares matches nothing (S56), and what is no pod declares nothing (S55).
fn name_stands_for(
    name: &str,
    protocol: Protocol,
    subject: &Identity,
    flow: &Flow,
    other: Other<'_>,
) -> Picks {
    let destination = match (flow.direction, other) {
        (Direction::Ingress, _) => subject,
        (Direction::Egress, Other::Pod(peer)) => peer,
        (Direction::Egress, Other::Unknown) => return Picks::Unknown,
        (Direction::Egress, Other::Outside | Other::Node | Other::Own) => return Picks::No,
    };
    yes_or_no(destination.named_ports.iter().any(|declared| {
        &*declared.name == name && declared.protocol == protocol && declared.port == flow.port
    }))
}

/// Yes where all are, no where one is, else unknown.
fn all(parts: impl IntoIterator<Item = Picks>) -> Picks {
    let mut whole = Picks::Yes;
    for part in parts {
        match part {
            Picks::No => return Picks::No,
            Picks::Unknown => whole = Picks::Unknown,
            Picks::Yes => {}
        }
    }
    whole
}

/// Yes where one is, no where none can be, else unknown.
fn any(parts: impl IntoIterator<Item = Picks>) -> Picks {
    let mut whole = Picks::No;
    for part in parts {
        match part {
            Picks::Yes => return Picks::Yes,
            Picks::Unknown => whole = Picks::Unknown,
            Picks::No => {}
        }
    }
    whole
}

/// What is known is yes or no.
fn yes_or_no(holds: bool) -> Picks {
    if holds { Picks::Yes } else { Picks::No }
}

#[cfg(test)]
mod tests;
