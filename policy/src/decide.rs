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

/// The rule sets whose intersection is the answer, 64 rules at a time; what is short has no more.
struct Candidates<'t> {
    any_peer: &'t [u64],
    picked: &'t [u64],
    perhaps_picked: &'t [u64],
    in_block: Words<'t>,
    perhaps_in_block: &'t [u64],
    on_port: Words<'t>,
    on_named_port: &'t [u64],
    perhaps_on_port: &'t [u64],
}

impl<'t> Candidates<'t> {
    fn of(side: &'t Side, flow: &Flow, who: Who<'t>) -> Self {
        let mut candidates = Self {
            any_peer: side.any_peer.words(),
            picked: &[],
            perhaps_picked: &[],
            in_block: Words::none(),
            perhaps_in_block: &[],
            on_port: side.ports(flow.protocol, flow.port),
            on_named_port: &[],
            perhaps_on_port: &[],
        };
        match who {
            Who::Matched(peer) => {
                candidates.picked = peer.yes.words();
                candidates.perhaps_picked = peer.maybe.words();
                let named = peer.named(flow.protocol, flow.port);
                candidates.on_named_port = named.map_or(&[], RuleSet::words);
            }
            Who::NoPod => {}
            Who::Anybody => {
                candidates.perhaps_picked = side.has_selectors.words();
                candidates.perhaps_on_port = side.has_named[flow.protocol.index()].words();
            }
        }
        match flow.peer_address {
            Some(address) => candidates.in_block = side.blocks(address),
            None => candidates.perhaps_in_block = side.has_blocks.words(),
        }
        candidates
    }

    /// Intersects peers and ports, 64 rules at a time (S19).
    fn admit(mut self, words: usize) -> Admits {
        let mut perhaps = 0;
        for at in 0..words {
            let peer = word(self.any_peer, at) | word(self.picked, at) | self.in_block.word(at);
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

fn word(set: &[u64], at: usize) -> u64 {
    set.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
