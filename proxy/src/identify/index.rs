//! Address to pod, kept true event by event. Pure: no clock, no socket, no lock.
//!
//! May enter: pods and namespaces as the source knows them, in whatever order it tells. An address
//! has a *set* of owners, because the end of its old owner and the start of its new one may be told
//! in either order (S72). Deliberately absent: policies, and any guess: where two live pods claim
//! one address and neither is the newer, the address belongs to nobody.
//!
//! INVARIANT: a pod that has ended or uses its node's network owns no address (S67, S70).
//! INVARIANT: the slot of an identity stays the same as long as any pod has that identity, also over
//! a [`resync`](Index::resync); so what was computed for it stays valid.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use podwall_policy::labels::Labels;
use podwall_policy::object::{Namespace, Object, ObjectName, Pod};
use podwall_policy::peer::Identity;

use crate::identify::feed::Kind;
use claims::{Owners, owned_addresses};
use identities::Identities;

mod claims;
mod identities;
#[cfg(test)]
mod tests;

/// The number of an interned identity: small, dense, reused after [`Effect::released`] told of it.
pub type Slot = usize;

/// The number of a pod in the index.
type RecordId = usize;

/// What the index says of an address that a known pod owns.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The pod's name.
    pub name: &'a ObjectName,
    /// Its identity, shared by all pods that have an equal one.
    pub identity: &'a Arc<Identity>,
    /// The identity's number.
    pub slot: Slot,
}

/// What one change did.
#[derive(Debug, Default)]
pub struct Effect {
    /// Addresses that now answer otherwise than before.
    pub touched: HashSet<IpAddr>,
    /// Slots whose identity no pod has any more: what was computed for them must be forgotten.
    pub released: Vec<Slot>,
}

impl Effect {
    /// Both, one after the other.
    fn join(&mut self, next: Self) {
        self.touched.extend(next.touched);
        self.released.extend(next.released);
    }
}

/// Address to pod.
#[derive(Debug, Default)]
pub struct Index {
    records: Vec<Option<Record>>,
    free: Vec<RecordId>,
    by_name: HashMap<ObjectName, Vec<RecordId>>,
    addresses: HashMap<IpAddr, Owners>,
    contested: HashSet<IpAddr>,
    namespaces: HashMap<Arc<str>, NamespaceEntry>,
    identities: Identities,
}

/// A live pod.
#[derive(Debug)]
struct Record {
    name: ObjectName,
    uid: Option<Arc<str>>,
    slot: Slot,
    addresses: Vec<IpAddr>,
    started: Option<SystemTime>,
}

/// One namespace: its labels while its object is known, and its pods.
#[derive(Debug, Default)]
struct NamespaceEntry {
    labels: Option<Labels>,
    pods: HashSet<RecordId>,
}

