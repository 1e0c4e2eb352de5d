//! Who an address belongs to, among the live pods that claim it.
//!
//! Deliberately absent: how pods come and go.

use std::net::IpAddr;

use podwall_policy::object::Pod;

use super::{Effect, Index, Record, RecordId};

/// The live pods that claim one address, and the one it belongs to.
#[derive(Debug, Default)]
pub(super) struct Owners {
    pub(super) claims: Vec<RecordId>,
    pub(super) owner: Option<RecordId>,
}

impl Index {
    /// Makes `id` claim exactly `new` where it claimed `old`, and settles all of them.
    pub(super) fn claim(
        &mut self,
        id: RecordId,
        new: &[IpAddr],
        old: &[IpAddr],
        effect: &mut Effect,
    ) {
        for address in old.iter().filter(|one| !new.contains(one)) {
            if let Some(owners) = self.addresses.get_mut(address) {
                owners.claims.retain(|claim| *claim != id);
            }
            self.settle(*address, effect);
        }
        for address in new {
            let owners = self.addresses.entry(*address).or_default();
            if !owners.claims.contains(&id) {
                owners.claims.push(id);
            }
            self.settle(*address, effect);
        }
    }

    /// Finds the owner among those who claim `address`: the only one, or the one that started last.
    fn settle(&mut self, address: IpAddr, effect: &mut Effect) {
        let Some(owners) = self.addresses.get(&address) else {
            return;
        };
        let owner = newest(&self.records, &owners.claims);
        let (was, claims) = (owners.owner, owners.claims.len());
        if claims > 1 && owner.is_none() {
            self.contested.insert(address);
        } else {
            self.contested.remove(&address);
        }
        if claims == 0 {
            self.addresses.remove(&address);
        } else if let Some(owners) = self.addresses.get_mut(&address) {
            owners.owner = owner;
        }
        if was != owner {
            effect.touched.insert(address);
        }
    }

    /// Those of `addresses` that belong to `id` answer with another identity now.
    pub(super) fn touch_owned(&self, id: RecordId, addresses: &[IpAddr], effect: &mut Effect) {
        let owner = |one: &IpAddr| self.addresses.get(one).and_then(|owners| owners.owner);
        let owned = addresses.iter().filter(|one| owner(one) == Some(id));
        effect.touched.extend(owned.copied());
    }
}

/// The addresses by which a pod can be found: all of its own (S75), none of its node's (S67).
pub(super) fn owned_addresses(pod: &Pod) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::with_capacity(pod.addresses.len());
    if !pod.host_network {
        for address in &pod.addresses {
            let address = address.to_canonical();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    addresses
}

/// The only claim, or the one that certainly started after all others.
fn newest(records: &[Option<Record>], claims: &[RecordId]) -> Option<RecordId> {
    if let [only] = claims {
        return Some(*only);
    }
    let started = |id: &RecordId| records.get(*id)?.as_ref()?.started;
    let best = *claims.iter().max_by_key(|id| started(id))?;
    let beats = |other: &RecordId| {
        *other == best || started(other).is_some_and(|one| Some(one) < started(&best))
    };
    claims.iter().all(beats).then_some(best)
}
