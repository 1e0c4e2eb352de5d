//! The one place that waits. A condition and a deadline enter; nothing sleeps for a fixed time elsewhere.

#[cfg(test)]
mod tests;

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often a condition is asked.
const POLL: Duration = Duration::from_millis(2);

/// Asks `condition` every 2 ms until it holds or `deadline` has passed; says whether it held.
///
/// The condition is asked at least once, also with a zero deadline.
#[must_use]
pub fn wait_until(deadline: Duration, condition: impl FnMut() -> bool) -> bool {
    wait_every(POLL, deadline, condition)
}

/// As [`wait_until`], for conditions that cost something to ask.
pub(crate) fn wait_every(
    pause: Duration,
    deadline: Duration,
    mut condition: impl FnMut() -> bool,
) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(pause);
    }
}
