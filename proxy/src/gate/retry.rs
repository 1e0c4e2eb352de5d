//! What could not be judged again, until it was.
//!
//! Pure: `now` is the caller's. What failed is done again soon, then ever later, and what fails meanwhile goes along.

use std::time::{Duration, Instant};

use crate::world::Touched;

#[cfg(test)]
mod tests;

/// The wait after a first failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is to be done again.
#[derive(Debug, Default)]
pub(super) struct Retry {
    touched: Touched,
    at: Option<Instant>,
    /// What the last wait was; of a failure that was not made up for yet.
    wait: Option<Duration>,
}

impl Retry {
    /// When to try again.
    pub(super) const fn next_due(&self) -> Option<Instant> {
        self.at
    }

    /// Takes what failed before, if its time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Touched {
        if self.at.is_some_and(|at| at <= now) {
            self.at = None;
            return self.touched.take();
        }
        Touched::Nothing
    }

    /// What was done went well. Says whether nothing is left that failed before.
    pub(super) fn succeeded(&mut self) -> bool {
        let is_all = self.at.is_none();
        if is_all {
            self.wait = None;
        }
        is_all
    }

    /// Nothing needs to be done again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What was done failed. It is done again with what failed before and waits already, or later than last time.
    pub(super) fn failed(&mut self, touched: &Touched, now: Instant) {
        self.touched.add(touched);
        if self.at.is_none() {
            let wait = match self.wait {
                None => FIRST_WAIT,
                Some(before) => (before * 2).min(LONGEST_WAIT),
            };
            self.wait = Some(wait);
            self.at = Some(now + wait);
        }
    }
}
