//! A NetworkPolicy as podwall understands it: defaults filled in, broken parts marked as such.
//!
//! May enter: leaves. Deliberately absent: YAML, and judgement (see [`compile`](crate::compile)).
//!
//! INVARIANT: a broken part never widens. A broken subject selects every pod of the namespace; a
//! broken peer or port matches nothing; a rule keeps its index whatever its parts are.

use std::sync::Arc;

use crate::cidr::IpBlock;
use crate::flow::{Direction, Protocol};
use crate::object::ObjectName;
use crate::selector::Selector;

/// A NetworkPolicy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Its name; it selects pods of this namespace only (S5).
    pub name: ObjectName,
    /// `spec.podSelector`; [`Selector::Broken`] selects every pod of the namespace.
    pub subjects: Selector,
    /// The ingress rules where the policy isolates for ingress, else `None` (S2).
    pub ingress: Option<Vec<Rule>>,
    /// The egress rules where the policy isolates for egress, else `None`.
    pub egress: Option<Vec<Rule>>,
    /// Its namespace or the policy itself is being deleted; it still isolates (S8).
    pub terminating: bool,
}

impl Policy {
    /// The rules for `direction`, `None` where the policy does not isolate for it.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// One ingress or egress rule: some peer *and* some port must match (S19).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Who may be at the other end.
    pub peers: Peers,
    /// On which ports of the destination.
    pub ports: Ports,
}

/// The peers of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Peers {
    /// `from`/`to` missing, null or empty: everybody, also outside the cluster (S17).
    Any,
    /// Any one of these (S20). Never empty.
    OneOf(Vec<PeerSpec>),
}

/// One item of `from` or `to`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PeerSpec {
    /// Pods by labels (S21 to S25).
    Pods {
        /// In which namespaces.
        namespaces: Namespaces,
        /// Which pods of them; empty where `podSelector` is missing.
        pods: Selector,
    },
    /// Addresses (S40 to S46).
    Block(IpBlock),
    /// Cannot be read: matches nothing (S28, S29, S38).
    Broken,
}

/// The namespaces of a selector peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Namespaces {
    /// The policy's own namespace: no `namespaceSelector` was given (S21).
    Own,
    /// Those whose labels match.
    Matching(Selector),
}

/// The ports of a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ports {
    /// `ports` missing, null or empty: every port of every protocol (S18).
    Any,
    /// Any one of these. Never empty.
    OneOf(Vec<PortSpec>),
}

/// One item of `ports`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PortSpec {
    /// Numbers `first..=last` of `protocol`; `0..=65535` where only the protocol was given (S50, S57).
    Range {
        /// The protocol; TCP where the manifest names none (S49).
        protocol: Protocol,
        /// The lowest number.
        first: u16,
        /// The highest number, not below `first`.
        last: u16,
    },
    /// The port that the destination's containers declare under this name and protocol (S52, S53).
    Named {
        /// The protocol.
        protocol: Protocol,
        /// The name.
        name: Arc<str>,
    },
    /// Cannot be read: matches nothing.
    Broken,
}
