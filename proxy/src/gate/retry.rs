//! What could not be judged again, until it was.
//!
//! Pure: `now` is the caller's. A failed look is done again soon, then ever later, and what fails twice is one thing to do.

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
pub(super) struct Retry(Option<Failed>);

#[derive(Debug)]
struct Failed {
    touched: Touched,
    at: Instant,
    wait: Duration,
}

impl Retry {
    /// When to try again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.as_ref().map(|failed| failed.at)
    }

    /// Adds what failed to what is `due`, where there is something to do now anyhow or its time has come. Until
    /// [`succeeded`](Self::succeeded) it has failed.
    pub(super) fn join(&mut self, due: &mut Touched, now: Instant) {
        if let Some(failed) = &mut self.0
            && (*due != Touched::Nothing || failed.at <= now)
        {
            due.add(&failed.touched.take());
        }
    }

    /// What was done went well.
    pub(super) fn succeeded(&mut self) {
        self.0 = None;
    }

    /// What was done failed. Says how long the wait is until it is done again.
    pub(super) fn failed(&mut self, touched: Touched, now: Instant) -> Duration {
        let wait = match &self.0 {
            None => FIRST_WAIT,
            Some(before) => (before.wait * 2).min(LONGEST_WAIT),
        };
        let at = now + wait;
        self.0 = Some(Failed { touched, at, wait });
        wait
    }
}
