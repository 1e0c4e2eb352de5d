//! Which refusals were written down already, so that a source that goes on sending datagrams gets one line and not
//! one per datagram.
//!
//! `now` is the caller's. Bounded: with too many refused flows at a time further ones get a line each.

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

#[derive(Debug, Default)]
struct Known {
    last: HashMap<Tuple, Instant>,
    cleared: Option<Instant>,
}

impl Repeats {
    /// Notes a refusal at `now`, and says whether it is one more of the same.
    pub(super) fn is_repeat(&self, tuple: Tuple, now: Instant) -> bool {
        let mut known = self.known();
        let is_recent = |last: Instant| now.saturating_duration_since(last) < QUIET;
        if let Some(last) = known.last.get_mut(&tuple) {
            let repeat = is_recent(*last);
            *last = now;
            return repeat;
        }
        known.insert(tuple, now);
        false
    }

    /// The flow was cut at `now`, and that was written down: what it goes on sending is more of the same.
    pub(super) fn note(&self, tuple: Tuple, now: Instant) {
        let mut known = self.known();
        match known.last.get_mut(&tuple) {
            Some(last) => *last = now,
            None => known.insert(tuple, now),
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
    /// Where there is room, if need be after what is silent was forgotten.
    fn insert(&mut self, tuple: Tuple, now: Instant) {
        if self.last.len() >= MOST {
            self.clear(now);
        }
        if self.last.len() < MOST {
            self.last.insert(tuple, now);
        }
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
