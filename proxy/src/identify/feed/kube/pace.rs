//! When the API server may be asked again about one kind: back-off with jitter.
//!
//! May enter: what became of requests, and the time. Deliberately absent: a clock, waiting.
//!
//! Every request of a kind waits its turn here, whatever it is for: one after a failure, one after an
//! answer that ended at once. So nothing the server does makes podwall ask in a tight loop.

use std::time::{Duration, Instant};

/// The wait after a first failure, before jitter.
///
/// 200 ms: a dropped connection costs no longer than a person notices.
const FIRST: Duration = Duration::from_millis(200);

/// The longest wait, before jitter.
///
/// 15 s: how long a recovered API server may stay unnoticed, against what every sidecar of the
/// cluster asking at once does to one that is just starting.
pub(super) const LONGEST: Duration = Duration::from_secs(15);

/// The longest wait that the server may order by `Retry-After`.
const LONGEST_ORDERED: Duration = Duration::from_secs(60);

/// How long an answer must have gone on for the next failure to count as the first again.
const STEADY: Duration = Duration::from_secs(5);

/// A watch that ends sooner than this was no watch: it ends by itself after 30 s or more.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// When one kind's next request may go out.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
    /// When the newest good answer began.
    opened: Option<Instant>,
    /// The end of our own wait.
    not_before: Option<Instant>,
    /// The end of the wait that the server ordered.
    ordered: Option<Instant>,
}

impl Pace {
    /// A good answer began; whether it ended a time of failures.
    pub(super) fn on_opened(&mut self, now: Instant) -> bool {
        self.opened = Some(now);
        self.failures > 0
    }

    /// The server answers again, asked about another kind: this one need not wait any longer.
    pub(super) fn on_recovery(&mut self) {
        self.not_before = None;
    }

    /// A request or its answer failed. `jitter`: from 0 to 1, new for each call.
    pub(super) fn on_failed(&mut self, now: Instant, jitter: f64) {
        if self.opened.take().is_some_and(|at| now - at >= STEADY) {
            self.failures = 0;
        }
        let doubled = FIRST.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        // Half of it is certain, half by chance: sidecars that failed together come back spread out.
        let wait = doubled.min(LONGEST).mul_f64(0.5 + jitter / 2.0);
        self.not_before = self.not_before.max(Some(now + wait));
    }

    /// A watch ended in good order.
    pub(super) fn on_ended(&mut self, now: Instant, jitter: f64) {
        match self.opened {
            Some(at) if now - at < SHORT_LIVED => self.on_failed(now, jitter),
            _ => self.failures = 0,
        }
    }

    /// The server asks to be left alone for `wait`.
    pub(super) fn on_ordered(&mut self, now: Instant, wait: Duration) {
        self.ordered = Some(now + wait.min(LONGEST_ORDERED));
    }

    /// How long the next request must wait.
    pub(super) fn next_start(&self, now: Instant) -> Duration {
        self.not_before
            .max(self.ordered)
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests;
