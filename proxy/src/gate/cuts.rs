//! The flows that are being cut, each until it was seen to be gone twice (P39).
//!
//! Pure: `now` is the caller's. A flow that was let in a moment ago may not be in the kernel's tables yet, and a socket
//! may be made of a handshake that was under way; so one look is not enough.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::kernel::Tuple;

#[cfg(test)]
mod tests;

/// The time between the first two looks; it doubles. A packet that is in the kernel's hands takes microseconds.
const FIRST_WAIT: Duration = Duration::from_millis(5);

/// The longest time between two looks.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// So late a second look no longer waits for first ones.
const LATE: Duration = Duration::from_millis(500);

/// How many of those have their turn among one batch of first ones.
const FEW: usize = 64;

/// How many looks in a row must find no socket.
const QUIET_LOOKS: u8 = 2;

/// After this a flow that is not gone is said to be so.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// The flows that are being cut.
#[derive(Debug, Default)]
pub(super) struct Cuts(HashMap<Tuple, Cut>);

#[derive(Debug)]
struct Cut {
    since: Instant,
    next: Instant,
    wait: Duration,
    looked: bool,
    quiet: u8,
    announced: bool,
    complained: bool,
}

impl Cuts {
    /// This flow is to be cut; at once, and again if it is being cut already.
    pub(super) fn add(&mut self, tuple: Tuple, now: Instant) {
        let cut = self.0.entry(tuple).or_insert(Cut {
            since: now,
            next: now,
            wait: FIRST_WAIT,
            looked: false,
            quiet: 0,
            announced: false,
            complained: false,
        });
        cut.next = now;
        cut.quiet = 0;
    }

    /// The flows whose next look is due.
    pub(super) fn take_due(&self, now: Instant) -> Vec<Tuple> {
        let due = self.0.iter().filter(|(_, cut)| cut.next <= now);
        due.map(|(tuple, _)| *tuple).collect()
    }

    /// Those that nobody has looked at yet, and a few of those whose next look has been due for long.
    pub(super) fn take_pressing(&self, now: Instant) -> Vec<Tuple> {
        let new = self.0.iter().filter(|(_, cut)| !cut.looked);
        let is_late = |cut: &Cut| cut.looked && cut.next + LATE <= now;
        let late = self.0.iter().filter(|(_, cut)| is_late(cut));
        let pressing = new.chain(late.take(FEW));
        pressing.map(|(tuple, _)| *tuple).collect()
    }

    /// When to look again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().map(|cut| cut.next).min()
    }

    /// Whether the cut of this flow is still to be written down; from now on it is not.
    pub(super) fn announce(&mut self, tuple: &Tuple) -> bool {
        let cut = self.0.get_mut(tuple);
        cut.is_some_and(|cut| !std::mem::replace(&mut cut.announced, true))
    }

    /// What a look found: `is_quiet` where its entry is refused or gone and no socket was there. Gives how long it has
    /// been going on, once, where that is too long.
    pub(super) fn report(
        &mut self,
        tuple: &Tuple,
        is_quiet: bool,
        now: Instant,
    ) -> Option<Duration> {
        let cut = self.0.get_mut(tuple)?;
        let is_first = !std::mem::replace(&mut cut.looked, true);
        cut.quiet = if is_quiet { cut.quiet + 1 } else { 0 };
        if cut.quiet >= QUIET_LOOKS {
            self.0.remove(tuple);
            return None;
        }
        cut.next = now + cut.wait;
        cut.wait = (cut.wait * 2).min(LONGEST_WAIT);
        let since = now.saturating_duration_since(cut.since);
        let late = !is_first && !is_quiet && since >= PATIENCE && !cut.complained;
        cut.complained |= late;
        late.then_some(since)
    }

    /// There is nothing to cut any more. Says whether its cut was written down.
    pub(super) fn done(&mut self, tuple: &Tuple) -> bool {
        self.0.remove(tuple).is_some_and(|cut| cut.announced)
    }
}
