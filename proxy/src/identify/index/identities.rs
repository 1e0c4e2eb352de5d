//! Interned identities: pods of one Deployment share one, and one number.
//!
//! Deliberately absent: what is computed per identity; its owner is told when a number is free.

use std::collections::HashMap;
use std::sync::Arc;

use podwall_policy::peer::Identity;

use super::Slot;
use super::words::Words;

/// All identities in use, each with a dense number.
#[derive(Debug, Default)]
pub(super) struct Identities {
    slots: Vec<Option<Interned>>,
    known: HashMap<Arc<Identity>, Slot>,
    free: Vec<Slot>,
    words: Words,
}

#[derive(Clone, Debug)]
struct Interned {
    identity: Arc<Identity>,
    /// How many pods have it.
    uses: usize,
}

impl Identities {
    /// The identity of that number, if one has it.
    pub(super) fn get(&self, slot: Slot) -> Option<&Arc<Identity>> {
        Some(&self.slots.get(slot)?.as_ref()?.identity)
    }

    /// The first number that was never given.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The number of `identity`, for one more pod.
    pub(super) fn acquire(&mut self, identity: Identity) -> Slot {
        if let Some(slot) = self.known.get(&identity).copied() {
            if let Some(Some(interned)) = self.slots.get_mut(slot) {
                interned.uses += 1;
            }
            return slot;
        }
        let identity = Arc::new(self.words.enter(identity));
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.known.insert(Arc::clone(&identity), slot);
        self.slots[slot] = Some(Interned { identity, uses: 1 });
        slot
    }

    /// One pod fewer has that identity; `Some` where it was the last one and the number is free.
    pub(super) fn release(&mut self, slot: Slot) -> Option<Slot> {
        let interned = self.slots.get_mut(slot)?.as_mut()?;
        interned.uses = interned.uses.saturating_sub(1);
        if interned.uses > 0 {
            return None;
        }
        self.drop_slot(slot);
        Some(slot)
    }

    fn drop_slot(&mut self, slot: Slot) {
        if let Some(interned) = self.slots[slot].take() {
            self.known.remove(&interned.identity);
            self.words.leave(&interned.identity);
            self.free.push(slot);
        }
    }
}
