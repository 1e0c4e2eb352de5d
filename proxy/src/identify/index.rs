//! Address to pod, kept true event by event. Pure: no clock, no socket, no lock.
//!
//! May enter: pods and namespaces as the source knows them, in whatever order it tells. An address
//! has a *set* of owners, because the end of its old owner and the start of its new one may be told
//! in either order (S72). Deliberately absent: policies, and any guess: where two live pods claim
//! one address and neither is the newer, the address belongs to nobody.
//!
//! INVARIANT: a pod that has ended or uses its node's network owns no address (S67, S70).
//! INVARIANT: the slot of an identity stays the same as long as any pod has that identity; so what was
//! computed for it stays valid.
//!
//! Memory: with 100,000 pods of two addresses each some 220 bytes per pod, 640 where each has a
//! label of its own (`benches/memory`). A pod's name is held once, a label's words once for all pods, and an address
//! only in its pod's record: the tables hold numbers.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::labels::Labels;
use podwall_policy::object::{Namespace, ObjectName, Pod};
use podwall_policy::peer::Identity;

use addresses::Addresses;
use claims::{Claims, Owner};
use identities::Identities;
use records::{Record, RecordId, Records};
use uid::Uid;

mod addresses;
mod claims;
mod identities;
mod lists;
mod records;
#[cfg(test)]
mod tests;
mod uid;
mod words;

pub use lists::{Difference, NamespaceList, PodList};

/// The number of an interned identity: small, dense, reused after [`Effect::released`] told of it.
pub type Slot = usize;

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
    /// Slots whose identity no pod has any more, though another one may have the number by now: what
    /// was computed for them must be forgotten.
    pub released: Vec<Slot>,
}

