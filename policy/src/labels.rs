//! Labels: what a pod or a namespace says of itself.
//!
//! May enter: text. Deliberately absent: selectors (see [`selector`](crate::selector)) and any
//! notion of whose labels these are.

use std::fmt;
use std::sync::Arc;

/// A set of labels, sorted by key, cheap to clone.
///
/// Equal content is equal and hashes equally, so pods of one Deployment can share one value.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// The value of `key`; `None` where the key is absent, `Some("")` where its value is empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let place = self.0.binary_search_by(|(have, _)| (**have).cmp(key));
        place.ok().map(|at| &*self.0[at].1)
    }

    /// All labels in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// All keys and values, for one who holds equal words once; see [`shared`](Self::shared).
    pub fn words(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().flat_map(|(key, value)| [key, value])
    }

    /// The same labels, made of what `held` gives for each word, which must be an equal one.
    #[must_use]
    pub fn shared(&self, mut held: impl FnMut(&Arc<str>) -> Arc<str>) -> Self {
        let pairs = self.0.iter().map(|(key, value)| (held(key), held(value)));
        let shared = Self(pairs.collect());
        debug_assert_eq!(&shared, self, "a word was replaced by another one");
        shared
    }

    /// Whether there is no label at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same labels and `key` set to `value`.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        self.iter()
            .filter(|(have, _)| *have != key)
            .chain([(key, value)])
            .collect()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Labels {
    /// Of a key given twice the last value stays.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let sorted: std::collections::BTreeMap<Arc<str>, Arc<str>> = pairs
            .into_iter()
            .map(|(key, value)| (Arc::from(key.as_ref()), Arc::from(value.as_ref())))
            .collect();
        Self(sorted.into_iter().collect())
    }
}

impl fmt::Display for Labels {
    /// `a=b,c=d`, or `<none>`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("<none>");
        }
        for (at, (key, value)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(out, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
