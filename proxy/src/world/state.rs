//! What a reader of the world sees at one moment, and how a change makes the next of it.
//!
//! Deliberately absent: locks, and what a change means for the subject (see [`books`](super::books)).

use std::net::IpAddr;
use std::time::Instant;

use super::books::Holds;
use super::health::Health;
use super::{SubjectStatus, Touched};
use crate::identify::index::{Effect, Index};
use crate::judge::{Judge, Sender};
use crate::ruling::{Refusal, Ruling};

/// What a reader sees.
#[derive(Debug)]
pub(super) struct State {
    pub(super) synced: bool,
    pub(super) generation: u64,
    pub(super) index: Index,
    pub(super) subject: SubjectStatus,
    /// There while the subject is known.
    pub(super) judge: Option<Judge>,
    /// How many policies select the subject.
    pub(super) policies: usize,
    pub(super) health: Health,
}

impl State {
    /// Nothing is known: everybody is refused.
    pub(super) fn nothing(generation: u64, health: Health) -> Self {
        Self {
            synced: false,
            generation,
            index: Index::default(),
            subject: SubjectStatus::Unknown,
            judge: None,
            policies: 0,
            health,
        }
    }

    /// Whoever owns that address.
    pub(super) fn sender(&self, source: IpAddr) -> Sender<'_> {
        self.index
            .find(source)
            .map_or(Sender::Unknown, |found| Sender::Pod {
                name: found.name,
                identity: found.identity,
                slot: found.slot,
            })
    }

    pub(super) fn refuse(&self, refusal: Refusal) -> Ruling {
        Ruling {
            generation: self.generation,
            ..refusal.into()
        }
    }

    /// The state after a change of the index; gives back the old judge, to be dropped elsewhere.
    pub(super) fn settle(
        &mut self,
        holds: Option<Holds>,
        effect: Effect,
        whole: bool,
        next: u64,
    ) -> (Touched, Option<Judge>) {
        let first = whole && !self.synced;
        let renewed = holds.is_some();
        let old = holds.and_then(|holds| {
            self.subject = holds.subject;
            self.policies = holds.policies;
            self.health.policies(holds.findings);
            std::mem::replace(&mut self.judge, holds.judge)
        });
        self.renumber(&effect);
        self.synced |= whole;
        let touched = match (first || renewed, effect.touched) {
            (true, _) => Touched::Everything,
            (false, addresses) if addresses.is_empty() => Touched::Nothing,
            (false, addresses) => Touched::Addresses(addresses),
        };
        if touched != Touched::Nothing {
            self.generation = next;
            self.health.last_change_at = Some(Instant::now());
        }
        (touched, old)
    }

    /// Makes the judge forget the identities that are gone, and gives it room for new ones.
    pub(super) fn renumber(&mut self, effect: &Effect) {
        if let Some(judge) = &mut self.judge {
            effect.released.iter().for_each(|slot| judge.forget(*slot));
            judge.make_room(self.index.slots());
        }
    }
}
