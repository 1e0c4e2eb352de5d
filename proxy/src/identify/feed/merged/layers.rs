//! Two sources, one above the other. Pure: what one tells goes in, what is to be told comes out.
//!
//! INVARIANT: an object of the files is told whenever its kind is listed, ahead of the cluster's
//! objects, so no swap can bring a hidden one to light.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::object::Object;

use super::union::Union;
use crate::identify::feed::key::Key;
use crate::identify::feed::{Change, Gone, Kind};

/// What is to be done after a change.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// What is to be told, in this order.
    pub(super) changes: Vec<Change>,
    /// Whether the cluster is to be listed anew.
    pub(super) relist: bool,
}

/// The files above the cluster.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// What the files hold; `None` until they have told a whole state.
    files: Option<BTreeMap<Key, Object>>,
    /// What was taken out of the files and is in force until the cluster's own state of it comes.
    left: BTreeMap<Key, Left>,
    /// The kinds of which a list of the cluster was let through.
    begun: BTreeSet<Kind>,
    /// Those that are being listed.
    listing: BTreeSet<Kind>,
    union: Union,
}

/// An object that was taken out of the files.
#[derive(Debug)]
struct Left {
    /// As it was there.
    object: Object,
    /// A list that began later is on its way.
    covered: bool,
}

impl Layers {
    /// The files tell.
    pub(super) fn on_files(&mut self, change: Change) -> Step {
        match change {
            Change::Resync(cluster) => self.on_files_state(objects(&cluster)),
            Change::Findings(findings) => tell([self.union.on_files_findings(findings)]),
            Change::SourceProblem(problem) => tell(self.union.on_files_problem(problem)),
            Change::SourceHealthy(as_of) => tell(self.union.on_files_healthy(as_of)),
            // Files tell nothing but whole states.
            Change::Relist(_)
            | Change::Listed(_)
            | Change::Relisted(_)
            | Change::Upsert(_)
            | Change::Delete(_) => Step::default(),
        }
    }

    /// The cluster tells.
    pub(super) fn on_cluster(&mut self, change: Change) -> Step {
        match change {
            Change::Relist(kind) => self.on_relist(kind),
            Change::Listed(object) => {
                let key = Key::of(&object);
                let shown = self.listing.contains(&key.kind())
                    && !self.hides(&key)
                    && self.left.get(&key).is_none_or(|left| left.covered);
                tell(shown.then_some(Change::Listed(object)))
            }
            Change::Relisted(kind) => self.on_relisted(kind),
            Change::Upsert(object) => {
                let key = Key::of(&object);
                let shown = self.begun.contains(&key.kind()) && !self.hides(&key);
                if shown {
                    self.left.remove(&key);
                }
                tell(shown.then_some(Change::Upsert(object)))
            }
            Change::Delete(gone) => self.on_delete(gone),
            Change::Findings(findings) => tell([self.union.on_cluster_findings(findings)]),
            Change::SourceProblem(problem) => tell(self.union.on_cluster_problem(problem)),
            Change::SourceHealthy(as_of) => tell(self.union.on_cluster_healthy(as_of)),
            // A cluster tells one kind at a time.
            Change::Resync(_) => Step::default(),
        }
    }

    fn on_files_state(&mut self, next: BTreeMap<Key, Object>) -> Step {
        let Some(before) = self.files.take() else {
            self.files = Some(next);
            // What the cluster told so far was not let through.
            return Step {
                changes: Vec::new(),
                relist: true,
            };
        };
        let mut step = Step::default();
        for (key, object) in &next {
            let was_left = self.left.remove(key);
            let in_force = was_left.map(|left| left.object);
            let in_force = in_force.as_ref().or_else(|| before.get(key));
            if self.begun.contains(&key.kind()) && in_force != Some(object) {
                if self.listing.contains(&key.kind()) {
                    step.changes.push(Change::Listed(object.clone()));
                }
                step.changes.push(Change::Upsert(object.clone()));
            }
        }
        for (key, object) in before {
            if !next.contains_key(&key) {
                step.relist = true;
                let covered = false;
                self.left.insert(key, Left { object, covered });
            }
        }
        self.files = Some(next);
        step
    }

    fn on_relist(&mut self, kind: Kind) -> Step {
        let Some(files) = &self.files else {
            return Step::default();
        };
        self.begun.insert(kind);
        self.listing.insert(kind);
        for left in of_kind(&mut self.left, kind) {
            left.covered = true;
        }
        let own = files.iter().filter(|(key, _)| key.kind() == kind);
        let own = own.map(|(_, object)| Change::Listed(object.clone()));
        tell(std::iter::once(Change::Relist(kind)).chain(own))
    }

    fn on_relisted(&mut self, kind: Kind) -> Step {
        if !self.listing.remove(&kind) {
            return Step::default();
        }
        self.left
            .retain(|key, left| key.kind() != kind || !left.covered);
        tell([Change::Relisted(kind)])
    }

    fn on_delete(&mut self, mut gone: Gone) -> Step {
        let key = Key::of_gone(&gone);
        if !self.begun.contains(&key.kind()) || self.hides(&key) {
            return Step::default();
        }
        // In force is what the files said; a pod's deletion must name that one's UID (P8).
        if let (Some(left), Gone::Pod { uid, .. }) = (self.left.remove(&key), &mut gone) {
            *uid = uid_of(&left.object);
        }
        tell([Change::Delete(gone)])
    }

    fn hides(&self, key: &Key) -> bool {
        self.files
            .as_ref()
            .is_some_and(|files| files.contains_key(key))
    }
}

fn tell(changes: impl IntoIterator<Item = Change>) -> Step {
    Step {
        changes: changes.into_iter().collect(),
        relist: false,
    }
}

fn of_kind(left: &mut BTreeMap<Key, Left>, kind: Kind) -> impl Iterator<Item = &mut Left> {
    let of_kind = left.iter_mut().filter(move |(key, _)| key.kind() == kind);
    of_kind.map(|(_, left)| left)
}

fn uid_of(object: &Object) -> Option<Arc<str>> {
    match object {
        Object::Pod(pod) => pod.uid.clone(),
        _ => None,
    }
}

/// All objects of a state.
fn objects(cluster: &Cluster) -> BTreeMap<Key, Object> {
    let pods = cluster.pods().cloned().map(Object::Pod);
    let broken_pods = cluster.broken_pods().cloned().map(Object::BrokenPod);
    let namespaces = cluster.namespaces().cloned().map(Object::Namespace);
    let broken = cluster.broken_namespaces().cloned();
    let policies = cluster.policies().iter().cloned().map(Object::Policy);
    pods.chain(broken_pods)
        .chain(namespaces)
        .chain(broken.map(Object::BrokenNamespace))
        .chain(policies)
        .map(|object| (Key::of(&object), object))
        .collect()
}
