//! What time and changes do to sessions: judged again, decided at last, or over.

use std::time::Instant;

use super::desk::{Desk, flow};
use super::session::State;
use crate::account::Dropped;
use crate::answer::session::{Due, SessionId, Standing};
use crate::farewell::End;
use crate::ruling::Refusal;
use crate::world::Touched;

impl Desk {
    /// Judges the sessions again that a change has touched, and ends those that it has turned (P28).
    pub(super) fn on_touched(&mut self, touched: &Touched) {
        let touched: Vec<SessionId> = match touched {
            Touched::Nothing => return,
            Touched::Everything => self.table.all(Standing::Admitted).collect(),
            Touched::Addresses(addresses) => addresses
                .iter()
                .flat_map(|address| self.table.admitted_from(*address))
                .collect(),
        };
        let generation = self.generation();
        let mut turned = 0;
        for id in touched {
            if !self.is_admitted_still(id, generation) {
                turned += 1;
            }
        }
        if turned > 0 {
            tracing::info!("a change turned the verdict of {turned} UDP sessions");
        }
    }

    /// Judges a session again that was let in; where the answer has turned, it is over.
    pub(super) fn is_admitted_still(&mut self, id: SessionId, generation: u64) -> bool {
        let Some((key, _)) = self.table.get(id) else {
            return false;
        };
        if !self.keep_established {
            let Some(flow) = flow(key) else {
                return false;
            };
            let ruling = self.doorkeeper.clerk().judge(key.client.ip(), &flow);
            if !ruling.decision.is_allow() {
                self.revoke(id, &ruling, generation);
                return false;
            }
        }
        self.table.stamp(id, generation);
        true
    }

    /// Judges again who waits.
    pub(super) fn on_change(&mut self) {
        if self.table.count(Standing::Waiting) == 0 {
            return;
        }
        let waiting: Vec<SessionId> = self.table.all(Standing::Waiting).collect();
        for id in waiting {
            self.decide_held(id, false);
        }
    }

    /// Does what is due: who has waited long enough is decided, who was silent for long enough is over.
    pub(super) fn on_time(&mut self, now: Instant) {
        while let Some(due) = self.table.expire(now) {
            match due {
                Due::Undecided(id) => self.decide_held(id, true),
                Due::Idle(key, session) => self.end(key, session, End::Idle),
            }
        }
    }

    /// Decides about who waits, if that is certain by now, or `at_last`.
    pub(super) fn decide_held(&mut self, id: SessionId, at_last: bool) {
        let generation = self.generation();
        let Some((key, _)) = self.table.get(id) else {
            return;
        };
        let asked = match self.draining {
            true => Err(Refusal::Draining),
            false => self.ask(key),
        };
        let ruling = match asked {
            Ok(ruling) => ruling,
            Err(refusal) => refusal.into(),
        };
        let Some((_, session)) = self.table.get_mut(id) else {
            return;
        };
        if ruling.decision.may_turn() && !at_last {
            if let State::Held(held) = &mut session.state {
                held.ruling = ruling;
            }
            return;
        }
        let datagrams = match std::mem::replace(&mut session.state, State::Fresh) {
            State::Held(held) => {
                session.held = held.began.elapsed();
                held.datagrams
            }
            _ => Vec::new(),
        };
        if ruling.decision.is_allow() {
            self.open(id, ruling, generation, &datagrams);
        } else {
            self.deny(id, ruling, generation);
            self.account()
                .datagrams_dropped(Dropped::Denied, datagrams.len());
        }
    }
}
