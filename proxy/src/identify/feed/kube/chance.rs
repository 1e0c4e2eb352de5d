//! Numbers by chance, to spread what many sidecars would do at once. Not for secrets.

use std::hash::{BuildHasher, RandomState};

/// A sequence of numbers that no other sidecar has.
#[derive(Debug, Default)]
pub(super) struct Chance {
    seed: RandomState,
    drawn: u64,
}

impl Chance {
    /// The next number, at least 0 and below 1.
    pub(super) fn draw(&mut self) -> f64 {
        self.drawn += 1;
        let bits = u32::try_from(self.seed.hash_one(self.drawn) >> 32).unwrap_or_default();
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}
