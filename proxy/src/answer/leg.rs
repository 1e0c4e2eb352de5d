//! The application's leg of a UDP session: a socket of its own, connected to the address and port that the
//! client asked for.
//!
//! Its source is that very address, so never loopback unless that was asked for (P15, P33). Nothing here
//! waits.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::arrival::OriginalDst;
use crate::sys;

#[cfg(test)]
mod tests;

/// Why there is no leg.
#[derive(Debug, thiserror::Error)]
pub enum NoLeg {
    /// Every local port is taken.
    #[error("no local UDP port is left towards {0}")]
    NoLocalPort(OriginalDst),
    /// The process or the machine is out of descriptors or memory.
    #[error("no descriptor is left for a session to {0}; raise the limit of open files")]
    Exhausted(OriginalDst, #[source] io::Error),
    /// The kernel has no way there.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(OriginalDst, #[source] io::Error),
}

/// What came of an attempt to pass a datagram on, or to take one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passed {
    /// So many bytes went.
    Bytes(usize),
    /// Not now: nothing is there, or there is no room. A datagram that had to go is lost.
    NotNow,
    /// The application's side has answered an earlier datagram with an error: nobody listens.
    Unreachable,
    /// The kernel does not do it, whatever room there is.
    Failed,
}

/// The application's leg.
#[derive(Debug)]
pub struct Leg(UdpSocket);

impl Leg {
    /// A leg to `to`, which the caller has checked to be an address of this pod (P33).
    ///
    /// # Errors
    /// See [`NoLeg`].
    pub fn open(to: OriginalDst) -> Result<Self, NoLeg> {
        let opened = || -> io::Result<Self> {
            let first = connected(to.socket())?;
            if first.local_addr()? != to.socket() {
                return Ok(Self(first));
            }
            // Nobody listens there and the kernel gave this very port: the socket would hear itself. While
            // it is held, another one gets another port.
            connected(to.socket()).map(Self)
        };
        opened().map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::ADDRNOTAVAIL | Errno::AGAIN | Errno::ADDRINUSE) => NoLeg::NoLocalPort(to),
            _ if sys::is_exhaustion(&error) => NoLeg::Exhausted(to, error),
            _ => NoLeg::Unreachable(to, error),
        })
    }

    /// Passes a datagram on. Where an error of an earlier one was waiting, that is told and this one goes
    /// out all the same.
    pub fn send(&self, bytes: &[u8], mut unreachable: impl FnMut()) -> Passed {
        let mut passed = outcome(self.0.send(bytes));
        if passed == Passed::Unreachable {
            unreachable();
            passed = outcome(self.0.send(bytes));
        }
        passed
    }

    /// Takes a datagram of the application.
    pub fn receive(&self, buffer: &mut [u8]) -> Passed {
        outcome(self.0.recv(buffer))
    }
}

impl AsFd for Leg {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn connected(to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM.nonblocking(), None)?;
    let mut source = to;
    source.set_port(0);
    socket.bind(&source.into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

fn outcome(result: io::Result<usize>) -> Passed {
    match result {
        Ok(count) => Passed::Bytes(count),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => {
                Passed::Unreachable
            }
            _ if is_want_of_room(&error) => Passed::NotNow,
            _ => Passed::Failed,
        },
    }
}

/// Whether the kernel has no room for a datagram now, so that a later one may go.
pub fn is_want_of_room(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM))
}
