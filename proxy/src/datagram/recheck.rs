//! Whose sessions a change may have turned, from the thread that took it in to the task that has them.
//!
//! Changes that come while the task is busy become one: what is kept is bounded by the addresses of the
//! cluster, not by the number of changes. Deliberately absent: judging.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::world::Touched;

#[cfg(test)]
mod tests;

/// What is to be judged again.
#[derive(Debug)]
pub struct Recheck {
    touched: Mutex<Touched>,
    noted: Notify,
}

impl Recheck {
    /// Nothing is.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            touched: Mutex::new(Touched::Nothing),
            noted: Notify::new(),
        })
    }

    /// Asks for these to be judged again. Call it after the change is in the world (P29).
    pub fn note(&self, touched: &Touched) {
        if *touched == Touched::Nothing {
            return;
        }
        self.touched().add(touched);
        self.noted.notify_one();
    }

    /// Waits until something is, and takes it.
    pub(super) async fn next(&self) -> Touched {
        loop {
            let touched = self.touched().take();
            if touched != Touched::Nothing {
                return touched;
            }
            self.noted.notified().await;
        }
    }

    fn touched(&self) -> MutexGuard<'_, Touched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
