//! Who asks: the other end of a flow, and what the law may know of it.
//!
//! May enter: labels, names, the rules that match. Deliberately absent: how an address was turned
//! into a pod; that is the door-keeper's work.

use std::sync::Arc;

use crate::flow::Protocol;
use crate::labels::Labels;
use crate::object::{NamedPort, Pod};
use crate::rule_set::RuleSet;

/// Everything of a pod that a rule can ask for, its address apart.
///
/// Pods of one Deployment have equal identities, so what a table knows of one serves all.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Identity {
    /// The pod's namespace.
    pub namespace: Arc<str>,
    /// The namespace's labels; `None` while its object has not been seen, which is not "no labels" (S31).
    pub namespace_labels: Option<Labels>,
    /// The pod's own labels.
    pub labels: Labels,
    /// Its named container ports, sorted.
    pub named_ports: Arc<[NamedPort]>,
}

impl Identity {
    /// The identity of `pod` in a namespace with these labels, `None` while they are not known.
    #[must_use]
    pub fn of(pod: &Pod, namespace_labels: Option<Labels>) -> Self {
        Self {
            namespace: Arc::clone(&pod.name.namespace),
            namespace_labels,
            labels: pod.labels.clone(),
            named_ports: Arc::clone(&pod.named_ports),
        }
    }
}

/// Which rules of one table have a selector peer that picks one identity.
///
/// Made by [`Table::matching`](crate::compiled::Table::matching), once per table and identity; a
/// decision only intersects it. Asked of a table of another generation it counts as
/// [`Peer::Unknown`].
#[derive(Clone, Debug)]
pub struct MatchingRules {
    pub(crate) generation: u64,
    pub(crate) identity: Arc<Identity>,
    pub(crate) sides: [SideMatch; 2],
}

/// One direction's part of [`MatchingRules`].
#[derive(Clone, Debug)]
pub(crate) struct SideMatch {
    /// Some selector peer of the rule picks the identity.
    pub(crate) yes: RuleSet,
    /// Perhaps: it depends on namespace labels that are not known.
    pub(crate) maybe: RuleSet,
    /// Egress only: rules whose named port is, in this peer, that protocol and number (S52). Sorted.
    pub(crate) named: Vec<((Protocol, u16), RuleSet)>,
}

impl SideMatch {
    /// The rules whose named port is, in this peer, `port` of `protocol`.
    pub(crate) fn named(&self, protocol: Protocol, port: u16) -> Option<&RuleSet> {
        let place = self
            .named
            .binary_search_by(|(have, _)| have.cmp(&(protocol, port)));
        place.ok().map(|at| &self.named[at].1)
    }
}

impl MatchingRules {
    /// The identity these rules were matched against.
    #[must_use]
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}

/// The other end of a flow.
#[derive(Clone, Copy, Debug)]
pub enum Peer<'a> {
    /// A known pod.
    Pod(&'a MatchingRules),
    /// The subject's own node, always allowed (S63).
    Node,
    /// The subject itself or its loopback, always allowed (S68).
    Own,
    /// Certainly no pod: only an `ipBlock` or an unrestricted rule can admit it (S30). Exists
    /// offline, where the whole cluster is given.
    Outside,
    /// Nobody known by this address; perhaps a pod not heard of yet.
    Unknown,
}
