//! News of flows that end, as the kernel tells them.
//!
//! A filter inside the kernel lets through what ends only, so that busy pods do not pay for the news of each
//! connection's beginning; the same is asked again here, as a kernel may have no such filter.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::bind;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt;

use super::conntrack::{DELETE, NEW};
use super::entry::Entry;
use super::netlink::{DATAGRAM, receive, socket};
use super::wire::messages;

mod filter;

/// Multicast groups, as bits: `NFNLGRP_CONNTRACK_UPDATE` and `NFNLGRP_CONNTRACK_DESTROY`.
const GROUPS: u32 = 1 << (2 - 1) | 1 << (3 - 1);

/// Room for news that nobody has read yet. The kernel doubles it and counts 1.3 KiB for each (measured), so this is
/// some thirteen thousand ends while the reader is away, and no memory while it is not.
const BUFFER: usize = 8 << 20;

/// How many datagrams one call reads, so that a flood of ends leaves its caller time for something else.
const MOST_AT_ONCE: usize = 1024;

/// A piece of news.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The flow is over.
    ///
    /// TCP that ends in order, or by a reset, is told when both ends have said goodbye, with
    /// [`ended`](Entry::ended) and without counters, which [`get`](super::Conntrack::get) has then; not again when its
    /// entry goes, up to minutes later. Others are told when their entry goes.
    Ended(Entry),
    /// Some news are lost: what has ended can only be learnt by a dump now.
    Lost,
}

/// A subscription.
///
/// Entries that are there already when it is opened end unheard where `nf_conntrack_events` is 2, the kernel's default:
/// an entry is equipped for news only while somebody listens (measured). What became of those a dump says.
#[derive(Debug)]
pub struct Events {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Events {
    /// Subscribes in the network namespace of this thread.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_ADMIN.
    pub fn open() -> io::Result<Self> {
        Self::with_buffer(BUFFER)
    }

    /// As [`open`](Self::open), with room for `bytes` of unread news.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_buffer(bytes: usize) -> io::Result<Self> {
        let socket = socket(NETFILTER)?;
        if sockopt::set_socket_recv_buffer_size_force(&socket, bytes).is_err() {
            // Without the capability the host's limit holds; overruns are told as `Lost`.
            sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
        }
        if let Err(error) = filter::attach(&socket) {
            tracing::debug!(%error, "no filter for conntrack's news inside the kernel");
        }
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self {
            socket,
            buffer: vec![0; DATAGRAM],
        })
    }

    /// To be polled for reading; level-triggered.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Tells `each` the news that are there, at most a thousand or so, and does not wait.
    ///
    /// # Errors
    /// The kernel's. Lost news are none of them.
    pub fn read(&mut self, each: &mut dyn FnMut(Event)) -> io::Result<()> {
        for _ in 0..MOST_AT_ONCE {
            match receive(&self.socket, &mut self.buffer, RecvFlags::DONTWAIT) {
                Ok(bytes) => tell(bytes, each),
                Err(error) => match (Errno::from_io_error(&error), error.kind()) {
                    (Some(Errno::NOBUFS), _) => each(Event::Lost),
                    (_, io::ErrorKind::WouldBlock) => return Ok(()),
                    (_, io::ErrorKind::InvalidData) => each(Event::Lost),
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}

fn tell(bytes: &[u8], each: &mut dyn FnMut(Event)) {
    for message in messages(bytes) {
        let Ok(message) = message else {
            return each(Event::Lost);
        };
        let Some(entry) = Entry::read(&message) else {
            continue;
        };
        // TCP that has ended was told when it did; its tuple may have a successor by the time its entry goes.
        let was_told = entry.ended && entry.replied;
        if (message.kind == DELETE && !was_told) || (message.kind == NEW && entry.ended) {
            each(Event::Ended(entry));
        }
    }
}

#[cfg(test)]
mod tests;
