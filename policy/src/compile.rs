//! All policies and one subject come in, an immutable [`Table`] goes out.
//!
//! May enter: policies as [`document`](crate::document) understood them. Deliberately absent:
//! failure; a part that cannot be read admits nobody and the rest still counts, and findings about
//! the document itself, which `document` has made. What is found here depends on the subject.

use std::borrow::Borrow;
use std::sync::Arc;

use ipnet::IpNet;

use crate::cidr::IpBlock;
use crate::compiled::{NamedRule, PeerAt, RuleAt, Selectors, Side, Table, bits, family};
use crate::diagnostic::Diagnostic;
use crate::flow::{Direction, Protocol};
use crate::peer::Identity;
use crate::rule_set::RuleSet;
use crate::segments::{Segments, Span};
use crate::selector::{Picks, Selector};
use crate::spec::{Namespaces, PeerSpec, Peers, Policy, PortSpec, Ports, Rule};

mod findings;

/// A table and what is odd about the policies in the light of this subject.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What to ask.
    pub table: Table,
    /// Dead rules and the like; never a reason not to use the table.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles those of `policies` that select `subject`; never fails.
///
/// `policies` may be all of the cluster's, as `&Policy` or as `Arc<Policy>`; one that does not select
/// the subject costs one comparison. `generation` names the table: rule numbers and
/// [`MatchingRules`](crate::peer::MatchingRules) of one table mean nothing to another, so give each
/// table of one subject another number.
#[must_use]
pub fn compile<P: Borrow<Policy>>(
    policies: impl IntoIterator<Item = P>,
    subject: &Identity,
    generation: u64,
) -> Compiled {
    let mut selecting: Vec<Policy> = policies
        .into_iter()
        .filter(|policy| selects(policy.borrow(), subject))
        .map(|policy| policy.borrow().clone())
        .collect();
    selecting.sort_by(|one, other| one.name.cmp(&other.name));
    let sides = Direction::BOTH.map(|direction| side(&selecting, direction, subject));
    Compiled {
        diagnostics: findings::findings(&selecting, subject),
        table: Table {
            generation,
            subject: subject.clone(),
            policies: selecting.into(),
            sides,
        },
    }
}

/// Whether `policy` selects `subject`; an unreadable selector selects its whole namespace (P26).
///
/// What does not select a subject has no part in its table.
#[must_use]
pub fn selects(policy: &Policy, subject: &Identity) -> bool {
    policy.name.namespace == subject.namespace
        && match &policy.subjects {
            Selector::Broken => true,
            readable @ Selector::All(_) => readable.picks(Some(&subject.labels)) == Picks::Yes,
        }
}

fn side(policies: &[Policy], direction: Direction, subject: &Identity) -> Side {
    let isolates = |at: &usize| policies[*at].rules(direction).is_some();
    let isolating: Vec<usize> = (0..policies.len()).filter(isolates).collect();
    let numbered: Vec<(RuleAt, &Rule)> = isolating
        .iter()
        .flat_map(|policy| {
            let rules = policies[*policy].rules(direction).unwrap_or_default();
            (0..).zip(rules).map(|(rule, spec)| {
                (
                    RuleAt {
                        policy: *policy,
                        rule,
                    },
                    spec,
                )
            })
        })
        .collect();
    let mut draft = Draft::new(numbered.len(), direction, subject);
    for (index, (_, rule)) in numbered.iter().enumerate() {
        draft.peers(index, &rule.peers);
        draft.ports(index, &rule.ports);
    }
    draft.finish(isolating, numbered.into_iter().map(|(at, _)| at).collect())
}

/// One side while its rules are read.
struct Draft<'s> {
    rules: usize,
    direction: Direction,
    subject: &'s Identity,
    any_peer: RuleSet,
    has_selectors: RuleSet,
    selectors: Selectors,
    has_blocks: RuleSet,
    ports: [Vec<Span<u16>>; 3],
    named: Vec<NamedRule>,
    has_named: [RuleSet; 3],
    blocks: [Vec<Span<u128>>; 2],
}

impl<'s> Draft<'s> {
    fn new(rules: usize, direction: Direction, subject: &'s Identity) -> Self {
        let empty = || RuleSet::empty(rules);
        Self {
            rules,
            direction,
            subject,
            any_peer: empty(),
            has_selectors: empty(),
            selectors: Selectors::default(),
            has_blocks: empty(),
            ports: [const { Vec::new() }; 3],
            named: Vec::new(),
            has_named: [empty(), empty(), empty()],
            blocks: [const { Vec::new() }; 2],
        }
    }

