//! The relay: two sockets, two directions, and how they end together.
//!
//! An end of stream is passed on as such and the other direction goes on (P13). A reset of either
//! leg resets the other. A relay that is dropped before it ended in order resets both.
//!
//! Limit: while a direction waits for its receiver, a reset by its sender is noticed only when the
//! receiver takes something, or after [`dead_peer`](crate::sys::prepare_leg).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::direction::{Broken, Direction};
use crate::farewell::End;
use crate::sys;

#[cfg(test)]
mod tests;

/// Two sockets and what is between them.
#[derive(Debug)]
pub struct Relay {
    client: TcpStream,
    app: TcpStream,
    inward: Direction,
    outward: Direction,
    silence: Option<Box<Silence>>,
    in_order: bool,
}

/// Watches a half-closed relay for a time without bytes.
#[derive(Debug)]
struct Silence {
    timer: Pin<Box<Sleep>>,
    carried: u64,
}

/// Payload bytes so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Carried {
    /// From the client to the application.
    pub inward: u64,
    /// From the application to the client.
    pub outward: u64,
}

impl Relay {
    /// A relay between `client` and `app`.
    #[must_use]
    pub fn new(client: TcpStream, app: TcpStream) -> Self {
        Self {
            client,
            app,
            inward: Direction::default(),
            outward: Direction::default(),
            silence: None,
            in_order: false,
        }
    }

    /// Payload bytes so far.
    #[must_use]
    pub fn carried(&self) -> Carried {
        Carried {
            inward: self.inward.carried(),
            outward: self.outward.carried(),
        }
    }

    /// Whether exactly one side has closed.
    #[must_use]
    pub fn is_half_closed(&self) -> bool {
        self.inward.is_finished() != self.outward.is_finished()
    }

    /// Carries what there is; ready with the way the relay ended. Drop it then: the last end of
    /// stream is told by closing.
    ///
    /// Once one side has closed, silence of the other for `patience` ends it; a timer that finds
    /// bytes have moved starts again, so the silence was between once and twice as long.
    pub fn poll(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<End> {
        let Self {
            client,
            app,
            inward,
            outward,
            ..
        } = self;
        // The application's last words go out before a failure towards it is noticed.
        if let Poll::Ready(Err(broken)) = outward.poll(cx, app, client, inward.is_finished()) {
            return Poll::Ready(match broken {
                Broken::Sender => End::AppGone,
                Broken::Receiver => End::ClientGone,
            });
        }
        if let Poll::Ready(Err(broken)) = inward.poll(cx, client, app, outward.is_finished()) {
            return Poll::Ready(match broken {
                Broken::Sender => End::ClientGone,
                Broken::Receiver => End::AppGone,
            });
        }
        if self.inward.is_finished() && self.outward.is_finished() {
            self.in_order = true;
            return Poll::Ready(End::Closed);
        }
        if self.is_half_closed() {
            return self.poll_silence(cx, patience);
        }
        Poll::Pending
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<End> {
        let carried = self.inward.carried() + self.outward.carried();
        let silence = self.silence.get_or_insert_with(|| {
            Box::new(Silence {
                timer: Box::pin(sleep(patience)),
                carried,
            })
        });
        while silence.timer.as_mut().poll(cx).is_ready() {
            if silence.carried == carried {
                return Poll::Ready(End::HalfCloseTimeout);
            }
            silence.carried = carried;
            silence.timer.as_mut().reset(Instant::now() + patience);
        }
        Poll::Pending
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if !self.in_order {
            sys::reset_on_close(&self.client);
            sys::reset_on_close(&self.app);
        }
    }
}
