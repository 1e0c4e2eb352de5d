//! The live pods, each held once, found by number or by name.
//!
//! Deliberately absent: addresses and who owns them (see [`claims`](super::claims)).

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use hashbrown::HashTable;
use podwall_policy::object::ObjectName;

use super::Slot;
use super::addresses::Addresses;
use super::uid::Uid;

/// The number of a pod in the index; used again once the pod is gone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct RecordId(u32);

impl RecordId {
    /// The number as a place in a list.
    pub(super) const fn place(self) -> usize {
        self.0 as usize
    }
}

/// A live pod.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: ObjectName,
    pub(super) uid: Uid,
    pub(super) slot: Slot,
    pub(super) addresses: Addresses,
    pub(super) started: Option<SystemTime>,
}

/// All live pods.
#[derive(Debug, Default)]
pub(super) struct Records {
    records: Vec<Option<Record>>,
    free: Vec<RecordId>,
    /// By the hash of their names, which the records hold.
    names: HashTable<RecordId>,
    hasher: RandomState,
}

impl Records {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn get(&self, id: RecordId) -> Option<&Record> {
        self.records.get(id.place())?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: RecordId) -> Option<&mut Record> {
        self.records.get_mut(id.place())?.as_mut()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordId, &Record)> {
        let numbered = (0..).map(RecordId).zip(&self.records);
        numbered.filter_map(|(id, record)| Some((id, record.as_ref()?)))
    }

    /// Those of one name: more than one while the end of an older pod has not been told (P8).
    pub(super) fn named(&self, name: &ObjectName) -> impl Iterator<Item = (RecordId, &Record)> {
        let ids = self.names.iter_hash(self.hasher.hash_one(name));
        let records = ids.filter_map(|id| Some((*id, self.get(*id)?)));
        records.filter(move |(_, record)| record.name == *name)
    }

    /// The one of that name and UID.
    pub(super) fn find(&self, name: &ObjectName, uid: &Uid) -> Option<(RecordId, &Record)> {
        self.named(name).find(|(_, record)| record.uid == *uid)
    }

    pub(super) fn insert(&mut self, record: Record) -> RecordId {
        let hash = self.hasher.hash_one(&record.name);
        let id = self.free.pop().unwrap_or_else(|| {
            self.records.push(None);
            // INVARIANT: memory ends long before 2^32 pods.
            RecordId(u32::try_from(self.records.len() - 1).unwrap_or(u32::MAX))
        });
        self.records[id.place()] = Some(record);
        let Self {
            records, hasher, ..
        } = self;
        let rehash = |id: &RecordId| {
            let record = records.get(id.place()).and_then(Option::as_ref);
            record.map_or(0, |record| hasher.hash_one(&record.name))
        };
        self.names.insert_unique(hash, id, rehash);
        id
    }

    pub(super) fn remove(&mut self, id: RecordId) -> Option<Record> {
        let record = self.records.get_mut(id.place())?.take()?;
        let hash = self.hasher.hash_one(&record.name);
        if let Ok(entry) = self.names.find_entry(hash, |one| *one == id) {
            entry.remove();
        }
        self.free.push(id);
        Some(record)
    }
}
