//! A datagram's way in: known, or judged, perhaps held, then passed on or dropped.

use std::io;
use std::time::Instant;

use super::DatagramError;
use super::desk::Desk;
use super::readiness::Ready;
use super::session::{Held, Open, Session, State};
use crate::account::Dropped;
use crate::answer::leg::{Leg, NoLeg, Passed};
use crate::answer::relay::Carried;
use crate::answer::session::{FlowKey, Seen, SessionId, Standing};
use crate::farewell::End;
use crate::intercept::datagram::Came;
use crate::ruling::{Decision, Refusal, Ruling};

/// How many datagrams are taken from one listener before others have their turn.
const AT_A_TIME: usize = 32;

impl Desk {
    /// Takes what waits at a listener.
    pub(super) fn on_door(&mut self, door: usize, buffer: &mut [u8]) -> Result<(), DatagramError> {
        for _ in 0..AT_A_TIME {
            let Some(listener) = self.doors.get(door) else {
                return Ok(());
            };
            match listener.receive(buffer) {
                Ok(Some(came)) => self.on_datagram(door, came, &buffer[..came.length]),
                Ok(None) => return Ok(()),
                Err(error) => return self.not_received(door, error),
            }
        }
        Ok(())
    }

    fn not_received(&self, door: usize, error: io::Error) -> Result<(), DatagramError> {
        self.account().accept_failed();
        let lost = self.doors.get(door).and_then(|door| door.lost(error));
        lost.map_or(Ok(()), |lost| Err(lost.into()))
    }

    fn on_datagram(&mut self, door: usize, came: Came, bytes: &[u8]) {
        let (now, generation) = (Instant::now(), self.generation());
        let key = FlowKey {
            client: came.from,
            to: came.to,
        };
        let first = || Session::new(door, now);
        let (id, seen) = self.table.on_datagram(key, generation, now, first);
        match seen {
            Seen::First | Seen::JudgeAgain(Standing::Denied) => self.decide(id, generation, bytes),
            Seen::Known(Standing::Waiting) | Seen::JudgeAgain(Standing::Waiting) => {
                self.hold_more(id, bytes);
            }
            Seen::Known(Standing::Admitted) => self.pass(id, bytes),
            Seen::JudgeAgain(Standing::Admitted) => {
                if self.is_admitted_still(id, generation) {
                    self.pass(id, bytes);
                } else {
                    self.account().datagram_dropped(Dropped::Denied);
                }
            }
            Seen::Known(Standing::Denied) => {
                let session = self.table.get(id);
                if session.is_some_and(|(_, session)| session.wants_room()) {
                    self.decide(id, generation, bytes);
                } else {
                    self.account().datagram_dropped(Dropped::Denied);
                }
            }
        }
    }

    /// Judges a flow that is not let in, on the occasion of a datagram.
    fn decide(&mut self, id: SessionId, generation: u64, bytes: &[u8]) {
        let Some((key, session)) = self.table.get(id) else {
            return;
        };
        let was_judged = session.is_denied() && !session.wants_room();
        let asked = match self.draining {
            true => Err(Refusal::Draining),
            false => self.ask(key),
        };
        let ruling = match asked {
            Ok(ruling) => ruling,
            Err(refusal) => refusal.into(),
        };
        if ruling.decision.is_allow() {
            self.open(id, ruling, generation, &[bytes.into()]);
        } else if ruling.decision.may_turn() && !was_judged {
            self.hold(id, ruling, generation, bytes);
        } else {
            self.deny(id, ruling, generation);
            self.account().datagram_dropped(Dropped::Denied);
        }
    }

    /// Has a flow wait for the answer to become certain (P7).
    fn hold(&mut self, id: SessionId, mut ruling: Ruling, generation: u64, bytes: &[u8]) {
        let Some((key, session)) = self.table.get(id) else {
            return;
        };
        let (door, now) = (session.door, Instant::now());
        let Some(place) = self.doorkeeper.hold().take(key.client.ip()) else {
            ruling.decision = Decision::Refuse(Refusal::HoldFull);
            self.deny(id, ruling, generation);
            self.account().datagram_dropped(Dropped::Denied);
            return;
        };
        let counted = self.account().held();
        let mut held = Held::new(now, ruling, place, counted);
        let is_kept = held.keep(bytes);
        // What there was no room for until now begins anew.
        let id = if self.table.standing(id) == Some(Standing::Waiting) {
            id
        } else {
            self.table.forget(id);
            let first = || Session::new(door, now);
            self.table.on_datagram(key, generation, now, first).0
        };
        if let Some((_, session)) = self.table.get_mut(id) {
            session.state = State::Held(Box::new(held));
        }
        if !is_kept {
            self.account().datagram_dropped(Dropped::Held);
        }
    }

