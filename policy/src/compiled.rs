//! The compiled table: what all policies say of one subject, ready to be asked.
//!
//! May enter: what [`compile`](crate::compile) has numbered and sorted. Deliberately absent: change;
//! a new policy makes a new table with a new generation. A table is asked by
//! [`decide`](crate::decide) and, after a denial, by [`explain`](crate::explain).
//!
//! INVARIANT: a rule's number within its direction is its place in `Side::rules`; policies are in the
//! order of their names, so the lowest number that admits is the same on every run.

pub(crate) mod by_label;

use std::net::IpAddr;
use std::sync::Arc;

use crate::flow::{Direction, Protocol};
use crate::object::ObjectName;
use crate::peer::{Identity, MatchingRules, SideMatch};
use crate::rule_set::RuleSet;
use crate::segments::{Segments, Words};
use crate::selector::{Picks, Selector};
use crate::spec::{Namespaces, PeerSpec, Peers, Policy};
use crate::verdict::RuleId;
use by_label::{ByLabel, required};

/// All policies that select one subject, compiled. Immutable; share it by `Arc`.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) generation: u64,
    pub(crate) subject: Identity,
    /// The policies that select the subject, by name.
    pub(crate) policies: Box<[Policy]>,
    pub(crate) sides: [Side; 2],
}

/// One direction of a table.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// Places of the policies that isolate for this direction, ascending.
    pub(crate) isolating: Vec<usize>,
    /// Every rule of those, by number.
    pub(crate) rules: Vec<RuleAt>,
    /// Rules that admit any peer (S17).
    pub(crate) any_peer: RuleSet,
    /// Rules with a selector peer that can be read: what an unknown peer might match.
    pub(crate) has_selectors: RuleSet,
    /// Rules with an `ipBlock`: what a peer without an address might match.
    pub(crate) has_blocks: RuleSet,
    /// Every selector peer.
    pub(crate) selectors: Selectors,
    /// By protocol: the rules that hold on a port, names that stand for one number included.
    pub(crate) ports: [Segments<u16>; 3],
    /// Egress only: the names that stand for another number in every peer (S52).
    pub(crate) named: Vec<NamedRule>,
    /// By protocol: the rules of `named`, which an unknown peer's ports might match.
    pub(crate) has_named: [RuleSet; 3],
    /// By [`family`]: the rules with an `ipBlock` that holds an address.
    pub(crate) blocks: [Segments<u128>; 2],
}

/// The selector peers of one side, each found by a label that it requires.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selectors {
    pub(crate) peers: Vec<PeerAt>,
    /// Those that require a label of the pod, and those that require none at all.
    pub(crate) by_pod: ByLabel,
    /// Those that require a label of the namespace only.
    pub(crate) by_namespace: ByLabel,
}

/// Where a peer stands in the manifests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerAt {
    /// The number of its rule.
    pub(crate) rule: usize,
    /// Zero-based index within the rule.
    pub(crate) peer: usize,
}

/// Where a rule stands in the manifests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleAt {
    /// Place of its policy in the table.
    pub(crate) policy: usize,
    /// Zero-based index within the policy.
    pub(crate) rule: u32,
}

/// A rule that asks for a port by a name the peer must resolve.
#[derive(Clone, Debug)]
pub(crate) struct NamedRule {
    pub(crate) protocol: Protocol,
    pub(crate) name: Arc<str>,
    pub(crate) rule: usize,
}

impl Table {
    /// The generation given to [`compile`](crate::compile::compile).
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether some policy selects the subject for `direction` (S2).
    #[must_use]
    pub fn isolates(&self, direction: Direction) -> bool {
        !self.side(direction).isolating.is_empty()
    }

    /// The policies that isolate the subject for `direction`, by name.
    pub fn isolating(&self, direction: Direction) -> impl Iterator<Item = &ObjectName> {
        self.isolating_policies(direction)
            .map(|policy| &policy.name)
    }

    /// The policy of a rule and the rule's zero-based index in it; `None` for a rule of a table of
    /// another generation.
    #[must_use]
    pub fn rule_name(&self, rule: RuleId) -> Option<(&ObjectName, u32)> {
        if rule.generation != self.generation {
            return None;
        }
        let index = usize::try_from(rule.index).ok()?;
        let [ingress, egress] = &self.sides;
        let at = match index.checked_sub(ingress.rules.len()) {
            None => ingress.rules.get(index)?,
            Some(index) => egress.rules.get(index)?,
        };
        Some((&self.policies.get(at.policy)?.name, at.rule))
    }

    /// Which rules have a selector peer that picks `identity`, and what its named ports stand for.
    ///
    /// Valid for this generation only. Work: a binary search for each label of the identity, and the
    /// selector peers that require one of them or none; make it once per identity and keep it.
    #[must_use]
    pub fn matching(&self, identity: &Arc<Identity>) -> MatchingRules {
        MatchingRules {
            generation: self.generation,
            identity: Arc::clone(identity),
            sides: Direction::BOTH.map(|direction| self.side_match(direction, identity)),
        }
    }

