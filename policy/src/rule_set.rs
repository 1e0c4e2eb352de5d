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

    /// Adds rule `index`, which must be below the set's width.
    pub(crate) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// The rules, 64 at a time.
    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    /// The same set; an empty one gives its memory back.
    pub(crate) fn trimmed(self) -> Self {
        if self.0.iter().all(|word| *word == 0) {
            Self::empty(0)
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests;
