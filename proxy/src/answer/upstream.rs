//! The application's leg: a connection to the address and port that the client asked for.
//!
//! The source address is left to the kernel, on purpose. For a destination that is one of the
//! machine's own addresses it takes that address, never loopback, and it picks the port when it
//! knows both ends, so that only connections to one and the same application port compete for the
//! ephemeral range (P15). That is what binding with `IP_BIND_ADDRESS_NO_PORT` would give, for two
//! calls less.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use crate::arrival::OriginalDst;
use crate::sys;

/// Why there is no connection to the application.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// The application does not listen on this port and family, or does not answer.
    #[error("the application refused {0}; is it listening on this port and family?")]
    Refused(OriginalDst, #[source] io::Error),
    /// The application accepted and reset at once.
    #[error("the application at {0} accepted the connection and reset it")]
    Reset(OriginalDst),
    /// Every local port towards this destination is taken.
    #[error("no local port is left towards {0}; too many connections to it are open or ending")]
    NoLocalPort(OriginalDst),
    /// The process or the machine is out of descriptors or memory.
    #[error("no descriptor is left for a connection to {0}; raise the limit of open files")]
    Exhausted(OriginalDst, #[source] io::Error),
}

/// How a connection to the application begins.
#[derive(Debug)]
pub enum Begun {
    /// It stands already.
    Connected(TcpStream),
    /// The application has not accepted yet.
    Pending(Fresh),
}

/// Begins to connect to `destination`, which the caller has checked to be an address of this pod
/// (P33). Must be called inside a runtime.
///
/// # Errors
/// See [`NotConnected`].
pub fn begin(destination: OriginalDst, dead_peer: Duration) -> Result<Begun, NotConnected> {
    let address = destination.socket();
    let begun = || {
        let kind = Type::STREAM.nonblocking();
        let socket = Socket::new(Domain::for_address(address), kind, None)?;
        sys::prepare_leg(&socket, dead_peer)?;
        let over = connect(&socket, address)?;
        let fresh = Fresh {
            destination,
            stream: Some(TcpStream::from_std(socket.into())?),
        };
        Ok(if over {
            Begun::Connected(fresh.into_stream()?)
        } else {
            Begun::Pending(fresh)
        })
    };
    begun().map_err(|error| NotConnected::because(destination, error))
}

/// Says whether the connection stands already.
///
/// On one machine it usually does when the call returns, but that call does not know it yet: a
/// second one does, and saves the way through the runtime's poll.
fn connect(socket: &Socket, address: SocketAddr) -> io::Result<bool> {
    let address = address.into();
    for _ in 0..2 {
        match socket.connect(&address) {
            Ok(()) => return Ok(true),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INPROGRESS | Errno::ALREADY) => {}
                _ => return Err(error),
            },
        }
    }
    Ok(false)
}

impl NotConnected {
    fn because(destination: OriginalDst, error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::ADDRNOTAVAIL) => Self::NoLocalPort(destination),
            Some(Errno::CONNRESET) => Self::Reset(destination),
            _ if sys::is_exhaustion(&error) => Self::Exhausted(destination, error),
            _ => Self::Refused(destination, error),
        }
    }
}

/// A connection to the application that nobody uses yet. Dropped, it is reset, so that an
/// application that has accepted is not left with an empty connection.
#[derive(Debug)]
pub struct Fresh {
    destination: OriginalDst,
    stream: Option<TcpStream>,
}

impl Fresh {
    /// Waits for the application as long as the kernel does, at most `dead_peer`.
    ///
    /// # Errors
    /// See [`NotConnected`].
    pub async fn connected(self) -> Result<TcpStream, NotConnected> {
        let destination = self.destination;
        let connected = async {
            let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            stream.writable().await?;
            stream.take_error()?.map_or(Ok(()), Err)?;
            self.into_stream()
        };
        connected
            .await
            .map_err(|error| NotConnected::because(destination, error))
    }

    fn into_stream(mut self) -> io::Result<TcpStream> {
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        // Both ends are this machine: where nobody listens, a socket whose ephemeral port happens to
        // be the wanted one connects to itself and would echo the client.
        if stream.local_addr()? == self.destination.socket() {
            return Err(Errno::CONNREFUSED.into());
        }
        self.stream
            .take()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            sys::reset_on_close(stream);
        }
    }
}
