//! How near a rule came to admitting a flow, as typed steps.
//!
//! Deliberately absent: words (see `detail`) and the decision, which was taken before.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Clause;
use crate::cidr::IpBlock;
use crate::compiled::Table;
use crate::decide::matched;
use crate::flow::{Direction, Flow};
use crate::object::NamedPort;
use crate::peer::{Identity, Peer};
use crate::selector::{Picks, Selector};
use crate::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

/// The question that was denied.
pub(super) struct Asked<'t> {
    pub(super) table: &'t Table,
    pub(super) flow: &'t Flow,
    pub(super) who: Who<'t>,
}

/// What is known of the peer.
#[derive(Clone, Copy)]
pub(super) enum Who<'t> {
    Pod(&'t Identity),
    NoPod,
    Anybody,
}

/// The rule of a policy that came nearest.
pub(super) struct Nearest<'t> {
    pub(super) policy: &'t Policy,
    /// `None` where the policy has no rule for the direction.
    pub(super) rule: Option<RuleMiss<'t>>,
}

/// How one rule missed.
pub(super) struct RuleMiss<'t> {
    pub(super) index: u32,
    pub(super) rule: &'t Rule,
    pub(super) peer: PeerStep<'t>,
    pub(super) port: PortStep,
}

/// How the peers of a rule answered; of several, the nearest.
#[derive(Clone, Copy)]
pub(super) enum PeerStep<'t> {
    Matches,
    Excepted(&'t IpBlock, IpNet),
    /// It depends on who the peer is.
    Unheard,
    NamespaceUnknown(&'t Selector),
    AddressUnknown,
    PodLabels(&'t Selector),
    NamespaceLabels {
        namespaces: &'t Selector,
        /// The pod selector, where that does not match either.
        pods: Option<&'t Selector>,
    },
    OtherNamespace {
        /// The pod selector, where that does not match either.
        pods: Option<&'t Selector>,
    },
    OutsideBlocks,
    NotAPod,
    Unreadable,
}

/// How the ports of a rule answered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum PortStep {
    Matches,
    /// A name that only the peer can resolve, and who that is is not known.
    Unresolved,
    Differs,
    /// Only names, and the destination declares none of them.
    Undeclared,
    Unreadable,
}

/// How far a miss is: whether it is certain, the clause, then how much else is wrong.
///
/// What is not certain comes first: it may be no miss at all, and it is what made the verdict
/// `peer_unknown`.
type Distance = (bool, Clause, PortStep, bool);

impl<'t> Nearest<'t> {
    pub(super) fn clause(&self) -> Clause {
        let rule = self.rule.as_ref();
        rule.and_then(RuleMiss::clause).unwrap_or(Clause::NoRules)
    }

    pub(super) fn distance(&self) -> Distance {
        match &self.rule {
            Some(rule) => rule.distance(self.clause()),
            None => (true, Clause::NoRules, PortStep::Unreadable, true),
        }
    }
}

impl RuleMiss<'_> {
    /// The failing clause; `None` where nothing failed.
    fn clause(&self) -> Option<Clause> {
        match (self.peer.picks(), self.port.picks()) {
            // Whoever the peer is, the port keeps it out.
            (Picks::Unknown, Picks::No) => self.port.clause(),
            _ => self.peer.clause().or(self.port.clause()),
        }
    }

    fn distance(&self, clause: Clause) -> Distance {
        let certain = self.peer.picks().and(self.port.picks()) != Picks::Unknown;
        (certain, clause, self.port, self.peer.is_far())
    }
}

