//! A set of rule numbers, one bit each.
//!
//! May enter: numbers below the table's count of rules. Deliberately absent: growth; a set has the
//! width of its table for its whole life, so that a decision walks words side by side.

/// A set of rules of one table and direction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RuleSet(Box<[u64]>);

impl RuleSet {
    /// The empty set over `rules` rules.
    pub(crate) fn empty(rules: usize) -> Self {
        Self(vec![0; rules.div_ceil(64)].into_boxed_slice())
    }

    /// Adds rule `index`.
    pub(crate) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Takes rule `index` out.
    pub(crate) fn remove(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }

    /// Whether rule `index` is in.
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0
            .get(index / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// The `at`-th 64 rules, zero beyond the width.
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// How many words the set has.
    pub(crate) fn words(&self) -> usize {
        self.0.len()
    }

    /// Bytes held beside the value itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.len() * 8
    }
}