impl Index {
    /// The pod that owns `address`; `None` where none is known or the address is contested.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<Found<'_>> {
        let owner = self.addresses.get(&address.to_canonical())?.owner?;
        let record = self.records.get(owner)?.as_ref()?;
        Some(Found {
            name: &record.name,
            identity: self.identities.get(record.slot)?,
            slot: record.slot,
        })
    }

    /// How many live pods are known, those without an address included.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// How many namespaces are known by their labels.
    #[must_use]
    pub fn namespaces(&self) -> usize {
        let known = |entry: &&NamespaceEntry| entry.labels.is_some();
        self.namespaces.values().filter(known).count()
    }

    /// The first number that no slot has reached.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.identities.slots()
    }

    /// Addresses that belong to nobody because several live pods claim them and none is the newest.
    #[must_use]
    pub fn contested(&self) -> usize {
        self.contested.len()
    }

    /// Those addresses with the pods that claim them, at most `limit`, in no order.
    pub fn contests(&self, limit: usize) -> impl Iterator<Item = (IpAddr, Vec<&ObjectName>)> {
        self.contested.iter().take(limit).map(|address| {
            let claims = self
                .addresses
                .get(address)
                .map_or(&[][..], |one| &one.claims);
            let names = claims
                .iter()
                .filter_map(|id| self.record(*id))
                .map(|one| &one.name);
            (*address, names.collect())
        })
    }

    /// Takes a pod in, new or changed; one that has ended is dropped (S70).
    ///
    /// Work: the pod's addresses times the pods that claim them, so it does not grow with the index.
    pub fn upsert_pod(&mut self, pod: &Pod) -> Effect {
        let mut effect = Effect::default();
        if pod.is_finished() {
            self.remove(&pod.name, |uid| *uid == pod.uid, &mut effect);
        } else {
            self.put(pod, &mut effect);
        }
        effect
    }

    /// Forgets the pod of that name, only if its UID is the one told: a late end of an old pod must
    /// not take its successor away (S72, P8).
    pub fn delete_pod(&mut self, name: &ObjectName, uid: Option<&str>) -> Effect {
        let mut effect = Effect::default();
        self.remove(name, |have| have.as_deref() == uid, &mut effect);
        effect
    }

    /// Forgets everything under that name: the source holds an object that cannot be read (P26).
    pub fn break_pod(&mut self, name: &ObjectName) -> Effect {
        let mut effect = Effect::default();
        self.remove(name, |_| true, &mut effect);
        effect
    }

    /// Takes a namespace in; all of its pods get new identities (S78).
    pub fn upsert_namespace(&mut self, namespace: &Namespace) -> Effect {
        self.relabel_namespace(&namespace.name, Some(&namespace.labels))
    }

    /// The namespace's labels are no longer known, which is not "it has none" (P27).
    pub fn forget_namespace(&mut self, name: &str) -> Effect {
        self.relabel_namespace(name, None)
    }

    /// Takes an object in, new or changed.
    pub fn upsert(&mut self, object: &Object) -> Effect {
        match object {
            Object::Pod(pod) => self.upsert_pod(pod),
            Object::Namespace(namespace) => self.upsert_namespace(namespace),
            Object::BrokenPod(name) => self.break_pod(name),
            Object::BrokenNamespace(name) => self.forget_namespace(name),
            Object::Policy(_) => Effect::default(),
        }
    }

    /// Makes `objects` all there is of one kind.
    pub fn relist(&mut self, kind: Kind, objects: &[Object]) -> Effect {
        let mut effect = Effect::default();
        for object in objects {
            effect.join(self.upsert(object));
        }
        let listed: HashSet<(&ObjectName, Option<&str>)> = objects
            .iter()
            .filter_map(|object| match object {
                Object::Pod(pod) => Some((&pod.name, pod.uid.as_deref())),
                _ => None,
            })
            .collect();
        let spaces: HashSet<&str> = objects
            .iter()
            .filter_map(|object| match object {
                Object::Namespace(one) => Some(&*one.name),
                _ => None,
            })
            .collect();
        if kind == Kind::Pod {
            let ghost = |id: &RecordId| {
                self.record(*id)
                    .is_some_and(|one| !listed.contains(&(&one.name, one.uid.as_deref())))
            };
            let ghosts: Vec<RecordId> = (0..self.records.len()).filter(ghost).collect();
            for id in ghosts {
                self.remove_record(id, &mut effect);
            }
        }
        if kind == Kind::Namespace {
            let ghosts = self
                .namespaces
                .keys()
                .filter(|one| !spaces.contains(&***one));
            let ghosts: Vec<Arc<str>> = ghosts.cloned().collect();
            for name in ghosts {
                effect.join(self.forget_namespace(&name));
            }
        }
        effect
    }

    /// The index of exactly these objects, and what differs from this one. Linear.
    ///
    /// Nothing of the old content stays, so no ghost survives a relist (P25).
    #[must_use]
    pub fn resync<'o>(
        &self,
        namespaces: impl Iterator<Item = &'o Namespace>,
        pods: impl Iterator<Item = &'o Pod>,
    ) -> (Self, Effect) {
        let mut next = Self {
            identities: self.identities.emptied(),
            ..Self::default()
        };
        let mut ignored = Effect::default();
        for one in namespaces {
            next.entry(&one.name).labels = Some(one.labels.clone());
        }
        for pod in pods.filter(|pod| !pod.is_finished()) {
            next.put(pod, &mut ignored);
        }
        let released = next.identities.sweep();
        let both = self.addresses.keys().chain(next.addresses.keys());
        let touched = both.filter(|one| self.answer(**one) != next.answer(**one));
        let touched = touched.copied().collect();
        (next, Effect { touched, released })
    }

    /// What an address answers, comparable between two indices that share their slots.
    fn answer(&self, address: IpAddr) -> Option<(&ObjectName, Option<&str>, Slot)> {
        let owner = self.addresses.get(&address)?.owner?;
        let record = self.record(owner)?;
        Some((&record.name, record.uid.as_deref(), record.slot))
    }

    fn record(&self, id: RecordId) -> Option<&Record> {
        self.records.get(id)?.as_ref()
    }

    fn entry(&mut self, namespace: &Arc<str>) -> &mut NamespaceEntry {
        self.namespaces.entry(Arc::clone(namespace)).or_default()
    }

    fn put(&mut self, pod: &Pod, effect: &mut Effect) {
        let entry = self.entry(&pod.name.namespace);
        let identity = Identity::of(pod, entry.labels.clone());
        let record = Record {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            // Before the old one is released: an unchanged identity keeps its slot.
            slot: self.identities.acquire(identity),
            addresses: owned_addresses(pod),
            started: pod.started,
        };
        let known = self
            .ids(&pod.name)
            .find(|id| self.uid_of(*id) == pod.uid.as_deref());
        match known {
            Some(id) => self.replace(id, record, effect),
            None => self.add(record, effect),
        }
    }

    fn ids(&self, name: &ObjectName) -> impl Iterator<Item = RecordId> {
        self.by_name.get(name).into_iter().flatten().copied()
    }

    fn uid_of(&self, id: RecordId) -> Option<&str> {
        self.record(id)?.uid.as_deref()
    }

    fn add(&mut self, record: Record, effect: &mut Effect) {
        let id = self.free.pop().unwrap_or(self.records.len());
        if id == self.records.len() {
            self.records.push(None);
        }
        self.by_name
            .entry(record.name.clone())
            .or_default()
            .push(id);
        self.entry(&record.name.namespace).pods.insert(id);
        let addresses = record.addresses.clone();
        self.records[id] = Some(record);
        self.claim(id, &addresses, &[], effect);
    }

    fn replace(&mut self, id: RecordId, record: Record, effect: &mut Effect) {
        let (addresses, slot) = (record.addresses.clone(), record.slot);
        let Some(old) = self.records[id].replace(record) else {
            return;
        };
        self.claim(id, &addresses, &old.addresses, effect);
        if slot != old.slot {
            self.touch_owned(id, &addresses, effect);
        }
        effect.released.extend(self.identities.release(old.slot));
    }

    fn remove(
        &mut self,
        name: &ObjectName,
        which: impl Fn(&Option<Arc<str>>) -> bool,
        effect: &mut Effect,
    ) {
        let gone = |id: &RecordId| self.record(*id).is_some_and(|one| which(&one.uid));
        let gone: Vec<RecordId> = self.ids(name).filter(gone).collect();
        for id in gone {
            self.remove_record(id, effect);
        }
    }

    fn remove_record(&mut self, id: RecordId, effect: &mut Effect) {
        let Some(record) = self.records[id].take() else {
            return;
        };
        self.claim(id, &[], &record.addresses, effect);
        self.free.push(id);
        if let Some(ids) = self.by_name.get_mut(&record.name) {
            ids.retain(|one| *one != id);
            if ids.is_empty() {
                self.by_name.remove(&record.name);
            }
        }
        let namespace = &record.name.namespace;
        if let Some(entry) = self.namespaces.get_mut(namespace) {
            entry.pods.remove(&id);
            if entry.pods.is_empty() && entry.labels.is_none() {
                self.namespaces.remove(namespace);
            }
        }
        effect.released.extend(self.identities.release(record.slot));
    }

    fn relabel_namespace(&mut self, name: &str, labels: Option<&Labels>) -> Effect {
        let mut effect = Effect::default();
        let entry = self.entry(&Arc::from(name));
        if entry.labels.as_ref() != labels {
            entry.labels = labels.cloned();
            let pods: Vec<RecordId> = entry.pods.iter().copied().collect();
            for id in pods {
                self.relabel(id, labels, &mut effect);
            }
        }
        let unused = |one: &NamespaceEntry| one.labels.is_none() && one.pods.is_empty();
        if self.namespaces.get(name).is_some_and(unused) {
            self.namespaces.remove(name);
        }
        effect
    }

    /// Gives one pod its identity under the new labels of its namespace.
    fn relabel(&mut self, id: RecordId, labels: Option<&Labels>, effect: &mut Effect) {
        let Some(record) = self.records[id].as_mut() else {
            return;
        };
        let Some(identity) = self.identities.get(record.slot) else {
            return;
        };
        let identity = Identity {
            namespace_labels: labels.cloned(),
            ..Identity::clone(identity)
        };
        let old = std::mem::replace(&mut record.slot, self.identities.acquire(identity));
        effect.released.extend(self.identities.release(old));
        let addresses = record.addresses.clone();
        self.touch_owned(id, &addresses, effect);
    }
}
