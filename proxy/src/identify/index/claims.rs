//! Which pods claim an address, and which of them owns it.
//!
//! Deliberately absent: how pods come and go; an address itself, which its pod's record holds.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use hashbrown::HashTable;

use super::records::{RecordId, Records};

/// Every address of every live pod.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// By the hash of the address.
    table: HashTable<Claim>,
    hasher: RandomState,
    contested: HashSet<IpAddr>,
}

/// One pod claims one address: the one at `place` of its record's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Claim {
    record: RecordId,
    place: u32,
}

/// Who owns an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    /// No live pod claims it.
    Nobody,
    /// The only one that claims it, or the one that certainly started after all others.
    Pod(RecordId),
    /// Several claim it and none is the newest (S77).
    Contested,
}

impl Owner {
    /// The pod, where there is one.
    pub(super) const fn pod(self) -> Option<RecordId> {
        match self {
            Self::Pod(id) => Some(id),
            Self::Nobody | Self::Contested => None,
        }
    }
}

impl Claims {
    /// Who owns `address`. Work: the pods that claim it.
    pub(super) fn owner(&self, records: &Records, address: IpAddr) -> Owner {
        let mut claimants = self.claimants(records, address);
        let Some(first) = claimants.next() else {
            return Owner::Nobody;
        };
        if claimants.next().is_none() {
            return Owner::Pod(first);
        }
        let started = |id| records.get(id).and_then(|record| record.started);
        let claimants = || self.claimants(records, address);
        let newest = claimants().max_by_key(|id| started(*id)).unwrap_or(first);
        let is_older = |id| started(id).is_some_and(|one| Some(one) < started(newest));
        if claimants().all(|id| id == newest || is_older(id)) {
            Owner::Pod(newest)
        } else {
            Owner::Contested
        }
    }

    /// The live pods that claim `address`, in no order.
    pub(super) fn claimants(
        &self,
        records: &Records,
        address: IpAddr,
    ) -> impl Iterator<Item = RecordId> {
        let claims = self.table.iter_hash(self.hasher.hash_one(address));
        let claims = claims.filter(move |claim| claim.address(records) == Some(address));
        claims.map(|claim| claim.record)
    }

    /// `id` claims all addresses of its record.
    pub(super) fn enter(&mut self, records: &Records, id: RecordId) {
        let Self { table, hasher, .. } = self;
        for (place, address) in addresses(records, id) {
            let claim = Claim { record: id, place };
            let rehash = |one: &Claim| one.address(records).map_or(0, |one| hasher.hash_one(one));
            table.insert_unique(hasher.hash_one(address), claim, rehash);
        }
    }

    /// `id` claims nothing any more; to be told while its record still has its addresses.
    pub(super) fn leave(&mut self, records: &Records, id: RecordId) {
        for (place, address) in addresses(records, id) {
            let claim = Claim { record: id, place };
            let hash = self.hasher.hash_one(address);
            if let Ok(entry) = self.table.find_entry(hash, |one| *one == claim) {
                entry.remove();
            }
        }
    }

    /// Keeps the list of contested addresses true.
    pub(super) fn note(&mut self, address: IpAddr, owner: Owner) {
        if owner == Owner::Contested {
            self.contested.insert(address);
        } else {
            self.contested.remove(&address);
        }
    }

    /// The addresses that several live pods claim, none of which is the newest.
    pub(super) const fn contested(&self) -> &HashSet<IpAddr> {
        &self.contested
    }
}

impl Claim {
    fn address(self, records: &Records) -> Option<IpAddr> {
        records.get(self.record)?.addresses.get(self.place)
    }
}

fn addresses(records: &Records, id: RecordId) -> impl Iterator<Item = (u32, IpAddr)> {
    let record = records.get(id).into_iter();
    record.flat_map(|record| (0..).zip(record.addresses.iter()))
}