    fn peers(&mut self, rule: usize, peers: &Peers) {
        let Peers::OneOf(peers) = peers else {
            self.any_peer.insert(rule);
            return;
        };
        for (at, peer) in peers.iter().enumerate() {
            match peer {
                PeerSpec::Pods { namespaces, pods } if is_readable(namespaces, pods) => {
                    self.has_selectors.insert(rule);
                    let at = PeerAt { rule, peer: at };
                    self.selectors.insert(at, namespaces, pods);
                }
                PeerSpec::Block(block) => {
                    self.has_blocks.insert(rule);
                    self.block(rule, block);
                }
                PeerSpec::Pods { .. } | PeerSpec::Broken => {}
            }
        }
    }

    fn block(&mut self, rule: usize, block: &IpBlock) {
        let family = family(block.cidr.addr());
        // An exception of the other family takes nothing out (S42).
        let same_family = block
            .except
            .iter()
            .filter(|one| self::family(one.addr()) == family);
        let except = same_family.map(|one| bounds(*one)).collect();
        cut_out(bounds(block.cidr), except, |first, last| {
            self.blocks[family].push(Span { first, last, rule });
        });
    }

    fn ports(&mut self, rule: usize, ports: &Ports) {
        let Ports::OneOf(ports) = ports else {
            for protocol in Protocol::ALL {
                self.span(rule, protocol, 0, u16::MAX);
            }
            return;
        };
        for port in ports {
            match port {
                PortSpec::Range {
                    protocol,
                    first,
                    last,
                } => self.span(rule, *protocol, *first, *last),
                PortSpec::Named { protocol, name } => self.named(rule, *protocol, name),
                PortSpec::Broken => {}
            }
        }
    }

    /// A name stands for a port of the destination: the subject's for ingress, the peer's for egress (S52).
    fn named(&mut self, rule: usize, protocol: Protocol, name: &Arc<str>) {
        if self.direction == Direction::Egress {
            self.has_named[protocol.index()].insert(rule);
            self.named.push(NamedRule {
                protocol,
                name: Arc::clone(name),
                rule,
            });
            return;
        }
        let declared = self.subject.named_ports.iter();
        for have in declared.filter(|have| have.protocol == protocol && have.name == *name) {
            self.ports[protocol.index()].push(Span {
                first: have.port,
                last: have.port,
                rule,
            });
        }
    }

    fn span(&mut self, rule: usize, protocol: Protocol, first: u16, last: u16) {
        // An upside-down range would widen in the sweep; it matches nothing.
        if first <= last {
            self.ports[protocol.index()].push(Span { first, last, rule });
        }
    }

    fn finish(mut self, isolating: Vec<usize>, rules: Vec<RuleAt>) -> Side {
        self.selectors.sort();
        Side {
            isolating,
            rules,
            any_peer: self.any_peer,
            has_selectors: self.has_selectors,
            selectors: self.selectors,
            has_blocks: self.has_blocks,
            ports: self.ports.map(|spans| Segments::of(&spans, self.rules)),
            named: self.named,
            has_named: self.has_named,
            blocks: self.blocks.map(|spans| Segments::of(&spans, self.rules)),
        }
    }
}

/// Whether a selector peer can match anybody at all as far as it can be read (S38).
fn is_readable(namespaces: &Namespaces, pods: &Selector) -> bool {
    *pods != Selector::Broken && *namespaces != Namespaces::Matching(Selector::Broken)
}

/// First and last address of a range.
fn bounds(net: IpNet) -> (u128, u128) {
    (bits(net.network()), bits(net.broadcast()))
}

/// What is left of `whole` when the exceptions are taken out, piece by piece (S40, S41).
fn cut_out(whole: (u128, u128), mut except: Vec<(u128, u128)>, mut piece: impl FnMut(u128, u128)) {
    except.sort_unstable();
    let (mut first, end) = whole;
    for (hole_first, hole_last) in except {
        if hole_first > end {
            break;
        }
        if first < hole_first {
            piece(first, hole_first - 1);
        }
        let Some(after) = hole_last.checked_add(1) else {
            return;
        };
        first = first.max(after);
    }
    if first <= end {
        piece(first, end);
    }
}

#[cfg(test)]
mod tests;
