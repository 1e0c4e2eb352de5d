//! UDP in mode redirect: the story of every flow, told by one task.
//!
//! A datagram comes -> its flow is known, or entered -> judged, perhaps held -> a socket of its own towards
//! the application -> carried both ways, judged again when something changes -> farewell.
//!
//! What UDP has instead of a connection is a session: it lives for as long as somebody speaks, and what was
//! denied is remembered for a while, so that whoever sends for ever is told of now and then and not for each
//! datagram. Here the rooms meet, as in [`connection`]: the [listeners](crate::intercept::datagram), the
//! [table](crate::answer::session), the application's [legs](crate::answer::leg), the
//! [clerk](crate::clerk) and the account.
//!
//! One task, one buffer, no queue: what the kernel has not room for is lost, as UDP may be. The rules hand
//! nothing over that was sent to a group or to everybody; if it comes all the same, that address is none of this
//! pod's, so it is refused.
//!
//! Start at [`Keeper::keep`]; `inward` is a datagram's way in, `outward` the answer's way back.
//!
//! [`connection`]: crate::connection

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep};

use crate::answer::session::{Limits, SessionTable};
use crate::connection::{Doorkeeper, DrainPhase};
use crate::intercept::datagram::{DatagramDoor, DatagramDoorError, LARGEST};
use desk::Desk;
use readiness::{Readiness, Ready};

mod desk;
mod idle;
mod inward;
mod outward;
mod readiness;
mod recheck;
mod rejudging;
mod session;

pub use idle::{IDLE_MARGIN, IdleTimes};
pub use recheck::Recheck;
pub use session::{HELD_BYTES, HELD_DATAGRAMS};

/// How long a session may be silent while podwall stops.
///
/// 5 s: as long as a resolver waits before it asks again; who is silent for longer has nothing under way,
/// and a pod that ends need not wait for it.
pub const DRAIN_IDLE: Duration = Duration::from_secs(5);

/// Why UDP is not carried, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum DatagramError {
    /// A listener.
    #[error(transparent)]
    Door(#[from] DatagramDoorError),
    /// The kernel's list of sockets that can be read from.
    #[error("cannot wait for datagrams: {0}")]
    Readiness(#[from] io::Error),
}

/// What may be set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most sessions let in at a time; each takes one descriptor.
    pub sessions: usize,
    /// How long they may be silent.
    pub idle: IdleTimes,
    /// Leave sessions alone that were let in, whatever changes.
    pub keep_established: bool,
}

/// Keeps the listeners of UDP.
pub struct Keeper {
    desk: Desk,
    recheck: Arc<Recheck>,
}

impl Keeper {
    /// A keeper of `doors` who knows what `doorkeeper` knows, and is told by `recheck` whom a change has
    /// touched. Must be called inside a runtime.
    ///
    /// # Errors
    /// Where the kernel does not let it wait for the listeners.
    pub fn new(
        doorkeeper: Arc<Doorkeeper>,
        doors: Vec<DatagramDoor>,
        recheck: Arc<Recheck>,
        settings: Settings,
    ) -> io::Result<Self> {
        let readiness = Readiness::new()?;
        for (number, door) in doors.iter().enumerate() {
            readiness.watch(door, Ready::Door(number))?;
        }
        let limits = Limits {
            one_way_idle: settings.idle.one_way,
            stream_idle: settings.idle.stream,
            ..Limits::usual(settings.sessions, doorkeeper.hold_time())
        };
        let desk = Desk {
            changes: doorkeeper.clerk().world().changes(),
            doorkeeper,
            doors,
            readiness,
            table: SessionTable::new(limits),
            keep_established: settings.keep_established,
            draining: false,
        };
        Ok(Self { desk, recheck })
    }

    /// Carries datagrams until `phase` says otherwise, and returns when no session is left.
    ///
    /// A `phase` whose sender is gone counts as [`DrainPhase::Over`].
    ///
    /// # Errors
    /// Where a listener is lost.
    pub async fn keep(self, mut phase: watch::Receiver<DrainPhase>) -> Result<(), DatagramError> {
        let Self { mut desk, recheck } = self;
        let mut changes = desk.changes.clone();
        let (mut buffer, mut ready) = (vec![0; LARGEST], Vec::new());
        let mut alarm = pin!(sleep(Duration::ZERO));
        let mut seen = DrainPhase::Serving;
        while !desk.is_done() {
            let is_armed = arm(alarm.as_mut(), desk.table.next_expiry());
            tokio::select! {
                biased;
                next = later(&mut phase, seen) => {
                    seen = next;
                    match next {
                        DrainPhase::Serving => {}
                        DrainPhase::Draining => desk.drain(),
                        DrainPhase::Over => desk.stop(),
                    }
                }
                touched = recheck.next() => desk.on_touched(&touched),
                Ok(()) = changes.changed() => desk.on_change(),
                () = alarm.as_mut(), if is_armed => desk.on_time(Instant::now()),
                told = desk.readiness.next(&mut ready) => {
                    told?;
                    for one in ready.drain(..) {
                        desk.on_ready(one, &mut buffer)?;
                    }
                    // Whoever sends without end must not keep others of this thread from their turn.
                    yield_now().await;
                }
            }
        }
        Ok(())
    }
}

/// Sets the alarm to `due`, if anything is, unless it goes off earlier anyway: that costs a look, and setting
/// it costs more. Says whether anything is due.
fn arm(alarm: Pin<&mut Sleep>, due: Option<Instant>) -> bool {
    let Some(due) = due.map(tokio::time::Instant::from_std) else {
        return false;
    };
    if alarm.is_elapsed() || alarm.deadline() > due {
        alarm.reset(due);
    }
    true
}

/// The phase after `seen`.
async fn later(phase: &mut watch::Receiver<DrainPhase>, seen: DrainPhase) -> DrainPhase {
    let next = phase.wait_for(|phase| *phase > seen).await;
    next.map_or(DrainPhase::Over, |phase| *phase)
}
