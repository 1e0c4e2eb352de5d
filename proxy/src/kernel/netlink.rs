//! One conversation with the kernel: a request, and its answers up to the one that ends them.
//!
//! Deliberately absent: what is asked. Only the kernel is listened to; answers to an earlier request are passed over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, sendto,
    socket_with,
};

use super::wire::{Broken, DONE, ERROR, INTERRUPTED, Message, Request, messages};

/// How long the kernel may keep silent in the middle of an answer.
///
/// It works on a request before `send` returns and on a dump inside `recv`, so an answer is there when we look; this
/// is for a kernel that breaks that rule, and below the second within which a changed verdict must reach a flow.
pub const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// Room for one datagram. The kernel's dumps fill at most 32 KiB.
pub(super) const DATAGRAM: usize = 64 << 10;

/// The kernel's own address.
const KERNEL: SocketAddrNetlink = SocketAddrNetlink::new(0, 0);

/// Whether what was listed changed while it was listed, so that something may be missing.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Listing {
    Whole,
    Interrupted,
}

/// A socket for requests.
#[derive(Debug)]
pub(super) struct Netlink {
    protocol: Protocol,
    socket: OwnedFd,
    sequence: u32,
    /// An answer was not read to its end.
    spoiled: bool,
    buffer: Vec<u8>,
}

/// An open netlink socket.
pub(super) fn socket(protocol: Protocol) -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(protocol),
    )?;
    Ok(socket)
}

/// The next datagram of the kernel.
///
/// # Errors
/// `WouldBlock` where none is there (in time), [`Broken`] where it does not fit, `ENOBUFS` where some were lost.
pub(super) fn receive(socket: impl AsFd, buffer: &mut [u8], flags: RecvFlags) -> io::Result<&[u8]> {
    loop {
        let (length, from) = retry_on_intr(|| {
            let (_, length, from) = recvfrom(&socket, &mut *buffer, flags | RecvFlags::TRUNC)?;
            Ok((length, from))
        })?;
        let from_kernel = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
        if from_kernel.is_some_and(|from| from.pid() == KERNEL.pid()) {
            return buffer.get(..length).ok_or_else(|| broken(Broken));
        }
    }
}

impl Netlink {
    /// Opens it in the network namespace of this thread.
    pub(super) fn open(protocol: Protocol) -> io::Result<Self> {
        Ok(Self {
            protocol,
            socket: request_socket(protocol)?,
            sequence: 0,
            spoiled: false,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// Sends a request, which must ask for a dump or an acknowledgement, and hears the answers.
    ///
    /// After an error `each` may have heard a part of them.
    pub(super) fn ask(
        &mut self,
        request: Request,
        each: &mut dyn FnMut(&Message<'_>),
    ) -> io::Result<Listing> {
        if self.spoiled {
            // The rest of a dump would be in the way: the kernel refuses to begin another on this socket.
            self.socket = request_socket(self.protocol)?;
        }
        self.spoiled = true;
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = request.numbered(self.sequence);
        retry_on_intr(|| sendto(&self.socket, &bytes, SendFlags::empty(), &KERNEL))?;
        let answer = self.answers(each)?;
        self.spoiled = false;
        answer
    }

    /// Outer errors leave unread answers behind, inner ones are the kernel's last word.
    fn answers(&mut self, each: &mut dyn FnMut(&Message<'_>)) -> io::Result<io::Result<Listing>> {
        let mut listing = Listing::Whole;
        loop {
            let bytes = receive(&self.socket, &mut self.buffer, RecvFlags::empty())?;
            for message in messages(bytes) {
                let message = message.map_err(broken)?;
                if message.sequence != self.sequence {
                    continue;
                }
                if message.flags & INTERRUPTED != 0 {
                    listing = Listing::Interrupted;
                }
                match message.kind {
                    ERROR | DONE => {
                        let status = message.status().ok_or_else(|| broken(Broken))?;
                        return Ok(match status {
                            0.. => Ok(listing),
                            error => Err(io::Error::from_raw_os_error(error.wrapping_neg())),
                        });
                    }
                    _ => each(&message),
                }
            }
        }
    }
}

fn request_socket(protocol: Protocol) -> io::Result<OwnedFd> {
    let socket = socket(protocol)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWERS_WITHIN))?;
    Ok(socket)
}

fn broken(why: Broken) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// `None` where the kernel says that what was asked for is not there.
pub(super) fn unless_missing<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
