//! The decision: a table, a flow and a peer come in, a [`Verdict`] goes out.
//!
//! The file that matters. Total, without allocation, lock or clock. Deliberately absent: waiting
//! (a verdict of `peer_unknown` is worth asking again, by whoever can wait) and the nearest misses,
//! which are [`explain`](crate::explain)'s question.

use crate::compiled::{Side, Table};
use crate::flow::Flow;
use crate::peer::{MatchingRules, Peer, SideMatch};
use crate::rule_set::RuleSet;
use crate::segments::Words;
use crate::verdict::{AllowReason, DenyReason, Verdict};

/// Says whether `flow` with `peer` at its other end may pass, by the policies of `table`.
///
/// Total: every input has an answer and none is an error. What cannot be known is denied and named
/// as such; what is certain without it is answered at once. Allocates nothing. Work: two binary
/// searches and `k / 64` steps for the `k` rules that select the subject in this direction; pods
/// known and policies that do not select it cost nothing.
pub fn decide(table: &Table, flow: &Flow, peer: Peer<'_>) -> Verdict {
    match peer {
        Peer::Node => return Verdict::Allow(AllowReason::Node),
        Peer::Own => return Verdict::Allow(AllowReason::Own),
        Peer::Pod(_) | Peer::Outside | Peer::Unknown => {}
    }
    if !table.isolates(flow.direction) {
        return Verdict::Allow(AllowReason::NotIsolated);
    }
    let side = table.side(flow.direction);
    match Candidates::of(side, flow, Who::of(table, flow, peer)).admit(side.words()) {
        Admits::By(rule) => Verdict::Allow(AllowReason::Rule(table.rule_id(flow.direction, rule))),
        Admits::Undecidable => Verdict::Deny(DenyReason::PeerUnknown),
        Admits::Nowhere => Verdict::Deny(DenyReason::NoRuleAdmits),
    }
}

/// What is known of the peer, as far as the rules of one direction care.
#[derive(Clone, Copy)]
enum Who<'t> {
    /// A pod whose labels were matched against this very table.
    Matched(&'t SideMatch),
    /// No pod.
    NoPod,
    /// Perhaps some pod.
    Anybody,
}

impl<'t> Who<'t> {
    fn of(table: &Table, flow: &Flow, peer: Peer<'t>) -> Self {
        match peer {
            Peer::Pod(matching) => matched(table, matching).map_or(Self::Anybody, |sides| {
                Self::Matched(&sides[flow.direction.index()])
            }),
            Peer::Outside => Self::NoPod,
            // The node and the subject itself never come here; unknown is the closed reading.
            Peer::Unknown | Peer::Node | Peer::Own => Self::Anybody,
        }
    }
}

/// The sets of `matching`, unless they were made for a table of another generation: their rule
/// numbers would mean other rules.
pub(crate) fn matched<'m>(
    table: &Table,
    matching: &'m MatchingRules,
) -> Option<&'m [SideMatch; 2]> {
    (matching.generation == table.generation()).then_some(&matching.sides)
}

enum Admits {
    /// This rule, the lowest of those that certainly admit.
    By(usize),
    /// No rule certainly, some perhaps.
    Undecidable,
    /// No rule, whoever the peer turns out to be.
    Nowhere,
}

/// The rule sets whose intersection is the answer.
struct Candidates<'t> {
    any_peer: &'t RuleSet,
    picked: Option<&'t RuleSet>,
    perhaps_picked: Option<&'t RuleSet>,
    in_block: Words<'t>,
    perhaps_in_block: Option<&'t RuleSet>,
    on_port: Words<'t>,
    on_named_port: Option<&'t RuleSet>,
    perhaps_on_port: Option<&'t RuleSet>,
}

impl<'t> Candidates<'t> {
    fn of(side: &'t Side, flow: &Flow, who: Who<'t>) -> Self {
        let (picked, perhaps_picked, on_named_port, perhaps_on_port) = match who {
            Who::Matched(peer) => (
                Some(&peer.yes),
                Some(&peer.maybe),
                peer.named(flow.protocol, flow.port),
                None,
            ),
            Who::NoPod => (None, None, None, None),
            Who::Anybody => (
                None,
                Some(&side.has_selectors),
                None,
                Some(&side.has_named[flow.protocol.index()]),
            ),
        };
        let (in_block, perhaps_in_block) = match flow.peer_address {
            Some(address) => (side.blocks(address), None),
            None => (Words::none(), Some(&side.has_blocks)),
        };
        Self {
            any_peer: &side.any_peer,
            picked,
            perhaps_picked,
            in_block,
            perhaps_in_block,
            on_port: side.ports(flow.protocol, flow.port),
            on_named_port,
            perhaps_on_port,
        }
    }

    /// Intersects peers and ports, 64 rules at a time (S19).
    fn admit(mut self, words: usize) -> Admits {
        let mut perhaps = 0;
        for at in 0..words {
            let peer = self.any_peer.word(at) | word(self.picked, at) | self.in_block.word(at);
            let port = self.on_port.word(at) | word(self.on_named_port, at);
            let sure = peer & port;
            if sure != 0 {
                return Admits::By(at * 64 + sure.trailing_zeros() as usize);
            }
            let peer = peer | word(self.perhaps_picked, at) | word(self.perhaps_in_block, at);
            perhaps |= peer & (port | word(self.perhaps_on_port, at));
        }
        if perhaps == 0 {
            Admits::Nowhere
        } else {
            Admits::Undecidable
        }
    }
}

fn word(set: Option<&RuleSet>, at: usize) -> u64 {
    set.map_or(0, |set| set.word(at))
}

#[cfg(test)]
mod tests;
