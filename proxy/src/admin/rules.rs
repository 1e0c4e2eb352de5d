//! Proof of mode queue's rules: they are read back, with the privilege that this mode has.
//!
//! Who reads them is given by whoever assembles: the crate that knows the rules is not this one. A reading runs
//! programs, so it is done from time to time on a thread that may block, and a probe gets the last one.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::account::Account;

#[cfg(test)]
mod tests;

/// How long a good reading counts.
pub const WHILE_GOOD: Duration = Duration::from_secs(10);

/// How soon after a bad one the rules are read again: who mends them waits for it.
pub const WHILE_BAD: Duration = Duration::from_secs(1);

/// A reading that is older proves nothing any more: reading hangs or fails.
const STALE: Duration = Duration::from_secs(60);

/// What a reading found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reading {
    /// What is not as it should be; none where all is well.
    pub faults: Vec<String>,
    /// Packets dropped so far because they forged a source of this pod or loopback (`spoofed_self`); `None` where it
    /// cannot be read.
    pub spoofed: Option<u64>,
}

/// Reads the rules back. Blocks.
pub type ReadRules = dyn Fn() -> Reading + Send + Sync;

/// The rules as last read.
pub struct Rules {
    read: Box<ReadRules>,
    last: Mutex<Last>,
}

/// A reading, and when it was done.
#[derive(Clone, Debug)]
struct Last {
    reading: Reading,
    at: Instant,
}

impl Rules {
    /// Rules that `read` reads. Not read yet, and so not good.
    #[must_use]
    pub fn new(read: Box<ReadRules>) -> Arc<Self> {
        let unread = Reading {
            faults: vec!["the rules have not been read back yet".to_owned()],
            spoofed: None,
        };
        Arc::new(Self {
            read,
            last: Mutex::new(Last {
                reading: unread,
                at: Instant::now(),
            }),
        })
    }

    /// The faults of the last reading as it counts at `now`.
    #[must_use]
    pub fn faults(&self, now: Instant) -> Vec<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = last.reading.faults.clone();
        let age = now.saturating_duration_since(last.at);
        if age >= STALE {
            faults.push(format!(
                "the rules were last read back {} s ago; reading them hangs or fails",
                age.as_secs()
            ));
        }
        faults
    }

    /// Reads them, and tells what has changed. Blocks the thread.
    fn look(&self, account: &Account) -> Reading {
        let reading = (self.read)();
        if let Some(spoofed) = reading.spoofed {
            account.spoofed(spoofed);
        }
        let this = Last {
            reading: reading.clone(),
            at: Instant::now(),
        };
        let last = std::mem::replace(
            &mut *self.last.lock().unwrap_or_else(PoisonError::into_inner),
            this,
        );
        match &reading.faults[..] {
            faults if faults == last.reading.faults => {}
            [] => tracing::info!("the rules are as wanted"),
            faults => faults
                .iter()
                .for_each(|fault| tracing::warn!("not ready: {fault}")),
        }
        reading
    }
}

/// Reads the rules back again and again.
pub async fn watch(rules: Arc<Rules>, account: Arc<Account>) -> Infallible {
    loop {
        let (these, of) = (Arc::clone(&rules), Arc::clone(&account));
        let reading = tokio::task::spawn_blocking(move || these.look(&of)).await;
        let is_good = reading.is_ok_and(|reading| reading.faults.is_empty());
        tokio::time::sleep(if is_good { WHILE_GOOD } else { WHILE_BAD }).await;
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Rules")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
