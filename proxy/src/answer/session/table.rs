//! The table itself: slots, and the orders in which they age.
//!
//! A session is in one order of age (the first is due first) and, once it is settled, in one order of its
//! source (the first is the least recently used). Deliberately absent: any walk over all of them, but
//! where the caller asks for all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::chain::{Chain, Order};
use super::entry::{Age, Entry, Slot};
use super::{DENIAL_MEMORY, Due, FlowKey, Limits, STREAM_AFTER, Seen, SessionId, Standing};

/// The flows that are known. `S` is what the caller keeps of each.
///
/// Holds at most [`Limits`] of those that are settled; those that wait are the caller's to bound.
#[derive(Debug)]
pub struct SessionTable<S> {
    limits: Limits,
    slots: Vec<Slot<S>>,
    free: Vec<u32>,
    known: HashMap<FlowKey, u32>,
    ages: Chain,
    orders: [Order; 4],
    by_source: Chain,
    sources: HashMap<(IpAddr, Standing), Order>,
}

impl<S> SessionTable<S> {
    /// A table in which nothing is known.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            known: HashMap::new(),
            ages: Chain::default(),
            orders: [Order::default(); 4],
            by_source: Chain::default(),
            sources: HashMap::new(),
        }
    }

    /// Takes in a datagram of `flow`; `generation` is what is known now. A flow not seen before is entered
    /// as waiting, with the value that `first` makes.
    pub fn on_datagram(
        &mut self,
        flow: FlowKey,
        generation: u64,
        now: Instant,
        first: impl FnOnce() -> S,
    ) -> (SessionId, Seen) {
        let Some(&at) = self.known.get(&flow) else {
            return (self.enter(flow, generation, now, first()), Seen::First);
        };
        let (standing, stamp) = match &mut self.slots[at as usize].entry {
            Some(entry) => {
                entry.heard = now;
                (entry.standing, entry.generation)
            }
            // INVARIANT: `known` holds occupied slots only.
            None => (Standing::Waiting, generation),
        };
        if standing == Standing::Admitted {
            self.touch(at, now);
        }
        let seen = if stamp == generation {
            Seen::Known(standing)
        } else {
            Seen::JudgeAgain(standing)
        };
        (self.id(at), seen)
    }

    /// Takes in that the application has spoken.
    pub fn on_reply(&mut self, id: SessionId, now: Instant) {
        if self.standing(id) == Some(Standing::Admitted) {
            self.touch(id.slot, now);
            if let Some(entry) = &mut self.slots[id.slot as usize].entry {
                entry.answered = true;
            }
        }
    }

    /// Lets it in by what was known at `generation`. Gives what had to go to make room: the least recently
    /// used of the same source, or of all.
    pub fn admit(&mut self, id: SessionId, generation: u64, now: Instant) -> Option<(FlowKey, S)> {
        self.settle(id, Standing::Admitted, generation, now)
    }

    /// Denies it by what was known at `generation`. What is forgotten to make room was denied too, and is
    /// dropped.
    pub fn deny(&mut self, id: SessionId, generation: u64, now: Instant) {
        let _forgotten = self.settle(id, Standing::Denied, generation, now);
    }

    /// Notes that what was decided of it holds by what is known at `generation`.
    pub fn stamp(&mut self, id: SessionId, generation: u64) {
        if let Some(entry) = self.entry_mut(id) {
            entry.generation = generation;
        }
    }

    /// Forgets it and gives back its value.
    pub fn forget(&mut self, id: SessionId) -> Option<S> {
        self.entry(id)?;
        self.take(id.slot).map(|entry| entry.value)
    }

    /// When [`expire`](Self::expire) has work again.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        let first = |age| self.due_at(age).map(|(_, at)| at);
        [Age::Waiting, Age::OneWay, Age::Stream, Age::Denied]
            .into_iter()
            .filter_map(first)
            .min()
    }

    /// One thing that is due at `now`; call it until there is none. Denials are forgotten on the way.
    pub fn expire(&mut self, now: Instant) -> Option<Due<S>> {
        while let Some(at) = self.due(Age::Denied, now) {
            self.take(at);
        }
        if let Some(at) = self.due(Age::Waiting, now) {
            self.set_age(at, None);
            return Some(Due::Undecided(self.id(at)));
        }
        let at = [Age::OneWay, Age::Stream]
            .into_iter()
            .find_map(|age| self.due(age, now))?;
        self.take(at)
            .map(|entry| Due::Idle(entry.flow, entry.value))
    }

    /// From now on no session outlives `idle` of silence.
    pub fn shorten_idle(&mut self, idle: Duration) {
        let limits = &mut self.limits;
        limits.one_way_idle = limits.one_way_idle.min(idle);
        limits.stream_idle = limits.stream_idle.min(idle);
    }

    /// Where it stands; `None` where it is known no more.
    #[must_use]
    pub fn standing(&self, id: SessionId) -> Option<Standing> {
        self.entry(id).map(|entry| entry.standing)
    }

    /// Its flow and what is kept of it.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<(FlowKey, &S)> {
        self.entry(id).map(|entry| (entry.flow, &entry.value))
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: SessionId) -> Option<(FlowKey, &mut S)> {
        self.entry_mut(id)
            .map(|entry| (entry.flow, &mut entry.value))
    }

    /// How many stand so.
    #[must_use]
    pub fn count(&self, standing: Standing) -> usize {
        let len = |age: Age| self.orders[age as usize].len();
        match standing {
            Standing::Waiting => self.known.len() - self.settled(),
            Standing::Admitted => len(Age::OneWay) + len(Age::Stream),
            Standing::Denied => len(Age::Denied),
        }
    }

    /// Those that were let in and come from `source`.
    pub fn admitted_from(&self, source: IpAddr) -> impl Iterator<Item = SessionId> {
        let order = self.sources.get(&(source, Standing::Admitted));
        let walk = order.map(|order| self.by_source.walk(order));
        walk.into_iter().flatten().map(|at| self.id(at))
    }

    /// Those that stand so, in no particular order.
    pub fn all(&self, standing: Standing) -> impl Iterator<Item = SessionId> {
        let slots = (0_u32..).zip(&self.slots);
        slots.filter_map(move |(at, slot)| {
            let entry = slot.entry.as_ref()?;
            (entry.standing == standing).then_some(SessionId {
                slot: at,
                turn: slot.turn,
            })
        })
    }

    fn settled(&self) -> usize {
        [Age::OneWay, Age::Stream, Age::Denied]
            .map(|age| self.orders[age as usize].len())
            .iter()
            .sum()
    }

    fn enter(&mut self, flow: FlowKey, generation: u64, now: Instant, value: S) -> SessionId {
        let entry = Entry {
            flow,
            standing: Standing::Waiting,
            age: None,
            answered: false,
            generation,
            began: now,
            heard: now,
            used: now,
            value,
        };
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                turn: 0,
                entry: None,
            });
            // INVARIANT: as many slots as sessions were ever known at a time, far below 2^32.
            (self.slots.len() - 1) as u32
        });
        self.slots[at as usize].entry = Some(entry);
        self.known.insert(flow, at);
        self.set_age(at, Some(Age::Waiting));
        self.id(at)
    }

    fn settle(
        &mut self,
        id: SessionId,
        standing: Standing,
        generation: u64,
        now: Instant,
    ) -> Option<(FlowKey, S)> {
        let source = self.entry(id)?.flow.client.ip();
        let at = id.slot;
        self.leave_source(at);
        self.set_age(at, None);
        let evicted = self.make_room(source, standing);
        if let Some(entry) = &mut self.slots[at as usize].entry {
            let has_waited = entry.standing == Standing::Waiting;
            // The kernel's time has run since the last datagram, not since we made up our mind (P30).
            entry.used = match standing {
                Standing::Admitted if has_waited => entry.heard,
                _ => now,
            };
            entry.standing = standing;
            entry.generation = generation;
            entry.answered = false;
            entry.began = now;
        }
        let order = self.sources.entry((source, standing)).or_default();
        self.by_source.push(order, at);
        self.set_age(
            at,
            Some(match standing {
                Standing::Waiting => Age::Waiting,
                Standing::Admitted => Age::OneWay,
                Standing::Denied => Age::Denied,
            }),
        );
        evicted
    }

    /// Forgets one where there is no place for one more.
    fn make_room(&mut self, source: IpAddr, standing: Standing) -> Option<(FlowKey, S)> {
        let limits = self.limits;
        let (all, per_source) = match standing {
            Standing::Waiting => return None,
            Standing::Admitted => (limits.sessions, limits.sessions_per_source),
            Standing::Denied => (limits.denials, limits.denials_per_source),
        };
        let of_source = self.sources.get(&(source, standing));
        let victim = match of_source {
            Some(order) if order.len() >= per_source => order.first(),
            _ if self.count(standing) >= all => self.oldest(standing),
            _ => None,
        };
        let entry = self.take(victim?)?;
        Some((entry.flow, entry.value))
    }

    fn oldest(&self, standing: Standing) -> Option<u32> {
        let ages: &[Age] = match standing {
            Standing::Waiting => &[Age::Waiting],
            Standing::Admitted => &[Age::OneWay, Age::Stream],
            Standing::Denied => &[Age::Denied],
        };
        let firsts = ages
            .iter()
            .filter_map(|age| self.orders[*age as usize].first());
        firsts.min_by_key(|at| self.used(*at))
    }

    /// It was used now: to the end of its orders. The kernel's rule decides which order of age (P30).
    fn touch(&mut self, at: u32, now: Instant) {
        let Some(entry) = &mut self.slots[at as usize].entry else {
            return;
        };
        entry.used = now;
        let is_stream = entry.answered && now.duration_since(entry.began) > STREAM_AFTER;
        let source = (entry.flow.client.ip(), entry.standing);
        self.set_age(at, Some(if is_stream { Age::Stream } else { Age::OneWay }));
        if let Some(order) = self.sources.get_mut(&source) {
            self.by_source.remove(order, at);
            self.by_source.push(order, at);
        }
    }

    /// Takes it out of everything.
    fn take(&mut self, at: u32) -> Option<Entry<S>> {
        self.leave_source(at);
        self.set_age(at, None);
        let slot = &mut self.slots[at as usize];
        let entry = slot.entry.take()?;
        slot.turn = slot.turn.wrapping_add(1);
        self.known.remove(&entry.flow);
        self.free.push(at);
        Some(entry)
    }

    fn leave_source(&mut self, at: u32) {
        let Some(entry) = &self.slots[at as usize].entry else {
            return;
        };
        let source = (entry.flow.client.ip(), entry.standing);
        if entry.standing == Standing::Waiting {
            return;
        }
        if let Some(order) = self.sources.get_mut(&source) {
            self.by_source.remove(order, at);
            if order.len() == 0 {
                self.sources.remove(&source);
            }
        }
    }

    fn set_age(&mut self, at: u32, age: Option<Age>) {
        let Some(entry) = &mut self.slots[at as usize].entry else {
            return;
        };
        let (before, used) = (std::mem::replace(&mut entry.age, age), entry.used);
        if let Some(before) = before {
            self.ages.remove(&mut self.orders[before as usize], at);
        }
        if let Some(age) = age {
            let slots = &self.slots;
            // None is, but where one that has waited is let in: those that were used since its last datagram.
            let later = |other: u32| {
                let other = slots[other as usize].entry.as_ref();
                other.is_some_and(|other| other.used > used)
            };
            self.ages
                .push_before(&mut self.orders[age as usize], at, later);
        }
    }

    fn due(&self, age: Age, now: Instant) -> Option<u32> {
        let (first, due) = self.due_at(age)?;
        (due <= now).then_some(first)
    }

    fn due_at(&self, age: Age) -> Option<(u32, Instant)> {
        let first = self.orders[age as usize].first()?;
        let time = match age {
            Age::Waiting => self.limits.wait,
            Age::OneWay => self.limits.one_way_idle,
            Age::Stream => self.limits.stream_idle,
            Age::Denied => DENIAL_MEMORY,
        };
        Some((first, self.used(first)? + time))
    }

    fn used(&self, at: u32) -> Option<Instant> {
        let entry = self.slots[at as usize].entry.as_ref();
        entry.map(|entry| entry.used)
    }

    fn id(&self, at: u32) -> SessionId {
        SessionId {
            slot: at,
            turn: self.slots[at as usize].turn,
        }
    }

    fn entry(&self, id: SessionId) -> Option<&Entry<S>> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.entry.as_ref().filter(|_| slot.turn == id.turn)
    }

    fn entry_mut(&mut self, id: SessionId) -> Option<&mut Entry<S>> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.entry.as_mut().filter(|_| slot.turn == id.turn)
    }
}
