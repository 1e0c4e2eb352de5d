//! What the sweep has to do: whom a change touches, and which flows were let in by a verdict that has turned since.
//!
//! Left here by whoever takes changes in or gives verdicts, none of whom waits; what comes while the sweep is at work is
//! taken together.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::kernel::Tuple;
use crate::world::Touched;

#[cfg(test)]
mod tests;

/// What the sweep has to do.
#[derive(Debug)]
pub(super) struct Work {
    keep_established: bool,
    due: Mutex<Due>,
    ready: Condvar,
}

#[derive(Debug)]
pub(super) struct Due {
    pub(super) touched: Touched,
    pub(super) cuts: HashSet<Tuple>,
    wake: bool,
}

impl Due {
    fn nothing() -> Self {
        Self {
            touched: Touched::Nothing,
            cuts: HashSet::new(),
            wake: false,
        }
    }

    fn is_something(&self) -> bool {
        self.wake || self.touched != Touched::Nothing || !self.cuts.is_empty()
    }
}

impl Work {
    /// Nothing yet. With `keep_established` nothing is ever cut; what was refused is let in again all the same.
    pub(super) fn new(keep_established: bool) -> Self {
        Self {
            keep_established,
            due: Mutex::new(Due::nothing()),
            ready: Condvar::new(),
        }
    }

    pub(super) fn keeps_established(&self) -> bool {
        self.keep_established
    }

    /// Those touched are to be judged again.
    pub(super) fn touch(&self, touched: &Touched) {
        self.due().touched.add(touched);
        self.ready.notify_one();
    }

    /// This flow was let in by a verdict that has turned since.
    pub(super) fn cut(&self, tuple: Tuple) {
        if self.keep_established {
            return;
        }
        self.due().cuts.insert(tuple);
        self.ready.notify_one();
    }

    /// Wakes the thread, so that it sees that it is to stop.
    pub(super) fn wake(&self) {
        self.due().wake = true;
        self.ready.notify_one();
    }

    /// Waits for something to do, at most until `then`.
    pub(super) fn wait(&self, then: Option<Instant>) -> Due {
        let mut due = self.due();
        while !due.is_something() {
            let left = then.map(|then| then.saturating_duration_since(Instant::now()));
            due = match left {
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    let waited = self.ready.wait_timeout(due, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.ready.wait(due).unwrap_or_else(PoisonError::into_inner),
            };
        }
        std::mem::replace(&mut due, Due::nothing())
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
