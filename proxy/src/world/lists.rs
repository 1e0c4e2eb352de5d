//! What a source is in the middle of listing, and whether it has listed everything once.
//!
//! Nothing of it counts before its list is whole (P25). Deliberately absent: readers and their lock;
//! how a list is compared with what is known, which is the index's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podwall_policy::object::{Object, ObjectName};

use super::books::Policies;
use crate::identify::feed::{Gone, Kind};
use crate::identify::index::{Difference, Index, NamespaceList, PodList};

/// The lists that are not whole yet, and of which kinds there was a whole one.
#[derive(Debug)]
pub(super) struct Lists {
    subject: ObjectName,
    pods: Option<PodList>,
    namespaces: Option<NamespaceList>,
    policies: Option<Policies>,
    /// What they tell of the subject itself and of the namespace it is in, by kind.
    about_subject: BTreeMap<Kind, Object>,
    whole: BTreeSet<Kind>,
}

/// What whole lists say otherwise than what is known.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Of pods and namespaces.
    pub(super) difference: Difference,
    /// All policies, where they were listed.
    pub(super) policies: Option<Policies>,
    /// The subject's Pod and Namespace, where they were listed.
    pub(super) about_subject: Vec<Object>,
}

impl Lists {
    pub(super) const fn new(subject: ObjectName) -> Self {
        Self {
            subject,
            pods: None,
            namespaces: None,
            policies: None,
            about_subject: BTreeMap::new(),
            whole: BTreeSet::new(),
        }
    }

    /// A list begins, or begins anew.
    pub(super) fn begin(&mut self, kind: Kind) {
        self.about_subject.remove(&kind);
        match kind {
            Kind::Pod => self.pods = Some(PodList::default()),
            Kind::Namespace => self.namespaces = Some(NamespaceList::default()),
            Kind::Policy => self.policies = Some(Policies::new()),
        }
    }

    /// One object of a list; without effect where none of its kind is open.
    pub(super) fn listed(&mut self, index: &Index, object: &Object) {
        match object {
            Object::Pod(pod) => each(&mut self.pods, |list| list.listed(index, pod)),
            Object::BrokenPod(name) => each(&mut self.pods, |list| list.broken(index, name)),
            Object::Namespace(one) => each(&mut self.namespaces, |list| list.listed(index, one)),
            Object::BrokenNamespace(name) => each(&mut self.namespaces, |list| list.broken(name)),
            Object::Policy(policy) => each(&mut self.policies, |list| {
                list.insert(policy.name.clone(), Arc::new(policy.clone()));
            }),
        }
        self.note_subject(object);
    }

    /// An object that was taken in while lists may be open: they have told of it, too.
    pub(super) fn upserted(&mut self, index: &Index, object: &Object) {
        match object {
            Object::Pod(pod) => each(&mut self.pods, |list| list.upserted(index, pod)),
            other => return self.listed(index, other),
        }
        self.note_subject(object);
    }

    /// An object that was taken out while lists may be open.
    pub(super) fn deleted(&mut self, gone: &Gone) {
        match gone {
            Gone::Pod { name, uid } => {
                each(&mut self.pods, |list| list.deleted(name, uid.as_ref()))
            }
            Gone::Namespace(name) => each(&mut self.namespaces, |list| list.deleted(name)),
            Gone::Policy(name) => each(&mut self.policies, |list| {
                list.remove(name);
            }),
        }
    }

    /// The lists of these kinds are whole; `None` where none was begun.
    pub(super) fn end(&mut self, index: &Index, kinds: &[Kind]) -> Option<Ended> {
        let mut ended = Ended::default();
        let mut any = false;
        for kind in kinds {
            let found = match kind {
                Kind::Pod => self
                    .pods
                    .take()
                    .map(|one| one.close(index, &mut ended.difference)),
                Kind::Namespace => self
                    .namespaces
                    .take()
                    .map(|one| one.close(index, &mut ended.difference)),
                Kind::Policy => self.policies.take().map(|one| ended.policies = Some(one)),
            };
            if found.is_some() {
                ended.about_subject.extend(self.about_subject.remove(kind));
                self.whole.insert(*kind);
                any = true;
            }
        }
        any.then_some(ended)
    }

    /// Whether every kind has been listed once.
    pub(super) fn all_whole(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.whole.contains(kind))
    }

    /// Whether a list of that kind has begun, and none was whole before.
    pub(super) fn is_first(&self, kind: Kind) -> bool {
        self.is_open(kind) && !self.whole.contains(&kind)
    }

    /// Whether a list of that kind has begun and is not whole yet.
    const fn is_open(&self, kind: Kind) -> bool {
        match kind {
            Kind::Pod => self.pods.is_some(),
            Kind::Namespace => self.namespaces.is_some(),
            Kind::Policy => self.policies.is_some(),
        }
    }

    fn note_subject(&mut self, object: &Object) {
        let kind = Kind::of(object);
        let about = match object {
            Object::Pod(pod) => pod.name == self.subject,
            Object::BrokenPod(name) => *name == self.subject,
            Object::Namespace(one) => one.name == self.subject.namespace,
            Object::BrokenNamespace(name) => *name == self.subject.namespace,
            Object::Policy(_) => false,
        };
        if about && self.is_open(kind) {
            self.about_subject.insert(kind, object.clone());
        }
    }
}

fn each<L>(list: &mut Option<L>, told: impl FnOnce(&mut L)) {
    if let Some(list) = list {
        told(list);
    }
}