impl PeerStep<'_> {
    fn clause(&self) -> Option<Clause> {
        Some(match self {
            Self::Matches => return None,
            Self::Excepted(..) => Clause::Except,
            Self::Unheard => Clause::PeerUnknown,
            Self::NamespaceUnknown(_) => Clause::NamespaceUnknown,
            Self::AddressUnknown => Clause::AddressUnknown,
            Self::PodLabels(_) => Clause::PodLabels,
            Self::NamespaceLabels { .. } => Clause::NamespaceLabels,
            Self::OtherNamespace { .. } => Clause::OtherNamespace,
            Self::OutsideBlocks => Clause::IpBlock,
            Self::NotAPod => Clause::NotAPod,
            Self::Unreadable => Clause::Unreadable,
        })
    }

    pub(super) fn picks(&self) -> Picks {
        match self {
            Self::Matches => Picks::Yes,
            Self::Unheard | Self::NamespaceUnknown(_) | Self::AddressUnknown => Picks::Unknown,
            _ => Picks::No,
        }
    }

    fn distance(&self) -> (bool, Option<Clause>, bool) {
        let certainly_not = self.picks() == Picks::No;
        (certainly_not, self.clause(), self.is_far())
    }

    /// Namespace and pod labels both fail, or it is not known whether any of it holds.
    fn is_far(&self) -> bool {
        let fails_twice = matches!(
            self,
            Self::NamespaceLabels { pods: Some(_), .. } | Self::OtherNamespace { pods: Some(_) }
        );
        fails_twice || self.picks() == Picks::Unknown
    }
}

impl PortStep {
    fn clause(self) -> Option<Clause> {
        match self {
            Self::Matches => None,
            Self::Differs => Some(Clause::Port),
            Self::Undeclared => Some(Clause::NamedPort),
            Self::Unresolved => Some(Clause::PeerUnknown),
            Self::Unreadable => Some(Clause::Unreadable),
        }
    }

    fn picks(self) -> Picks {
        match self {
            Self::Matches => Picks::Yes,
            Self::Unresolved => Picks::Unknown,
            Self::Differs | Self::Undeclared | Self::Unreadable => Picks::No,
        }
    }
}

impl<'t> Asked<'t> {
    pub(super) fn of(table: &'t Table, flow: &'t Flow, peer: Peer<'t>) -> Self {
        let who = match peer {
            Peer::Pod(matching) if matched(table, matching).is_some() => {
                Who::Pod(matching.identity())
            }
            Peer::Outside => Who::NoPod,
            // As in a decision: rules matched for another table say nothing here.
            Peer::Pod(_) | Peer::Unknown | Peer::Node | Peer::Own => Who::Anybody,
        };
        Self { table, flow, who }
    }

