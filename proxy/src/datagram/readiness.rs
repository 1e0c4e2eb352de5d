//! Many sockets, one task: which of them have something to be read.
//!
//! The kernel keeps the list, so a socket that is silent costs nothing, and one that is closed is gone from
//! it. Deliberately absent: reading. INVARIANT: whoever is told and does not read all is told again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::answer::session::SessionId;

/// How many sockets are told of at a time.
const AT_A_TIME: usize = 64;

/// What can be read from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ready {
    /// The listener of this number.
    Door(usize),
    /// The errors that answers of that listener met. Reading its datagrams comes after it, which takes what is left.
    Errors(usize),
    /// The application's leg of this session, if that is there still.
    Leg(SessionId),
}

/// The sockets that are watched.
#[derive(Debug)]
pub(super) struct Readiness(AsyncFd<OwnedFd>);

impl Readiness {
    /// Nothing is watched. Must be called inside a runtime.
    #[allow(
        deprecated,
        reason = "sound for a descriptor that is owned, as here; what takes its place is unsafe for all"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self(AsyncFd::with_interest(epoll, Interest::READABLE)?))
    }

    /// Watches a socket until it is closed.
    pub(super) fn watch(&self, socket: impl AsFd, what: Ready) -> io::Result<()> {
        let data = EventData::new_u64(what.number());
        Ok(epoll::add(&self.0, socket, data, EventFlags::IN)?)
    }

    /// Waits until something can be read from and adds that to `ready`. Dropping the future loses nothing.
    pub(super) async fn next(&self, ready: &mut Vec<Ready>) -> io::Result<()> {
        loop {
            let mut guard = self.0.readable().await?;
            match waiting(guard.get_inner(), ready) {
                Ok(0) => guard.clear_ready(),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Adds what can be read from now to `ready`, and says how many.
fn waiting(epoll: &OwnedFd, ready: &mut Vec<Ready>) -> Result<usize, Errno> {
    let mut room = [const { MaybeUninit::uninit() }; AT_A_TIME];
    let (events, _) = epoll::wait(epoll, &mut room, Some(&AT_ONCE))?;
    for event in events.iter() {
        let (flags, what) = (event.flags, Ready::from_number(event.data.u64()));
        if let (Ready::Door(door), true) = (what, flags.contains(EventFlags::ERR)) {
            ready.push(Ready::Errors(door));
        }
        ready.push(what);
    }
    Ok(events.len())
}

const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Below this are the sessions: a session's slot is no such number.
const FIRST_DOOR: u64 = u64::MAX - u16::MAX as u64;

impl Ready {
    fn number(self) -> u64 {
        match self {
            Self::Door(door) | Self::Errors(door) => FIRST_DOOR + door as u64,
            Self::Leg(id) => id.number(),
        }
    }

    fn from_number(number: u64) -> Self {
        match number.checked_sub(FIRST_DOOR) {
            Some(door) => Self::Door(door as usize),
            None => Self::Leg(SessionId::from_number(number)),
        }
    }
}
