//! What is kept of one session.

use std::time::{Duration, Instant, SystemTime};

use crate::account::Gauged;
use crate::answer::leg::Leg;
use crate::answer::relay::Carried;
use crate::hold::Place;
use crate::ruling::{Decision, Refusal, Ruling};

/// How many datagrams of a flow wait with it for the answer; more are lost. A question and its repetitions.
pub const HELD_DATAGRAMS: usize = 4;

/// How many bytes of a flow wait with it. With all places of the hold taken that is 4 MiB.
pub const HELD_BYTES: usize = 8 << 10;

/// What is kept of one session, or of a denial.
#[derive(Debug)]
pub(super) struct Session {
    /// Which listener it came to.
    pub(super) door: usize,
    pub(super) time: SystemTime,
    pub(super) at: Instant,
    /// How long it was held.
    pub(super) held: Duration,
    pub(super) state: State,
}

/// What becomes of its datagrams.
#[derive(Debug)]
pub(super) enum State {
    /// It has just come.
    Fresh,
    /// They wait.
    Held(Box<Held>),
    /// They are carried.
    Open(Box<Open>),
    /// They are dropped.
    Denied(Decision),
}

/// Datagrams that wait for an answer.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) began: Instant,
    pub(super) ruling: Ruling,
    pub(super) datagrams: Vec<Box<[u8]>>,
    bytes: usize,
    _place: Place,
    _counted: Gauged,
}

/// A session that was let in.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) leg: Leg,
    pub(super) ruling: Ruling,
    pub(super) carried: Carried,
    /// The application's side has said that nobody listens.
    pub(super) is_unreachable: bool,
    _counted: Gauged,
}

impl Session {
    pub(super) fn new(door: usize, now: Instant) -> Self {
        Self {
            door,
            time: SystemTime::now(),
            at: now,
            held: Duration::ZERO,
            state: State::Fresh,
        }
    }

    /// Whether it is remembered as denied.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self.state, State::Denied(_))
    }

    /// Whether it was denied for want of something that may be there by now, so that the next datagram is
    /// worth an attempt.
    pub(super) fn wants_room(&self) -> bool {
        matches!(
            self.state,
            State::Denied(Decision::Refuse(Refusal::HoldFull | Refusal::OverCapacity))
        )
    }
}

impl Held {
    pub(super) fn new(now: Instant, ruling: Ruling, place: Place, counted: Gauged) -> Self {
        Self {
            began: now,
            ruling,
            datagrams: Vec::new(),
            bytes: 0,
            _place: place,
            _counted: counted,
        }
    }

    /// Keeps a datagram, if there is room for it.
    pub(super) fn keep(&mut self, datagram: &[u8]) -> bool {
        let fits =
            self.datagrams.len() < HELD_DATAGRAMS && self.bytes + datagram.len() <= HELD_BYTES;
        if fits {
            self.bytes += datagram.len();
            self.datagrams.push(datagram.into());
        }
        fits
    }
}

impl Open {
    pub(super) fn new(leg: Leg, ruling: Ruling, counted: Gauged) -> Self {
        Self {
            leg,
            ruling,
            carried: Carried::default(),
            is_unreachable: false,
            _counted: counted,
        }
    }
}