/// Address to pod.
#[derive(Debug, Default)]
pub struct Index {
    records: Records,
    claims: Claims,
    namespaces: HashMap<Arc<str>, NamespaceEntry>,
    identities: Identities,
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
        let owner = self.claims.owner(&self.records, address.to_canonical());
        let record = self.records.get(owner.pod()?)?;
        Some(Found {
            name: &record.name,
            identity: self.identities.get(record.slot)?,
            slot: record.slot,
        })
    }

    /// How many live pods are known, those without an address included.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.records.len()
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
        self.claims.contested().len()
    }

    /// Those addresses with the pods that claim them, at most `limit`, in no order.
    pub fn contests(&self, limit: usize) -> impl Iterator<Item = (IpAddr, Vec<&ObjectName>)> {
        let contested = self.claims.contested().iter().take(limit);
        contested.map(|address| {
            let claimants = self.claims.claimants(&self.records, *address);
            let names = claimants.filter_map(|id| Some(&self.records.get(id)?.name));
            (*address, names.collect())
        })
    }

    /// Takes a pod in, new or changed; one that has ended is dropped (S70).
    ///
    /// Work: the pod's addresses times the pods that claim them, so it does not grow with the index.
    pub fn upsert_pod(&mut self, pod: &Pod) -> Effect {
        let mut effect = Effect::default();
        if pod.is_finished() {
            self.remove_one(&pod.name, pod.uid.as_deref(), &mut effect);
        } else {
            self.put(pod, &mut effect);
        }
        effect
    }

    /// Forgets the pod of that name, only if its UID is the one told: a late end of an old pod must
    /// not take its successor away (S72, P8).
    pub fn delete_pod(&mut self, name: &ObjectName, uid: Option<&str>) -> Effect {
        let mut effect = Effect::default();
        self.remove_one(name, uid, &mut effect);
        effect
    }

    /// Forgets everything under that name: the source holds an object that cannot be read (P26).
    pub fn break_pod(&mut self, name: &ObjectName) -> Effect {
        let mut effect = Effect::default();
        let named: Vec<RecordId> = self.records.named(name).map(|(id, _)| id).collect();
        for id in named {
            self.remove(id, &mut effect);
        }
        effect
    }

    /// Takes a namespace in; all of its pods get new identities (S78). Work: its pods.
    pub fn upsert_namespace(&mut self, namespace: &Namespace) -> Effect {
        let mut effect = Effect::default();
        self.relabel(&namespace.name, Some(&namespace.labels), &mut effect);
        effect
    }

    /// The namespace's labels are no longer known, which is not "it has none" (P27).
    pub fn forget_namespace(&mut self, name: &Arc<str>) -> Effect {
        let mut effect = Effect::default();
        self.relabel(name, None, &mut effect);
        effect
    }

    /// Takes in all that a list says otherwise than this index (P25). Work: the difference.
    pub fn catch_up(&mut self, difference: &Difference) -> Effect {
        let mut effect = Effect::default();
        for id in &difference.gone {
            self.remove(*id, &mut effect);
        }
        for (name, labels) in &difference.namespaces {
            self.relabel(name, labels.as_ref(), &mut effect);
        }
        for pod in &difference.pods {
            self.put(pod, &mut effect);
        }
        effect
    }

    /// The number of that very pod, if it is known, and whether nothing about it would change.
    fn compare(&self, pod: &Pod) -> Option<(RecordId, bool)> {
        let uid = Uid::new(pod.uid.as_deref());
        let (id, record) = self.records.find(&pod.name, &uid)?;
        let identity = self.identities.get(record.slot)?;
        let same = record.started == pod.started
            && record.addresses == Addresses::of(pod)
            && identity.labels == pod.labels
            && identity.named_ports == pod.named_ports;
        Some((id, same))
    }

    fn put(&mut self, pod: &Pod, effect: &mut Effect) {
        let (namespace, labels) = self.namespace(&pod.name.namespace);
        let identity = Identity {
            namespace: Arc::clone(&namespace),
            ..Identity::of(pod, labels)
        };
        let record = Record {
            name: ObjectName {
                namespace,
                name: Arc::clone(&pod.name.name),
            },
            uid: Uid::new(pod.uid.as_deref()),
            // Before the old one is released: an unchanged identity keeps its slot.
            slot: self.identities.acquire(identity),
            addresses: Addresses::of(pod),
            started: pod.started,
        };
        match self.records.find(&record.name, &record.uid) {
            Some((id, _)) => self.replace(id, record, effect),
            None => self.add(record, effect),
        }
    }

    /// The namespace's name as all its pods share it, and its labels.
    fn namespace(&mut self, name: &Arc<str>) -> (Arc<str>, Option<Labels>) {
        if let Some((name, entry)) = self.namespaces.get_key_value(name) {
            return (Arc::clone(name), entry.labels.clone());
        }
        let entry = NamespaceEntry::default();
        self.namespaces.insert(Arc::clone(name), entry);
        (Arc::clone(name), None)
    }

    fn add(&mut self, record: Record, effect: &mut Effect) {
        let before = self.owners(&record.addresses, &Addresses::NONE);
        let namespace = Arc::clone(&record.name.namespace);
        let id = self.records.insert(record);
        if let Some(entry) = self.namespaces.get_mut(&namespace) {
            entry.pods.insert(id);
        }
        self.claims.enter(&self.records, id);
        self.settle(before, None, effect);
    }

    fn replace(&mut self, id: RecordId, record: Record, effect: &mut Effect) {
        let Some(old) = self.records.get(id) else {
            return;
        };
        let before = self.owners(&old.addresses, &record.addresses);
        let moved = old.addresses != record.addresses;
        if moved {
            self.claims.leave(&self.records, id);
        }
        let slot = record.slot;
        let Some(known) = self.records.get_mut(id) else {
            return;
        };
        let old = std::mem::replace(known, record);
        if moved {
            self.claims.enter(&self.records, id);
        }
        let relabelled = (slot != old.slot).then_some(id);
        self.settle(before, relabelled, effect);
        effect.released.extend(self.identities.release(old.slot));
    }

    fn remove_one(&mut self, name: &ObjectName, uid: Option<&str>, effect: &mut Effect) {
        if let Some((id, _)) = self.records.find(name, &Uid::new(uid)) {
            self.remove(id, effect);
        }
    }

    fn remove(&mut self, id: RecordId, effect: &mut Effect) {
        let Some(record) = self.records.get(id) else {
            return;
        };
        let before = self.owners(&record.addresses, &Addresses::NONE);
        self.claims.leave(&self.records, id);
        let Some(record) = self.records.remove(id) else {
            return;
        };
        self.settle(before, None, effect);
        let namespace = &record.name.namespace;
        if let Some(entry) = self.namespaces.get_mut(namespace) {
            entry.pods.remove(&id);
            self.drop_unused(namespace);
        }
        effect.released.extend(self.identities.release(record.slot));
    }

    /// Who owns each of these addresses before a change, for [`settle`](Self::settle).
    fn owners(&self, some: &Addresses, more: &Addresses) -> Vec<(IpAddr, Owner)> {
        let owner = |address| (address, self.claims.owner(&self.records, address));
        some.iter().chain(more.iter()).map(owner).collect()
    }

    /// Notes which of the addresses answer otherwise after a change: those with another owner, and
    /// those of the pod that has another identity.
    fn settle(
        &mut self,
        before: Vec<(IpAddr, Owner)>,
        relabelled: Option<RecordId>,
        effect: &mut Effect,
    ) {
        for (address, was) in before {
            let now = self.claims.owner(&self.records, address);
            self.claims.note(address, now);
            let other_identity = relabelled.is_some() && now.pod() == relabelled;
            if was.pod() != now.pod() || other_identity {
                effect.touched.insert(address);
            }
        }
    }

    fn relabel(&mut self, name: &Arc<str>, labels: Option<&Labels>, effect: &mut Effect) {
        let entry = self.namespaces.entry(Arc::clone(name)).or_default();
        if entry.labels.as_ref() != labels {
            entry.labels = labels.cloned();
            let pods: Vec<RecordId> = entry.pods.iter().copied().collect();
            for id in pods {
                self.relabel_pod(id, labels, effect);
            }
        }
        self.drop_unused(name);
    }

    /// Gives one pod its identity under the new labels of its namespace.
    fn relabel_pod(&mut self, id: RecordId, labels: Option<&Labels>, effect: &mut Effect) {
        let Some(record) = self.records.get_mut(id) else {
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
        let Some(record) = self.records.get(id) else {
            return;
        };
        let owner = |address: &IpAddr| self.claims.owner(&self.records, *address).pod();
        let owned = record.addresses.iter().filter(|one| owner(one) == Some(id));
        effect.touched.extend(owned);
    }

    /// Forgets a namespace of which neither labels nor pods are known.
    fn drop_unused(&mut self, name: &Arc<str>) {
        let unused = |one: &NamespaceEntry| one.labels.is_none() && one.pods.is_empty();
        if self.namespaces.get(name).is_some_and(unused) {
            self.namespaces.remove(name);
        }
    }
}
