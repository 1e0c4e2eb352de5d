//! The relay's listener: every TCP port of the pod is redirected here.
//!
//! One dual-stack socket; where the pod has no IPv6, one for IPv4. Running out of descriptors makes
//! the door wait a little, never spin and never close (P17); arrivals wait in the kernel's queue
//! meanwhile.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};

use crate::sys;

#[cfg(test)]
mod tests;

/// How many finished handshakes may wait to be accepted; the kernel caps it at `net.core.somaxconn`,
/// whose default is this.
const BACKLOG: i32 = 4096;

/// The first wait after a failed accept. It doubles while accepting fails.
const FIRST_WAIT: Duration = Duration::from_millis(5);

/// The longest wait: a descriptor that becomes free is used within this.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// How often, at most, running out is written to the log.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The port cannot be had.
    #[error(
        "cannot listen on TCP port {port}: {source}; choose another --listen-port, for podwall redirect too"
    )]
    Bind {
        /// The port that was asked for.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// The listening socket does not work any more.
    #[error("the relay's listener is lost: {0}")]
    Lost(#[source] io::Error),
}

/// The relay's listener.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    wait: Duration,
    logged: Option<Instant>,
}

/// One turn at the door.
#[derive(Debug)]
pub enum Turn {
    /// Somebody came; the address is theirs, as the socket spells it.
    Came(TcpStream, SocketAddr),
    /// Somebody may have come, but accepting failed; the door has already waited.
    Failed,
}

impl Door {
    /// Listens on `port` of every address; 0 lets the kernel choose. Must be called inside a runtime.
    ///
    /// Accepted sockets inherit what [`sys::prepare_leg`] sets, `dead_peer` included.
    ///
    /// # Errors
    /// Where the port cannot be had.
    pub fn bind(port: u16, dead_peer: Duration) -> Result<Self, DoorError> {
        let listener = sys::listen(port, BACKLOG, |socket| sys::prepare_leg(socket, dead_peer))
            .map_err(|source| DoorError::Bind { port, source })?;
        Ok(Self {
            listener,
            wait: FIRST_WAIT,
            logged: None,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next turn. Dropping the future loses no arrival.
    ///
    /// # Errors
    /// [`DoorError::Lost`] where no later call can succeed.
    pub async fn next(&mut self) -> Result<Turn, DoorError> {
        match self.listener.accept().await {
            Ok((stream, peer)) => {
                self.wait = FIRST_WAIT;
                Ok(Turn::Came(stream, peer))
            }
            Err(error) if sys::is_exhaustion(&error) => {
                self.log_exhaustion(&error, Instant::now());
                let wait = self.wait;
                self.wait = (wait * 2).min(LONGEST_WAIT);
                tokio::time::sleep(wait).await;
                Ok(Turn::Failed)
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK) => Err(DoorError::Lost(error)),
                // The client left before it was accepted, or a firewall rule spoke.
                _ => Ok(Turn::Failed),
            },
        }
    }

    /// One arrival that is in the queue already, or `None`.
    pub async fn leftover(&mut self) -> Option<(TcpStream, SocketAddr)> {
        let now = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match self.listener.poll_accept(cx) {
                std::task::Poll::Ready(Ok(came)) => Some(came),
                _ => None,
            })
        });
        now.await
    }

    fn log_exhaustion(&mut self, error: &io::Error, now: Instant) {
        if self
            .logged
            .is_none_or(|last| now.duration_since(last) >= LOG_EVERY)
        {
            self.logged = Some(now);
            tracing::warn!(
                %error,
                "cannot accept; new connections wait. Raise the limit of open files or lower --max-connections"
            );
        }
    }
}