    fn hold_more(&mut self, id: SessionId, bytes: &[u8]) {
        let is_kept = match self.table.get_mut(id) {
            Some((_, session)) => match &mut session.state {
                State::Held(held) => held.keep(bytes),
                _ => false,
            },
            None => false,
        };
        if !is_kept {
            self.account().datagram_dropped(Dropped::Held);
        }
    }

    /// Notes a denial; the first of a flow has its line.
    pub(super) fn deny(&mut self, id: SessionId, ruling: Ruling, generation: u64) {
        let Some((key, session)) = self.table.get_mut(id) else {
            return;
        };
        let denied = State::Denied(ruling.decision);
        let before = std::mem::replace(&mut session.state, denied);
        if matches!(before, State::Denied(_)) {
            // Its memory is not prolonged.
            self.table.stamp(id, generation);
            return;
        }
        self.table.deny(id, generation, Instant::now());
        if let Some((_, session)) = self.table.get(id) {
            self.farewell(key, session, ruling, Carried::default(), End::Denied);
        }
    }

    /// Lets a flow in and passes on what has come of it so far.
    pub(super) fn open(
        &mut self,
        id: SessionId,
        ruling: Ruling,
        generation: u64,
        datagrams: &[Box<[u8]>],
    ) {
        let Some((key, _)) = self.table.get(id) else {
            return;
        };
        let leg = Leg::open(key.to).and_then(|leg| {
            let watched = self.readiness.watch(&leg, Ready::Leg(id));
            let no_room = |error| NoLeg::Exhausted(key.to, error);
            watched.map(|()| leg).map_err(no_room)
        });
        let leg = match leg {
            Ok(leg) => leg,
            Err(why) => {
                let lost = match why {
                    NoLeg::Exhausted(..) => Dropped::NoRoom,
                    NoLeg::NoLocalPort(_) | NoLeg::Unreachable(..) => Dropped::NoWay,
                };
                self.account().datagrams_dropped(lost, datagrams.len());
                return self.not_opened(id, ruling, generation, &why);
            }
        };
        let (now, counted) = (Instant::now(), self.account().session());
        if let Some((_, session)) = self.table.get_mut(id) {
            if session.is_denied() {
                // It was told of; what comes now is another story.
                *session = Session::new(session.door, now);
            }
            session.state = State::Open(Box::new(Open::new(leg, ruling, counted)));
        }
        if let Some((evicted, session)) = self.table.admit(id, generation, now) {
            self.end(evicted, session, End::Evicted);
        }
        for bytes in datagrams {
            self.pass(id, bytes);
        }
    }

    /// It may come in, but there is no way to the application; the next datagram may find one.
    fn not_opened(&mut self, id: SessionId, ruling: Ruling, generation: u64, why: &NoLeg) {
        let Some((key, session)) = self.table.get(id) else {
            return;
        };
        let (ruling, end) = match why {
            NoLeg::NoLocalPort(_) => (ruling, End::NoLocalPort),
            NoLeg::Unreachable(..) => (ruling, End::AppRefused),
            NoLeg::Exhausted(..) => (Refusal::OverCapacity.into(), End::Denied),
        };
        if !session.is_denied() {
            self.farewell(key, session, ruling, Carried::default(), end);
        }
        let was_denied = session.is_denied();
        if let Some((_, session)) = self.table.get_mut(id) {
            session.state = State::Denied(Decision::Refuse(Refusal::OverCapacity));
        }
        if was_denied {
            self.table.stamp(id, generation);
        } else {
            self.table.deny(id, generation, Instant::now());
        }
    }

    /// Passes a datagram on to the application.
    fn pass(&mut self, id: SessionId, bytes: &[u8]) {
        let account = self.doorkeeper.clerk().account();
        let Some((_, session)) = self.table.get_mut(id) else {
            return;
        };
        let State::Open(open) = &mut session.state else {
            return;
        };
        let is_unreachable = &mut open.is_unreachable;
        let unreachable = || {
            *is_unreachable = true;
            account.app_unreachable();
        };
        match open.leg.send(bytes, unreachable) {
            Passed::Bytes(count) => {
                open.carried.inward += count as u64;
                account.carried(count as u64, 0);
            }
            Passed::NotNow => account.datagram_dropped(Dropped::NoRoom),
            Passed::Unreachable | Passed::Failed => account.datagram_dropped(Dropped::NoWay),
        }
    }
}
