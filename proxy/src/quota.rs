//! How many nearest misses may be worked out per second.
//!
//! A miss allocates and walks every policy that isolates the subject; a flood of denied arrivals must
//! not buy that. A denial beyond the quota is logged without its miss.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[cfg(test)]
mod tests;

/// Misses per second, and how many may come at once after a quiet second.
pub(crate) const MISSES_PER_SECOND: f64 = 100.0;

/// A bucket of tokens that fills with time.
#[derive(Debug, Default)]
pub(crate) struct MissQuota(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Option<Instant>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            tokens: MISSES_PER_SECOND,
            filled: None,
        }
    }
}

impl MissQuota {
    /// Whether one more miss may be worked out at `now`.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = bucket.filled.map_or(0.0, |last| {
            now.saturating_duration_since(last).as_secs_f64()
        });
        bucket.filled = Some(now);
        bucket.tokens = (bucket.tokens + since * MISSES_PER_SECOND).min(MISSES_PER_SECOND);
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }
}
