//! The accept loop, and how it ends: stop accepting, let connections finish, reset what is left.

use std::sync::Arc;

use tokio::sync::watch;

use super::story::Story;
use super::{Doorkeeper, serve};
use crate::answer::caller::Caller;
use crate::answer::relay::Carried;
use crate::farewell::End;
use crate::intercept::redirect::{Door, DoorError, Turn};
use crate::ruling::Refusal;

/// Where podwall stands on its way out. It only goes forward.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DrainPhase {
    /// Arrivals are accepted.
    Serving,
    /// No arrival is accepted; open connections may finish.
    Draining,
    /// Open connections are reset.
    Over,
}

/// At most so many arrivals that wait in the kernel's queue are refused by name when the door closes;
/// the kernel resets the others. One full queue.
const LEFTOVERS: usize = 4096;

/// Keeps the door until `phase` says otherwise, and returns when no connection is left.
///
/// A `phase` whose sender is gone counts as [`DrainPhase::Over`].
///
/// # Errors
/// Where the listener is lost. Open connections go on meanwhile.
pub async fn keep_door(
    doorkeeper: Arc<Doorkeeper>,
    mut door: Door,
    mut phase: watch::Receiver<DrainPhase>,
) -> Result<(), DoorError> {
    accept(&doorkeeper, &mut door, &mut phase).await?;
    turn_away(&doorkeeper, &mut door).await;
    drop(door);
    let live = Arc::clone(&doorkeeper.live);
    tokio::select! {
        () = live.emptied() => {}
        () = reached(&mut phase, DrainPhase::Over) => {
            live.stop();
            live.emptied().await;
        }
    }
    Ok(())
}

async fn accept(
    doorkeeper: &Arc<Doorkeeper>,
    door: &mut Door,
    phase: &mut watch::Receiver<DrainPhase>,
) -> Result<(), DoorError> {
    let mut draining = std::pin::pin!(reached(phase, DrainPhase::Draining));
    loop {
        tokio::select! {
            biased;
            () = &mut draining => return Ok(()),
            turn = door.next() => match turn? {
                Turn::Came(stream, peer) => {
                    tokio::spawn(serve(Arc::clone(doorkeeper), stream, peer));
                }
                Turn::Failed => doorkeeper.clerk.account().accept_failed(),
            },
        }
    }
}

/// Resolves when `phase` is `wanted` or later, or can never change again.
async fn reached(phase: &mut watch::Receiver<DrainPhase>, wanted: DrainPhase) {
    let _phase_or_gone = phase.wait_for(|phase| *phase >= wanted).await;
}

/// Refuses by name whoever has knocked already.
async fn turn_away(doorkeeper: &Arc<Doorkeeper>, door: &mut Door) {
    for _ in 0..LEFTOVERS {
        let Some((stream, peer)) = door.leftover().await else {
            return;
        };
        let mut story = Story::new(Arc::clone(doorkeeper), peer);
        if let Ok(destination) = doorkeeper.destinations.original(&stream, peer) {
            story.note_destination(destination);
        }
        drop(Caller::new(stream));
        story.farewell(
            Refusal::Draining.into(),
            None,
            Carried::default(),
            End::Denied,
        );
    }
}
