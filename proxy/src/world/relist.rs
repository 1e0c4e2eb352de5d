//! What a source lists of one kind, kept until the list is whole (P25).
//!
//! Deliberately absent: readers, who see nothing of a list before its end.

use std::collections::{BTreeMap, BTreeSet};

use podwall_policy::object::Object;

use crate::identify::feed::Kind;

/// The lists that are not whole yet, and of which kinds there was a whole one.
#[derive(Debug, Default)]
pub(super) struct Relists {
    open: BTreeMap<Kind, Vec<Object>>,
    whole: BTreeSet<Kind>,
}

impl Relists {
    /// A list begins, or begins anew.
    pub(super) fn begin(&mut self, kind: Kind) {
        self.open.insert(kind, Vec::new());
    }

    /// One object of a list; without effect where none of its kind is open.
    pub(super) fn listed(&mut self, object: Object) {
        if let Some(list) = self.open.get_mut(&Kind::of(&object)) {
            list.push(object);
        }
    }

    /// The list is whole: its objects; `None` where none was begun.
    pub(super) fn end(&mut self, kind: Kind) -> Option<Vec<Object>> {
        let list = self.open.remove(&kind)?;
        self.whole.insert(kind);
        Some(list)
    }

    /// Whether every kind has been listed once.
    pub(super) fn all_whole(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.whole.contains(kind))
    }
}
