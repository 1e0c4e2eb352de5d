//! A list of all pods or of all namespaces while it is being told, compared with what is known (P25).
//!
//! What is known already is only marked as seen, so a second list costs no second copy, and nothing
//! is altered before the end: [`Difference`] then goes into the index in one step. An event of the
//! same kind in between counts as told by the list.
//!
//! Deliberately absent: when a list begins and ends.

use std::collections::HashMap;
use std::sync::Arc;

use podwall_policy::labels::Labels;
use podwall_policy::object::{Namespace, ObjectName, Pod};

use super::Index;
use super::records::RecordId;

/// What lists say otherwise than the index: see [`Index::catch_up`].
#[derive(Debug, Default)]
#[must_use = "the lists have no effect without it"]
pub struct Difference {
    pub(super) gone: Vec<RecordId>,
    pub(super) pods: Vec<Pod>,
    pub(super) namespaces: Vec<(Arc<str>, Option<Labels>)>,
}

/// The pods that a list has told so far.
#[derive(Debug, Default)]
pub struct PodList {
    /// By number: the list tells of that record.
    ///
    /// INVARIANT: a number that is used again meanwhile belongs to a pod that was told, too.
    seen: Vec<bool>,
    /// Those that are new or changed.
    differing: HashMap<Key, Pod>,
}

/// One pod in all its changes: two of one name are two (P8).
type Key = (ObjectName, Option<Arc<str>>);

impl PodList {
    /// The list tells of a pod. One that has ended is not known (S70).
    pub fn listed(&mut self, index: &Index, pod: &Pod) {
        self.differing.remove(&key(pod));
        let known = index.compare(pod);
        if let Some((id, _)) = known {
            self.mark(id, !pod.is_finished());
        }
        let same = known.is_some_and(|(_, same)| same);
        if !same && !pod.is_finished() {
            self.differing.insert(key(pod), pod.clone());
        }
    }

    /// The list tells of a pod that cannot be read: nothing under its name stays (P26).
    pub fn broken(&mut self, index: &Index, name: &ObjectName) {
        self.differing.retain(|(other, _), _| other != name);
        for (id, _) in index.records.named(name) {
            self.mark(id, false);
        }
    }

    /// The pod was taken into the index while the list goes on.
    pub fn upserted(&mut self, index: &Index, pod: &Pod) {
        self.differing.remove(&key(pod));
        if let Some((id, _)) = index.compare(pod) {
            self.mark(id, true);
        }
    }

    /// The pod was taken out of the index while the list goes on.
    pub fn deleted(&mut self, name: &ObjectName, uid: Option<&Arc<str>>) {
        self.differing.remove(&(name.clone(), uid.cloned()));
    }

    /// The list is whole: adds what it changes of `index`. Linear in the pods known.
    pub fn close(self, index: &Index, difference: &mut Difference) {
        let is_seen = |id: RecordId| self.seen.get(id.place()).copied().unwrap_or(false);
        let unseen = index.records.iter().filter(|(id, _)| !is_seen(*id));
        difference.gone.extend(unseen.map(|(id, _)| id));
        difference.pods.extend(self.differing.into_values());
    }

    fn mark(&mut self, id: RecordId, seen: bool) {
        if self.seen.len() <= id.place() {
            self.seen.resize(id.place() + 1, false);
        }
        self.seen[id.place()] = seen;
    }
}

/// The namespaces that a list has told so far.
#[derive(Debug, Default)]
pub struct NamespaceList {
    /// `None` for one that cannot be read.
    told: HashMap<Arc<str>, Option<Labels>>,
}

impl NamespaceList {
    /// The list, or an event meanwhile, tells of a namespace.
    pub fn listed(&mut self, index: &Index, namespace: &Namespace) {
        let known = labels(index, &namespace.name).filter(|one| **one == namespace.labels);
        let labels = known.unwrap_or(&namespace.labels).clone();
        self.told.insert(Arc::clone(&namespace.name), Some(labels));
    }

    /// The list, or an event meanwhile, tells of a namespace that cannot be read (P26).
    pub fn broken(&mut self, name: &Arc<str>) {
        self.told.insert(Arc::clone(name), None);
    }

    /// The namespace was taken out of the index while the list goes on.
    pub fn deleted(&mut self, name: &Arc<str>) {
        self.told.remove(name);
    }

    /// The list is whole: adds what it changes of `index`. Linear in the namespaces known.
    pub fn close(self, index: &Index, difference: &mut Difference) {
        let known = index.namespaces.iter();
        let unheard =
            known.filter(|(name, entry)| entry.labels.is_some() && !self.told.contains_key(*name));
        let unheard = unheard.map(|(name, _)| (Arc::clone(name), None));
        difference.namespaces.extend(unheard);
        let told = self.told.into_iter();
        let changed = told.filter(|(name, told)| labels(index, name) != told.as_ref());
        difference.namespaces.extend(changed);
    }
}

fn labels<'i>(index: &'i Index, name: &Arc<str>) -> Option<&'i Labels> {
    index.namespaces.get(name)?.labels.as_ref()
}

fn key(pod: &Pod) -> Key {
    (pod.name.clone(), pod.uid.clone())
}
