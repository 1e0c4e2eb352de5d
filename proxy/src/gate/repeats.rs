//! Which refusals were written down already, so that a source that goes on sending datagrams gets one line and not
//! one per datagram.
//!
//! `now` is the caller's. Bounded: with too many refused flows at a time it is said of further ones that it is not known.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::kernel::Tuple;

#[cfg(test)]
mod tests;

/// How long a refused flow must be silent before it gets a line again: as long as the kernel remembers a one-way UDP
/// flow that was let in (`nf_conntrack_udp_timeout`).
pub(crate) const QUIET: Duration = Duration::from_secs(30);

/// How many refused flows are remembered, at some 80 bytes each.
pub(crate) const MOST: usize = 4096;

/// The refused flows.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<Known>);

/// What was known of a refusal.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Noted {
    /// It is the first, or the first after a silence.
    First,
    /// One more of the same.
    Again,
    /// It may be either: too many are remembered.
    NoRoom,
}

#[derive(Debug, Default)]
struct Known {
    last: HashMap<Tuple, Instant>,
    cleared: Option<Instant>,
}

impl Repeats {
    /// Notes a refusal at `now`, and says what was known of it.
    pub(super) fn note(&self, tuple: Tuple, now: Instant) -> Noted {
        let mut known = self.known();
        if let Some(last) = known.last.get_mut(&tuple) {
            let is_recent = now.saturating_duration_since(*last) < QUIET;
            *last = now;
            return if is_recent {
                Noted::Again
            } else {
                Noted::First
            };
        }
        match known.insert(tuple, now) {
            true => Noted::First,
            false => Noted::NoRoom,
        }
    }

    /// The flow was let in: its next refusal is news.
    pub(super) fn forget(&self, tuple: &Tuple) {
        self.known().last.remove(tuple);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Where there is room, if need be after what is silent was forgotten; says whether there was.
    fn insert(&mut self, tuple: Tuple, now: Instant) -> bool {
        if self.last.len() >= MOST {
            self.clear(now);
        }
        let has_room = self.last.len() < MOST;
        if has_room {
            self.last.insert(tuple, now);
        }
        has_room
    }

    /// Forgets what is silent; at most once a second, as it walks them all.
    fn clear(&mut self, now: Instant) {
        let just_done = |at: Instant| now.saturating_duration_since(at) < Duration::from_secs(1);
        if !self.cleared.is_some_and(just_done) {
            self.cleared = Some(now);
            self.last
                .retain(|_, last| now.saturating_duration_since(*last) < QUIET);
        }
    }
}
