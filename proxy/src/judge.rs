//! The judge's bench: a flow and who sent it come in, a [`Ruling`] goes out.
//!
//! The only caller of [`podwall_policy::decide`]. May enter: the table of this moment, and what was
//! found of the source. Deliberately absent: sockets, clocks, `async`, and the look-up of an address.
//!
//! What the table says of an identity is worked out once and kept beside it, by the identity's number;
//! a warm ruling allocates nothing and takes no lock.

use std::sync::{Arc, OnceLock};

use podwall_policy::compile::compile;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::explain::{self, Miss};
use podwall_policy::flow::Flow;
use podwall_policy::object::ObjectName;
use podwall_policy::peer::{Identity, MatchingRules, Peer};
use podwall_policy::spec::Policy;
use podwall_policy::verdict::Verdict;

use crate::ruling::{Decision, Ruling};

#[cfg(test)]
mod tests;

/// One table and what it says of the identities asked about so far.
#[derive(Debug)]
pub struct Judge {
    table: Table,
    rows: Vec<OnceLock<MatchingRules>>,
}

/// Who sent a flow, as far as is known.
#[derive(Clone, Copy, Debug)]
pub enum Sender<'a> {
    /// A known pod.
    Pod {
        /// Its name, for the log.
        name: &'a ObjectName,
        /// Its identity.
        identity: &'a Arc<Identity>,
        /// The identity's number: the same number means the same identity until it is
        /// [forgotten](Judge::forget).
        slot: usize,
    },
    /// Nobody known.
    Unknown,
}

impl Judge {
    /// The judge of `subject` under `policies`, and what is odd in them. `generation` must be new for
    /// each judge of one subject.
    #[must_use]
    pub fn new(
        policies: &[Arc<Policy>],
        subject: &Identity,
        generation: u64,
    ) -> (Self, Vec<Diagnostic>) {
        let compiled = compile(policies.iter().map(|one| &**one), subject, generation);
        let judge = Self {
            table: compiled.table,
            rows: Vec::new(),
        };
        (judge, compiled.diagnostics)
    }

    /// Makes room for identities numbered below `slots`.
    pub fn make_room(&mut self, slots: usize) {
        if self.rows.len() < slots {
            self.rows.resize_with(slots, OnceLock::new);
        }
    }

    /// The number `slot` no longer means what it meant.
    pub fn forget(&mut self, slot: usize) {
        if let Some(row) = self.rows.get_mut(slot) {
            row.take();
        }
    }

    /// Rules on a flow. `generation` is that of the state in which the sender was found.
    #[must_use]
    pub fn rule(&self, flow: &Flow, sender: Sender<'_>, generation: u64) -> Ruling {
        let verdict = self.with_peer(sender, |peer| decide(&self.table, flow, peer));
        let decision = match verdict {
            Verdict::Allow(reason) => Decision::Allow(reason),
            Verdict::Deny(reason) => Decision::Deny(reason),
        };
        let admitted_by = verdict.rule().and_then(|rule| self.table.rule_name(rule));
        Ruling {
            decision,
            admitted_by: admitted_by.map(|(policy, rule)| (policy.clone(), rule)),
            peer: match sender {
                Sender::Pod { name, .. } => Some(name.clone()),
                Sender::Unknown => None,
            },
            generation,
        }
    }

    /// By how little each policy missed, asked after a denial only.
    #[must_use]
    pub fn misses(&self, flow: &Flow, sender: Sender<'_>) -> Vec<Miss> {
        self.with_peer(sender, |peer| explain::misses(&self.table, flow, peer))
    }

    fn with_peer<R>(&self, sender: Sender<'_>, ask: impl FnOnce(Peer<'_>) -> R) -> R {
        let Sender::Pod { identity, slot, .. } = sender else {
            return ask(Peer::Unknown);
        };
        match self.rows.get(slot) {
            Some(row) => ask(Peer::Pod(row.get_or_init(|| self.table.matching(identity)))),
            None => ask(Peer::Pod(&self.table.matching(identity))),
        }
    }
}
