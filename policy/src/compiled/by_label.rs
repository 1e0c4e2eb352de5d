//! Which selectors can match a set of labels at all, found by the labels instead of one by one.
//!
//! May enter: selectors and the number of what they belong to. Deliberately absent: whether they
//! match; a candidate is asked in full afterwards. What is no candidate certainly does not match.

use std::sync::Arc;

use crate::labels::Labels;
use crate::selector::{Requirement, Selector, Test};

/// Selectors by one label that each of them requires. Fill, [`sort`](Self::sort), then ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByLabel {
    /// Sorted by key and value.
    labelled: Vec<Entry>,
    /// Owners of selectors that require no particular label.
    others: Vec<usize>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Entry {
    key: Arc<str>,
    value: Arc<str>,
    owner: usize,
}

/// The key and the values of the requirement of `selector` that fewest label sets can meet; `None`
/// where it requires no particular value.
pub(crate) fn required(selector: &Selector) -> Option<(&Arc<str>, &[Arc<str>])> {
    let Selector::All(requirements) = selector else {
        return None;
    };
    let listed = |one| match one {
        &Requirement {
            ref key,
            test: Test::In(ref values),
        } => Some((key, &values[..])),
        Requirement { .. } => None,
    };
    let listed = requirements.iter().filter_map(listed);
    listed.min_by_key(|(_, values)| values.len())
}

impl ByLabel {
    /// Adds a selector by what it [`required`]s.
    pub(crate) fn insert(&mut self, required: Option<(&Arc<str>, &[Arc<str>])>, owner: usize) {
        let Some((key, values)) = required else {
            self.others.push(owner);
            return;
        };
        self.labelled.extend(values.iter().map(|value| Entry {
            key: Arc::clone(key),
            value: Arc::clone(value),
            owner,
        }));
    }

    /// Must be called after the last [`insert`](Self::insert).
    pub(crate) fn sort(&mut self) {
        self.labelled.sort_unstable();
    }

    /// The owners of all selectors that may match `labels`; all of them where `labels` are not known.
    pub(crate) fn candidates(&self, labels: Option<&Labels>) -> impl Iterator<Item = usize> {
        let all = labels.is_none().then_some(&self.labelled[..]);
        let some = labels.into_iter().flat_map(|labels| {
            let ranges = labels.iter();
            ranges.map(|(key, value)| self.of(key, value))
        });
        let entries = all.into_iter().chain(some).flatten();
        let owners = entries.map(|entry| entry.owner);
        owners.chain(self.others.iter().copied())
    }

    /// The entries of one label.
    fn of(&self, key: &str, value: &str) -> &[Entry] {
        let label = |entry: &Entry| (&*entry.key, &*entry.value).cmp(&(key, value));
        let first = self.labelled.partition_point(|entry| label(entry).is_lt());
        let rest = &self.labelled[first..];
        let count = rest.partition_point(|entry| label(entry).is_eq());
        &rest[..count]
    }
}

#[cfg(test)]
mod tests;