    /// The nearest miss of `policy`; `None` where one of its rules does not miss.
    pub(super) fn nearest(&self, policy: &'t Policy) -> Option<Nearest<'t>> {
        let rules = policy.rules(self.flow.direction).unwrap_or_default();
        let misses = (0..).zip(rules).map(|(index, rule)| {
            let miss = self.rule(policy, index, rule);
            miss.clause().map(|clause| (miss.distance(clause), miss))
        });
        // Of equally near rules the first stays.
        let mut nearest: Option<(Distance, RuleMiss<'t>)> = None;
        for miss in misses {
            let (distance, miss) = miss?;
            if nearest.as_ref().is_none_or(|(have, _)| distance < *have) {
                nearest = Some((distance, miss));
            }
        }
        let rule = nearest.map(|(_, miss)| miss);
        Some(Nearest { policy, rule })
    }

    fn rule(&self, policy: &'t Policy, index: u32, rule: &'t Rule) -> RuleMiss<'t> {
        let peer = match &rule.peers {
            Peers::Any => PeerStep::Matches,
            Peers::OneOf(peers) => peers
                .iter()
                .map(|peer| self.peer(policy, peer))
                .min_by_key(PeerStep::distance)
                .unwrap_or(PeerStep::Unreadable),
        };
        let port = match &rule.ports {
            Ports::Any => PortStep::Matches,
            Ports::OneOf(ports) => {
                let steps = ports.iter().map(|port| self.port(port));
                steps.min().unwrap_or(PortStep::Unreadable)
            }
        };
        RuleMiss {
            index,
            rule,
            peer,
            port,
        }
    }

    fn peer(&self, policy: &Policy, peer: &'t PeerSpec) -> PeerStep<'t> {
        match peer {
            PeerSpec::Broken => PeerStep::Unreadable,
            PeerSpec::Block(block) => match self.flow.peer_address {
                None => PeerStep::AddressUnknown,
                Some(address) => in_block(block, address),
            },
            PeerSpec::Pods { namespaces, pods } => {
                let unreadable = *pods == Selector::Broken
                    || *namespaces == Namespaces::Matching(Selector::Broken);
                match self.who {
                    _ if unreadable => PeerStep::Unreadable,
                    Who::Pod(identity) => pod(policy, namespaces, pods, identity),
                    Who::NoPod => PeerStep::NotAPod,
                    Who::Anybody => PeerStep::Unheard,
                }
            }
        }
    }

    fn port(&self, port: &PortSpec) -> PortStep {
        let flow = self.flow;
        match port {
            PortSpec::Broken => PortStep::Unreadable,
            PortSpec::Range {
                protocol,
                first,
                last,
            } => {
                if *protocol == flow.protocol && (*first..=*last).contains(&flow.port) {
                    PortStep::Matches
                } else {
                    PortStep::Differs
                }
            }
            PortSpec::Named { protocol, name } => match self.declared() {
                None if *protocol == flow.protocol => PortStep::Unresolved,
                None => PortStep::Differs,
                Some(declared) => {
                    let is_meant =
                        |have: &&NamedPort| have.protocol == *protocol && have.name == *name;
                    let matches =
                        |have: &NamedPort| *protocol == flow.protocol && have.port == flow.port;
                    let mut meant = declared.iter().filter(is_meant).peekable();
                    if meant.peek().is_none() {
                        PortStep::Undeclared
                    } else if meant.any(matches) {
                        PortStep::Matches
                    } else {
                        PortStep::Differs
                    }
                }
            },
        }
    }

    /// The named ports of the destination (S52), none for what is no pod (S55); `None` where they are
    /// not known.
    pub(super) fn declared(&self) -> Option<&'t [NamedPort]> {
        match (self.flow.direction, self.who) {
            (Direction::Ingress, _) => Some(&self.table.subject.named_ports),
            (Direction::Egress, Who::Pod(identity)) => Some(&identity.named_ports),
            (Direction::Egress, Who::NoPod) => Some(&[]),
            (Direction::Egress, Who::Anybody) => None,
        }
    }
}

fn in_block(block: &IpBlock, address: IpAddr) -> PeerStep<'_> {
    if block.contains(address) {
        return PeerStep::Matches;
    }
    let mut holes = block.except.iter().filter(|one| one.contains(&address));
    match holes.next() {
        Some(hole) if block.cidr.contains(&address) => PeerStep::Excepted(block, *hole),
        _ => PeerStep::OutsideBlocks,
    }
}

fn pod<'t>(
    policy: &Policy,
    namespaces: &'t Namespaces,
    pods: &'t Selector,
    identity: &Identity,
) -> PeerStep<'t> {
    let labels_match = pods.picks(Some(&identity.labels)) == Picks::Yes;
    let also = (!labels_match).then_some(pods);
    match namespaces {
        Namespaces::Own if identity.namespace != policy.name.namespace => {
            PeerStep::OtherNamespace { pods: also }
        }
        Namespaces::Matching(selector) => {
            match selector.picks(identity.namespace_labels.as_ref()) {
                Picks::No => PeerStep::NamespaceLabels {
                    namespaces: selector,
                    pods: also,
                },
                Picks::Unknown if labels_match => PeerStep::NamespaceUnknown(selector),
                Picks::Yes if labels_match => PeerStep::Matches,
                Picks::Yes | Picks::Unknown => PeerStep::PodLabels(pods),
            }
        }
        Namespaces::Own if labels_match => PeerStep::Matches,
        Namespaces::Own => PeerStep::PodLabels(pods),
    }
}
