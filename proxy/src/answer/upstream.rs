//! The application's leg: a connection to the address and port that the client asked for.
//!
//! The source address is left to the kernel, on purpose. For a destination that is one of the
//! machine's own addresses it takes that address, never loopback, and it picks the port when it
//! knows both ends, so that only connections to one and the same application port compete for the
//! ephemeral range (P15). That is what binding with `IP_BIND_ADDRESS_NO_PORT` would give, for two
//! calls less.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpSocket, TcpStream};

use crate::arrival::OriginalDst;
use crate::sys;

/// Why there is no connection to the application.
#[derive(Debug, thiserror::Error)]
pub enum NotConnected {
    /// The application does not listen on this port and family, or does not answer.
    #[error("the application refused {0}; is it listening on this port and family?")]
    Refused(OriginalDst, #[source] io::Error),
    /// Every local port towards this destination is taken.
    #[error("no local port is left towards {0}; too many connections to it are open or ending")]
    NoLocalPort(OriginalDst),
    /// The process or the machine is out of descriptors or memory.
    #[error("no descriptor is left for a connection to {0}; raise the limit of open files")]
    Exhausted(OriginalDst, #[source] io::Error),
}

/// Connects to `destination`, which the caller has checked to be an address of this pod (P33).
///
/// Waits as long as the kernel does, at most `dead_peer`; drop the future to give up earlier.
///
/// # Errors
/// See [`NotConnected`].
pub async fn connect(
    destination: OriginalDst,
    dead_peer: Duration,
) -> Result<TcpStream, NotConnected> {
    attempt(destination, dead_peer).await.map_err(|error| {
        if Errno::from_io_error(&error) == Some(Errno::ADDRNOTAVAIL) {
            NotConnected::NoLocalPort(destination)
        } else if sys::is_exhaustion(&error) {
            NotConnected::Exhausted(destination, error)
        } else {
            NotConnected::Refused(destination, error)
        }
    })
}

async fn attempt(destination: OriginalDst, dead_peer: Duration) -> io::Result<TcpStream> {
    let address = destination.socket();
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    sys::prepare_leg(&socket, dead_peer)?;
    let stream = socket.connect(address).await?;
    // Both ends are this machine: where nobody listens, a socket whose ephemeral port happens to be
    // the wanted one connects to itself and would echo the client.
    if stream.local_addr()? == address {
        sys::reset_on_close(&stream);
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(stream)
}
