//! Words that identities say, each held once: pods of a StatefulSet or a Job have a label of their own each, but
//! all their other labels and their ports in common.
//!
//! Deliberately absent: whole sets of labels, which [`identities`](super::identities) shares.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use podwall_policy::object::NamedPort;
use podwall_policy::peer::Identity;

/// All words in use, each with the number of times that identities say it.
#[derive(Debug, Default)]
pub(super) struct Words {
    texts: Counted<str>,
    ports: Counted<[NamedPort]>,
}

impl Words {
    /// The same identity, made of the words that are held already.
    pub(super) fn enter(&mut self, identity: Identity) -> Identity {
        Identity {
            labels: identity.labels.shared(|word| self.texts.enter(word)),
            named_ports: self.ports.enter(&identity.named_ports),
            ..identity
        }
    }

    /// Forgets what only this identity says.
    pub(super) fn leave(&mut self, identity: &Identity) {
        identity
            .labels
            .words()
            .for_each(|word| self.texts.leave(word));
        self.ports.leave(&identity.named_ports);
    }

    /// How many words are held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.texts.0.len() + self.ports.0.len()
    }
}

/// Things with the number of their uses.
#[derive(Debug)]
struct Counted<T: ?Sized>(HashMap<Arc<T>, usize>);

impl<T: ?Sized> Default for Counted<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash + ?Sized> Counted<T> {
    fn enter(&mut self, one: &Arc<T>) -> Arc<T> {
        let entry = self.0.entry(Arc::clone(one));
        let held = Arc::clone(entry.key());
        *entry.or_default() += 1;
        held
    }

    fn leave(&mut self, one: &Arc<T>) {
        if let Some(uses) = self.0.get_mut(one) {
            *uses -= 1;
            if *uses == 0 {
                self.0.remove(one);
            }
        }
    }
}

#[cfg(test)]
mod tests;