    pub(crate) fn isolating_policies(&self, direction: Direction) -> impl Iterator<Item = &Policy> {
        let places = self.side(direction).isolating.iter();
        places.map(|at| &self.policies[*at])
    }

    pub(crate) fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction.index()]
    }

    /// The name that travels with a verdict for rule number `index` of `direction`.
    pub(crate) fn rule_id(&self, direction: Direction, index: usize) -> RuleId {
        let first = match direction {
            Direction::Ingress => 0,
            Direction::Egress => self.side(Direction::Ingress).rules.len(),
        };
        RuleId {
            generation: self.generation,
            // A table that does not fit 32 bits names no rule rather than a wrong one.
            index: u32::try_from(first + index).unwrap_or(u32::MAX),
        }
    }

    fn peer(&self, direction: Direction, at: PeerAt) -> Option<&PeerSpec> {
        let rule = self.side(direction).rules.get(at.rule)?;
        let rules = self.policies.get(rule.policy)?.rules(direction)?;
        match &rules.get(usize::try_from(rule.rule).ok()?)?.peers {
            Peers::Any => None,
            Peers::OneOf(peers) => peers.get(at.peer),
        }
    }

    fn side_match(&self, direction: Direction, identity: &Identity) -> SideMatch {
        let side = self.side(direction);
        let mut yes = RuleSet::empty(side.rules.len());
        let mut maybe = RuleSet::empty(side.rules.len());
        for at in side.selectors.candidates(identity) {
            let peer = self.peer(direction, at);
            match peer.map(|peer| picks(peer, &self.subject.namespace, identity)) {
                Some(Picks::Yes) => yes.insert(at.rule),
                Some(Picks::Unknown) => maybe.insert(at.rule),
                Some(Picks::No) | None => {}
            }
        }
        SideMatch {
            yes: yes.trimmed(),
            maybe: maybe.trimmed(),
            named: side.named_of(identity),
        }
    }
}

impl Selectors {
    /// Adds one selector peer.
    pub(crate) fn insert(&mut self, at: PeerAt, namespaces: &Namespaces, pods: &Selector) {
        let owner = self.peers.len();
        self.peers.push(at);
        let of_namespace = match namespaces {
            Namespaces::Own => None,
            Namespaces::Matching(selector) => required(selector),
        };
        match required(pods) {
            None if of_namespace.is_some() => self.by_namespace.insert(of_namespace, owner),
            of_pod => self.by_pod.insert(of_pod, owner),
        }
    }

    /// Must be called after the last [`insert`](Self::insert).
    pub(crate) fn sort(&mut self) {
        self.by_pod.sort();
        self.by_namespace.sort();
    }

    /// The peers that may pick `identity`; none of the others does.
    fn candidates(&self, identity: &Identity) -> impl Iterator<Item = PeerAt> {
        let by_pod = self.by_pod.candidates(Some(&identity.labels));
        let namespace = identity.namespace_labels.as_ref();
        let owners = by_pod.chain(self.by_namespace.candidates(namespace));
        owners.map(|owner| self.peers[owner])
    }
}

impl Side {
    /// How many 64s of rules a decision walks.
    pub(crate) fn words(&self) -> usize {
        self.rules.len().div_ceil(64)
    }

    /// The rules that hold on `port`, those apart whose named port is the peer's to resolve.
    pub(crate) fn ports(&self, protocol: Protocol, port: u16) -> Words<'_> {
        self.ports[protocol.index()].at(port)
    }

    /// The rules with an `ipBlock` that holds `address`.
    pub(crate) fn blocks(&self, address: IpAddr) -> Words<'_> {
        self.blocks[family(address)].at(bits(address))
    }

    /// What the named ports of the rules stand for in the pod `identity` (S52, S53).
    fn named_of(&self, identity: &Identity) -> Vec<((Protocol, u16), RuleSet)> {
        let mut named = std::collections::BTreeMap::new();
        for asked in &self.named {
            for have in identity.named_ports.iter() {
                if have.protocol == asked.protocol && have.name == asked.name {
                    named
                        .entry((have.protocol, have.port))
                        .or_insert_with(|| RuleSet::empty(self.rules.len()))
                        .insert(asked.rule);
                }
            }
        }
        named.into_iter().collect()
    }
}

/// The place of an address family in a pair; families never mix (S42).
pub(crate) const fn family(address: IpAddr) -> usize {
    address.is_ipv6() as usize
}

/// An address as a point of its family's line.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Whether one peer of a policy in namespace `own` picks the pod `identity` by its labels.
pub(crate) fn picks(peer: &PeerSpec, own: &str, identity: &Identity) -> Picks {
    let PeerSpec::Pods { namespaces, pods } = peer else {
        return Picks::No;
    };
    let namespace = match namespaces {
        Namespaces::Own => Picks::from(*identity.namespace == *own),
        Namespaces::Matching(selector) => selector.picks(identity.namespace_labels.as_ref()),
    };
    namespace.and(pods.picks(Some(&identity.labels)))
}

#[cfg(test)]
mod tests;
