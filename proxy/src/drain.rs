//! How podwall stops: no new arrivals, time for the open connections, then resets.
//!
//! May enter: the door-keeper's future, the open connections, time-outs. Deliberately absent: why it
//! stops, and signals; the caller knows.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::connection::DrainPhase;
use crate::live::Live;

#[cfg(test)]
mod tests;

/// How long connections that were told to end may take for it. They have nothing to wait for; this
/// only keeps a fault of ours from outliving the pod.
pub const LAST_WAIT: Duration = Duration::from_secs(2);

/// How stopping went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// Connections that were open when stopping began.
    pub open: usize,
    /// Those of them that were reset at the deadline.
    pub reset: usize,
    /// Those that go on without podwall, in the kernel's hands: mode queue.
    pub left: usize,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Drained {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            open,
            reset,
            left,
            took,
        } = self;
        let took = took.as_secs_f64();
        write!(
            out,
            "{open} connections were open, {reset} were reset, {left} go on without podwall; it took {took:.1} s"
        )
    }
}

/// Stops accepting, waits for `door` at most `patience`, then has it reset what is left.
///
/// `door` is the future of [`keep_door`](crate::connection::keep_door), or one that ends with it; it
/// may be done already.
pub async fn drain<D: Future>(
    mut door: Pin<&mut D>,
    live: &Live,
    phase: &watch::Sender<DrainPhase>,
    patience: Duration,
) -> Drained {
    let began = Instant::now();
    let open = live.open();
    phase.send_replace(DrainPhase::Draining);
    let mut reset = 0;
    if timeout(patience, door.as_mut()).await.is_err() {
        reset = live.open();
        phase.send_replace(DrainPhase::Over);
        if timeout(LAST_WAIT, door).await.is_err() {
            tracing::error!("{} connections did not end when told to", live.open());
        }
    }
    Drained {
        open,
        reset,
        left: 0,
        took: began.elapsed(),
    }
}
