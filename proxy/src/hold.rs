//! The waiting room: how many arrivals may wait for an answer that cannot be given yet.
//!
//! May enter: source addresses. Deliberately absent: sockets, clocks and waiting itself; an arrival
//! that has a place here waits in [`connection`](crate::connection).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How long an arrival waits for the answer to become certain, counted from its acceptance.
///
/// Under the 1 s after which the client's kernel sends its first packet again (RFC 6298, 2.1), so a
/// late answer still beats the retry. When it runs out the arrival is denied, never let in.
pub const HOLD_TIME: Duration = Duration::from_millis(900);

/// How many arrivals may wait at a time. Each costs one descriptor and some 2 KB.
pub const HOLD_PLACES: usize = 512;

/// How many arrivals of one source address may wait at a time, so that one source cannot take all
/// the places.
pub const HOLD_PLACES_PER_SOURCE: usize = 64;

/// The waiting room. One per process.
#[derive(Debug)]
pub struct Hold {
    limits: Limits,
    taken: Mutex<Taken>,
}

/// How many may wait.
#[derive(Clone, Copy, Debug)]
struct Limits {
    places: usize,
    per_source: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A place in the waiting room; given back when dropped.
#[derive(Debug)]
#[must_use = "dropped at once, it holds nothing"]
pub struct Place {
    hold: Arc<Hold>,
    source: IpAddr,
}

impl Default for Hold {
    /// [`HOLD_PLACES`] places, [`HOLD_PLACES_PER_SOURCE`] of them for any one source.
    fn default() -> Self {
        Self::with_places(HOLD_PLACES, HOLD_PLACES_PER_SOURCE)
    }
}

impl Hold {
    /// A waiting room of other dimensions.
    #[must_use]
    pub fn with_places(places: usize, per_source: usize) -> Self {
        Self {
            limits: Limits { places, per_source },
            taken: Mutex::default(),
        }
    }

    /// Takes a place for an arrival from `source`; `None` where the room, or the source's share of
    /// it, is full.
    #[must_use]
    pub fn take(self: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = taken.by_source.get(&source).copied().unwrap_or(0);
        if taken.all >= self.limits.places || of_source >= self.limits.per_source {
            return None;
        }
        taken.all += 1;
        taken.by_source.insert(source, of_source + 1);
        Some(Place {
            hold: Arc::clone(self),
            source,
        })
    }

    /// How many wait at this moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .hold
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(of_source) = taken.by_source.get_mut(&self.source) {
            *of_source -= 1;
            // INVARIANT: only sources that wait are remembered, so the map is bounded by the places.
            if *of_source == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}
