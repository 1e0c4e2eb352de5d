//! The story of one arrival, told in order.
//!
//! accepted -> what it is meant for -> a seat -> entered -> judged, perhaps held -> the
//! application's leg -> relayed, judged again when something changes -> farewell.
//!
//! Until the application's leg stands nothing is read from the client. Whatever ends early is reset;
//! whatever ends is written down, the canary's visits apart. Here the rooms meet: [`intercept`],
//! [`world`], [`answer`] and [`account`] do not know each other.
//!
//! Start at [`serve`]; `opening` is the first half, `carrying` the second.
//!
//! [`intercept`]: crate::intercept
//! [`world`]: crate::world
//! [`answer`]: crate::answer
//! [`account`]: crate::account

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::account::Account;
use crate::answer::caller::Caller;
use crate::clerk::Clerk;
use crate::hold::{HOLD_TIME, Hold};
use crate::intercept::destination::{Destinations, OwnPorts};
use crate::live::{Live, Seat};
use crate::world::World;
use carrying::Carrying;
use opening::Waiting;
use story::Story;

mod carrying;
mod door;
mod opening;
mod story;
#[cfg(test)]
mod tests;

pub use door::{DrainPhase, keep_door};

/// How long sent bytes may stay unacknowledged before the other end counts as dead (P14).
///
/// It also bounds how long a receiver may refuse to take bytes that wait for it, so it is minutes
/// and not seconds; the kernel's own bound is about 15 minutes.
pub const DEAD_PEER: Duration = Duration::from_secs(300);

/// What may be set of a connection's story.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The ports that mean podwall itself.
    pub ports: OwnPorts,
    /// What the canary is told, so that readiness knows that it met this very process (P40).
    pub nonce: Arc<[u8]>,
    /// How long one side may stay silent after the other has closed (P13).
    pub half_close_timeout: Duration,
    /// See [`DEAD_PEER`].
    pub dead_peer: Duration,
    /// See [`HOLD_TIME`].
    pub hold_time: Duration,
}

impl Settings {
    /// The defaults, for these ports and this nonce.
    #[must_use]
    pub fn new(ports: OwnPorts, nonce: Arc<[u8]>, half_close_timeout: Duration) -> Self {
        Self {
            ports,
            nonce,
            half_close_timeout,
            dead_peer: DEAD_PEER,
            hold_time: HOLD_TIME,
        }
    }
}

/// What all connections share.
#[derive(Debug)]
pub struct Doorkeeper {
    clerk: Clerk,
    live: Arc<Live>,
    hold: Arc<Hold>,
    destinations: Arc<dyn Destinations>,
    settings: Settings,
}

impl Doorkeeper {
    /// A door-keeper who knows `world`, writes to `account` and enters connections in `live`.
    #[must_use]
    pub fn new(
        world: Arc<World>,
        account: Arc<Account>,
        live: Arc<Live>,
        destinations: Arc<dyn Destinations>,
        settings: Settings,
    ) -> Self {
        Self {
            clerk: Clerk::new(world, account),
            live,
            hold: Arc::default(),
            destinations,
            settings,
        }
    }

    pub(crate) fn clerk(&self) -> &Clerk {
        &self.clerk
    }

    pub(crate) fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }

    pub(crate) fn hold_time(&self) -> Duration {
        self.settings.hold_time
    }

    pub(crate) fn is_from_within(&self, source: IpAddr) -> bool {
        self.destinations.is_from_within(source)
    }

    pub(crate) fn is_this_pod(&self, address: IpAddr) -> bool {
        self.destinations.is_this_pod(address)
    }
}

/// One connection, from its acceptance to its end. Dropped early, it is reset.
#[must_use = "a connection that is not polled is reset"]
pub struct Connection(Stage);

#[allow(
    clippy::large_enum_variant,
    reason = "an open connection is in a large one"
)]
enum Stage {
    /// Accepted, nothing asked yet.
    Arrived(Arrived),
    /// On the way in, waiting for something.
    Waiting(Waiting),
    /// Let in, and the application's leg stands.
    Carrying(Carrying),
    /// Over and written down.
    Over,
}

struct Arrived {
    story: Story,
    caller: Caller,
    peer: SocketAddr,
    seat: Option<Seat>,
}

/// Serves one accepted connection. `peer` is the client as the socket spells it.
///
/// The seat is taken now, not at the first poll, so that [`Live::emptied`] waits for it.
pub fn serve(doorkeeper: Arc<Doorkeeper>, stream: TcpStream, peer: SocketAddr) -> Connection {
    let seat = doorkeeper.live.enter();
    let story = Story::new(doorkeeper, peer);
    Connection(Stage::Arrived(Arrived {
        story,
        caller: Caller::new(stream),
        peer,
        seat,
    }))
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = match &mut self.0 {
                Stage::Carrying(carrying) => return carrying.poll(cx),
                Stage::Waiting(waiting) => match ready!(waiting.as_mut().poll(cx)) {
                    Some(carrying) => Stage::Carrying(carrying),
                    None => Stage::Over,
                },
                Stage::Over => return Poll::Ready(()),
                Stage::Arrived(_) => match std::mem::replace(&mut self.0, Stage::Over) {
                    Stage::Arrived(arrived) => opening::open(arrived),
                    other => other,
                },
            };
            self.0 = next;
        }
    }
}
