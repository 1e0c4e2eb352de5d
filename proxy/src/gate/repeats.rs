//! Which refusals were written down already, so that a source that goes on sending datagrams gets one line and not
//! one per datagram.
//!
//! Pure: `now` is the caller's. Bounded: with too many refused flows at a time further ones get a line each.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::kernel::Tuple;

#[cfg(test)]
mod tests;

/// How long a refused flow must be silent before it gets a line again: as long as the kernel remembers a one-way UDP
/// flow that was let in (`nf_conntrack_udp_timeout`).
pub(crate) const QUIET: Duration = Duration::from_secs(30);

/// How many refused flows are remembered, at some 80 bytes each.
pub(crate) const MOST: usize = 4096;

/// The refused flows of one queue.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    last: HashMap<Tuple, Instant>,
    cleared: Option<Instant>,
}

impl Repeats {
    /// Notes a refusal at `now`, and says whether it is one more of the same.
    pub(super) fn is_repeat(&mut self, tuple: Tuple, now: Instant) -> bool {
        let is_recent = |last: Instant| now.saturating_duration_since(last) < QUIET;
        if let Some(last) = self.last.get_mut(&tuple) {
            let repeat = is_recent(*last);
            *last = now;
            return repeat;
        }
        if self.last.len() >= MOST {
            self.clear(now);
        }
        if self.last.len() < MOST {
            self.last.insert(tuple, now);
        }
        false
    }

    /// The flow was let in: its next refusal is news.
    pub(super) fn forget(&mut self, tuple: &Tuple) {
        self.last.remove(tuple);
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
