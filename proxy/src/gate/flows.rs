//! The flows that were let in, for their lines in the log. No verdict depends on what is here.
//!
//! No socket, and no clock but for the moment in which an unknown flow is met. Bounded; a flow beyond the bound is carried all the same, only not followed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use crate::account::Gauged;
use crate::kernel::Tuple;
use crate::ruling::Ruling;

#[cfg(test)]
mod tests;

/// What is remembered of a flow.
#[derive(Debug)]
pub(super) struct Story {
    /// When its first packet was read, by the clock on the wall.
    pub(super) time: SystemTime,
    /// The same, to measure from.
    pub(super) at: Instant,
    /// How long it was held.
    pub(super) held: Duration,
    /// What it was let in by.
    pub(super) ruling: Ruling,
    /// Counts it as live.
    pub(super) _live: Option<Gauged>,
}

impl Story {
    /// Of a flow that podwall has not seen begin, and meets now.
    pub(super) fn met_now(ruling: Ruling, live: Option<Gauged>) -> Self {
        Self {
            time: SystemTime::now(),
            at: Instant::now(),
            held: Duration::ZERO,
            ruling,
            _live: live,
        }
    }
}

/// The flows. One per process.
#[derive(Debug)]
pub(super) struct Flows {
    most: usize,
    known: Mutex<HashMap<Tuple, Story>>,
    emptied: Notify,
}

impl Flows {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
            emptied: Notify::new(),
        }
    }

    /// Remembers a flow; gives the story back where there is no room. One that is known keeps its story: another packet
    /// of it was let in.
    #[must_use]
    pub(super) fn remember(&self, tuple: Tuple, story: Story) -> Option<Story> {
        let mut known = self.known();
        if known.contains_key(&tuple) {
            return None;
        }
        if known.len() >= self.most {
            return Some(story);
        }
        known.insert(tuple, story);
        None
    }

    /// Whether the flow is followed.
    pub(super) fn knows(&self, tuple: &Tuple) -> bool {
        self.known().contains_key(tuple)
    }

    /// Takes the story of a flow out, if there is one. Whoever gets it writes its line.
    pub(super) fn take(&self, tuple: &Tuple) -> Option<Story> {
        self.take_if(tuple, |_| true)
    }

    fn take_if(&self, tuple: &Tuple, is_meant: impl Fn(&Story) -> bool) -> Option<Story> {
        let mut known = self.known();
        if !known.get(tuple).is_some_and(is_meant) {
            return None;
        }
        let story = known.remove(tuple);
        if known.is_empty() {
            if known.capacity() > FEW {
                known.shrink_to(FEW);
            }
            self.emptied.notify_waiters();
        }
        story
    }

    /// The same for a story that began before `then`.
    pub(super) fn take_older(&self, tuple: &Tuple, then: Instant) -> Option<Story> {
        self.take_if(tuple, |story| story.at < then)
    }

    /// Takes out every story that began before `then` and of which `is_over` says so.
    pub(super) fn take_where(
        &self,
        then: Instant,
        is_over: impl Fn(&Tuple) -> bool,
    ) -> Vec<(Tuple, Story)> {
        let mut known = self.known();
        let over = known.extract_if(|tuple, story| story.at < then && is_over(tuple));
        let taken = over.collect();
        if known.is_empty() {
            self.emptied.notify_waiters();
        }
        taken
    }

    /// Takes out every story.
    pub(super) fn take_all(&self) -> Vec<(Tuple, Story)> {
        let taken = self.known().drain().collect();
        self.emptied.notify_waiters();
        taken
    }

    pub(super) fn len(&self) -> usize {
        self.known().len()
    }

    /// Resolves when no flow is known.
    pub(super) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Tuple, Story>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many places are kept when the table is empty: a pod with few flows asks for no memory again and again.
const FEW: usize = 1024;
