//! The open connections, by the address they came from, so that a change can find them.
//!
//! May enter: addresses and flows. Deliberately absent: sockets, and the cut itself. A connection
//! is only woken here; it judges again and ends itself, so nobody else is disturbed and a
//! verdict that has turned back meanwhile costs nothing.
//!
//! INVARIANT (P29): a connection is entered *before* it is judged. A change after the judgement then
//! either finds the entry and leaves its signal there, or was seen by the judgement.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use dashmap::DashMap;
use podwall_policy::flow::Flow;
use tokio::sync::Notify;

use crate::world::{Touched, World};

#[cfg(test)]
mod tests;

/// The open connections. One per process.
#[derive(Debug)]
pub struct Live {
    max_connections: usize,
    keep_established: bool,
    open: AtomicUsize,
    stopped: AtomicBool,
    emptied: Notify,
    by_source: DashMap<IpAddr, Vec<Arc<Entry>>>,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Judge again: the verdict may have turned.
    JudgeAgain,
    /// End now.
    Stop,
}

const JUDGE_AGAIN: u8 = 1;
const STOP: u8 = 2;

/// One connection that has been entered.
#[derive(Debug)]
struct Entry {
    source: IpAddr,
    flow: Flow,
    /// Where it stands in its source's list; changed only under that list's lock.
    index: AtomicUsize,
    signal: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

/// One connection's share of the capacity, from its acceptance to its end; given back when dropped.
#[derive(Debug)]
#[must_use = "dropped at once, it counts nothing"]
pub struct Seat {
    live: Arc<Live>,
    entry: Option<Arc<Entry>>,
}

impl Live {
    /// Room for `max_connections` at a time. With `keep_established` no connection is ever judged
    /// again: what was let in stays.
    #[must_use]
    pub fn new(max_connections: usize, keep_established: bool) -> Arc<Self> {
        Arc::new(Self {
            max_connections,
            keep_established,
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            emptied: Notify::new(),
            by_source: DashMap::new(),
        })
    }

    /// Takes a seat for a new connection; `None` where all are taken.
    pub fn enter(self: &Arc<Self>) -> Option<Seat> {
        let room = |open| (open < self.max_connections).then_some(open + 1);
        self.open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, room)
            .ok()?;
        Some(Seat {
            live: Arc::clone(self),
            entry: None,
        })
    }

    /// How many connections have a seat: held, connecting or relayed.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Wakes the connections among those `touched` whose verdict is no longer "allow", and returns
    /// how many. Work: one judgement per open connection from a touched address.
    ///
    /// Call it after the change is in `world`, and not from two tasks at a time.
    pub fn rejudge(&self, world: &World, touched: &Touched) -> usize {
        self.rejudge_by(touched, |source, flow| {
            world.judge(source, flow).decision.is_allow()
        })
    }

    fn rejudge_by(&self, touched: &Touched, admits: impl Fn(IpAddr, &Flow) -> bool) -> usize {
        if self.keep_established {
            return 0;
        }
        let wake = |entries: &Vec<Arc<Entry>>| {
            let turned = entries.iter().filter(|one| !admits(one.source, &one.flow));
            turned.map(|one| one.tell(JUDGE_AGAIN)).count()
        };
        match touched {
            Touched::Nothing => 0,
            Touched::Everything => self.by_source.iter().map(|entries| wake(&entries)).sum(),
            Touched::Addresses(addresses) => addresses
                .iter()
                .filter_map(|address| self.by_source.get(address))
                .map(|entries| wake(&entries))
                .sum(),
        }
    }

    /// Tells every connection to end, those that come later too.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for entries in &self.by_source {
            entries.iter().for_each(|entry| entry.tell(STOP));
        }
    }

    /// Resolves when no connection has a seat.
    pub async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.open() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Entry {
    fn tell(&self, signal: u8) {
        self.signal.fetch_or(signal, Ordering::SeqCst);
        let waker = self
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The signal that is there. "Stop" stays, "judge again" is taken: the judgement that follows
    /// sees everything that was known when it was given.
    fn take_signal(&self) -> Option<Signal> {
        match self.signal.fetch_and(!JUDGE_AGAIN, Ordering::SeqCst) {
            0 => None,
            signal if signal & STOP != 0 => Some(Signal::Stop),
            _ => Some(Signal::JudgeAgain),
        }
    }
}

impl Seat {
    /// Enters the connection from `source`, so that changes find it. Judge it after this, not before.
    pub fn register(&mut self, source: IpAddr, flow: Flow) {
        self.leave();
        let mut entries = self.live.by_source.entry(source).or_default();
        let entry = Arc::new(Entry {
            source,
            flow,
            index: AtomicUsize::new(entries.len()),
            signal: AtomicU8::new(0),
            waker: Mutex::new(None),
        });
        entries.push(Arc::clone(&entry));
        drop(entries);
        if self.live.stopped.load(Ordering::SeqCst) {
            entry.tell(STOP);
        }
        self.entry = Some(entry);
    }

    /// What the connection was entered with; `None` where it was not.
    #[must_use]
    pub fn flow(&self) -> Option<&Flow> {
        self.entry.as_ref().map(|entry| &entry.flow)
    }

    /// The next signal. Only the task that polled last is woken.
    pub fn poll_signal(&self, cx: &mut Context<'_>) -> Poll<Signal> {
        let Some(entry) = &self.entry else {
            return Poll::Pending;
        };
        if let Some(signal) = entry.take_signal() {
            return Poll::Ready(signal);
        }
        let mut waker = entry.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(waker);
        // A signal that came before the waker was there woke nobody.
        entry.take_signal().map_or(Poll::Pending, Poll::Ready)
    }

    /// The next signal.
    pub async fn signal(&self) -> Signal {
        std::future::poll_fn(|cx| self.poll_signal(cx)).await
    }

    fn leave(&mut self) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let Some(mut entries) = self.live.by_source.get_mut(&entry.source) else {
            return;
        };
        let index = entry.index.load(Ordering::Relaxed);
        entries.swap_remove(index);
        if let Some(moved) = entries.get(index) {
            moved.index.store(index, Ordering::Relaxed);
        }
        let none_left = entries.is_empty();
        drop(entries);
        if none_left {
            self.live
                .by_source
                .remove_if(&entry.source, |_, entries| entries.is_empty());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
        if self.live.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.live.emptied.notify_waiters();
        }
    }
}
