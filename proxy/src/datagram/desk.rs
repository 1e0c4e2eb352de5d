//! What the one task works on, and how a session ends.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use podwall_policy::flow::{Direction, Flow, Protocol};
use tokio::sync::watch;

use super::readiness::{Readiness, Ready};
use super::session::{Session, State};
use super::{DRAIN_IDLE, DatagramError};
use crate::account::{Account, Dropped, Revocation};
use crate::answer::relay::Carried;
use crate::answer::session::{FlowKey, SessionId, SessionTable, Standing};
use crate::arrival::Mode;
use crate::connection::Doorkeeper;
use crate::farewell::{End, Farewell};
use crate::intercept::datagram::DatagramDoor;
use crate::ruling::{Refusal, Ruling};

/// What the one task works on.
pub(super) struct Desk {
    pub(super) doorkeeper: Arc<Doorkeeper>,
    pub(super) doors: Vec<DatagramDoor>,
    pub(super) readiness: Readiness,
    pub(super) table: SessionTable<Session>,
    /// What is known now, as a number.
    pub(super) changes: watch::Receiver<u64>,
    pub(super) keep_established: bool,
    pub(super) draining: bool,
}

impl Desk {
    pub(super) fn account(&self) -> &Account {
        self.doorkeeper.clerk().account()
    }

    /// To be read before a judgement: what changes after it then shows.
    pub(super) fn generation(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Reads what there is, a bounded number of datagrams.
    pub(super) fn on_ready(
        &mut self,
        ready: Ready,
        buffer: &mut [u8],
    ) -> Result<(), DatagramError> {
        match ready {
            Ready::Door(door) => self.on_door(door, buffer),
            Ready::Errors(door) => {
                self.on_errors(door);
                Ok(())
            }
            Ready::Leg(id) => {
                self.on_leg(id, buffer);
                Ok(())
            }
        }
    }

    /// Asks the law; no law is asked of what is not meant for this pod, or says that it comes from it (P34).
    pub(super) fn ask(&self, key: FlowKey) -> Result<Ruling, Refusal> {
        let (source, own) = (key.client.ip(), key.to.ip());
        if self.doorkeeper.is_from_within(source) || !self.doorkeeper.is_this_pod(own) {
            return Err(Refusal::NotThisPod);
        }
        let flow = flow(key).ok_or(Refusal::NotRedirected)?;
        Ok(self.doorkeeper.clerk().judge(source, &flow))
    }

    /// Its last words: one line, one count.
    pub(super) fn farewell(
        &self,
        key: FlowKey,
        session: &Session,
        ruling: Ruling,
        carried: Carried,
        end: End,
    ) {
        let nearest_miss = match end {
            End::Denied | End::Revoked => {
                self.doorkeeper
                    .clerk()
                    .nearest_miss(key.client.ip(), &ruling, flow(key).as_ref())
            }
            _ => None,
        };
        self.account().farewell(&Farewell {
            time: session.time,
            mode: Mode::Redirect,
            source: key.client,
            destination: Some(key.to),
            protocol: Protocol::Udp,
            ruling,
            nearest_miss,
            bytes_in: Some(carried.inward),
            bytes_out: Some(carried.outward),
            duration: session.at.elapsed(),
            held: session.held,
            end,
        });
    }

    /// Ends a session that the table knows no more. What was denied has had its farewell.
    pub(super) fn end(&self, key: FlowKey, mut session: Session, end: End) {
        match std::mem::replace(&mut session.state, State::Fresh) {
            State::Fresh | State::Denied(_) => {}
            State::Held(held) => {
                session.held = held.began.elapsed();
                self.account()
                    .datagrams_dropped(Dropped::Held, held.datagrams.len());
                self.farewell(key, &session, held.ruling, Carried::default(), end);
            }
            State::Open(open) => {
                let is_refused = open.is_unreachable && open.carried.outward == 0;
                let end = match end {
                    End::Idle if is_refused => End::AppRefused,
                    other => other,
                };
                self.farewell(key, &session, open.ruling, open.carried, end);
            }
        }
    }

    /// Ends a session that was let in because `ruling` does not admit it any more. The denial is remembered;
    /// its socket is closed at once, so nothing comes back either.
    pub(super) fn revoke(&mut self, id: SessionId, ruling: &Ruling, generation: u64) {
        let Some((key, session)) = self.table.get_mut(id) else {
            return;
        };
        let denied = Session {
            state: State::Denied(ruling.decision),
            ..Session::new(session.door, Instant::now())
        };
        let ended = std::mem::replace(session, denied);
        self.table.deny(id, generation, Instant::now());
        let clerk = self.doorkeeper.clerk();
        self.account().revoked(&Revocation {
            time: SystemTime::now(),
            source: key.client,
            destination: key.to,
            protocol: Protocol::Udp,
            ruling: ruling.clone(),
            nearest_miss: clerk.nearest_miss(key.client.ip(), ruling, flow(key).as_ref()),
            open_for: ended.at.elapsed(),
        });
        if let State::Open(open) = &ended.state {
            self.farewell(key, &ended, ruling.clone(), open.carried, End::Revoked);
        }
    }

    /// Lets nobody in any more, who waits neither.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        let waiting: Vec<SessionId> = self.table.all(Standing::Waiting).collect();
        for id in waiting {
            self.decide_held(id, true);
        }
        self.table.shorten_idle(DRAIN_IDLE);
        match self.table.count(Standing::Admitted) {
            0 => {}
            open => {
                tracing::info!("{open} UDP sessions are open; those that fall silent end first")
            }
        }
    }

    /// Ends what is left.
    pub(super) fn stop(&mut self) {
        self.draining = true;
        match self.table.count(Standing::Admitted) {
            0 => {}
            open => tracing::info!("{open} UDP sessions are ended"),
        }
        for standing in [Standing::Waiting, Standing::Admitted] {
            let left: Vec<SessionId> = self.table.all(standing).collect();
            for id in left {
                self.finish(id, End::Stopped);
            }
        }
    }

    /// Whether podwall stops and nothing is left.
    pub(super) fn is_done(&self) -> bool {
        let left = |standing| self.table.count(standing) > 0;
        self.draining && !left(Standing::Waiting) && !left(Standing::Admitted)
    }

    /// Ends a session that the table still knows.
    pub(super) fn finish(&mut self, id: SessionId, end: End) {
        let Some((key, _)) = self.table.get(id) else {
            return;
        };
        if let Some(session) = self.table.forget(id) {
            self.end(key, session, end);
        }
    }
}

/// The question to the law.
pub(super) fn flow(key: FlowKey) -> Option<Flow> {
    Flow::between(
        Direction::Ingress,
        Protocol::Udp,
        key.client.ip(),
        key.to.ip(),
        key.to.port(),
    )
    .ok()
}
