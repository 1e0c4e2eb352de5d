//! The kernel's queue: what is new waits there until podwall has said what becomes of it.
//!
//! May enter: the number of a queue. Deliberately absent: reading the packet (see [`packet`](super::packet)), and every
//! decision. One queue belongs to one thread, which also gives the verdicts: the kernel takes them only from the
//! socket that bound the queue.
//!
//! A packet without a verdict is dropped when the socket closes, so a podwall that dies opens nothing. Never made
//! fail-open: a queue that is full drops.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nfq_updated::{Message, Queue as Netlink, Verdict};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_recv_buffer_size,
};

use crate::arrival::{ADMITTED, OWN, REFUSED};
use crate::sys::privilege;

mod holder;
pub use holder::dropped;
#[cfg(test)]
mod tests;

/// How many packets wait in the kernel for their verdict, those that podwall holds among them.
///
/// Eight times [`HOLD_PLACES`](crate::hold::HOLD_PLACES), so that a full hold keeps no known peer waiting or lost.
pub const QUEUE_LENGTH: u32 = 4096;

/// How much of a packet is handed over: 40 bytes of IPv6 header, what extension headers are usual, and the ports.
const COPY_RANGE: u16 = 128;

/// What a packet takes of the socket's buffer in bytes, with the kernel's own notes on it.
pub const PACKET_COST: usize = 1 << 10;

/// What the socket may hold of packets not yet read: a full queue, twice.
const RECEIVE_BUFFER: usize = 2 * QUEUE_LENGTH as usize * PACKET_COST;

/// Why there is no queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Somebody else has it.
    #[error(
        "queue {number} is held by another process{}; only one podwall proxy can guard a pod: stop the other, or choose \
         other --queues, for podwall redirect too", holder(*.port_id)
    )]
    Taken {
        /// The queue that was asked for.
        number: u16,
        /// Who holds it: the netlink port, usually the process's number in its own namespace.
        port_id: Option<u32>,
    },
    /// The capability is missing, or counts for nothing in this network namespace.
    #[error(
        "queue {number}: the kernel says that this process has no NET_ADMIN in this network namespace; \
         give the container `capabilities: {{add: [NET_ADMIN]}}`, or choose --mode redirect"
    )]
    Privilege {
        /// The queue that was asked for.
        number: u16,
    },
    /// The kernel has no NFQUEUE.
    #[error(
        "queue {number}: this kernel has no NFQUEUE ({source}); load nfnetlink_queue on the node, or choose --mode redirect"
    )]
    Unknown {
        /// The queue that was asked for.
        number: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else.
    #[error("queue {number} cannot be had: {source}")]
    Refused {
        /// The queue that was asked for.
        number: u16,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Asks for the buffer, and says how many packets it holds.
fn make_room(netlink: &Netlink) -> rustix::io::Result<usize> {
    if set_socket_recv_buffer_size_force(netlink, RECEIVE_BUFFER).is_err() {
        // NET_ADMIN of a user namespace: the host's limit holds.
        set_socket_recv_buffer_size(netlink, RECEIVE_BUFFER)?;
    }
    Ok(socket_recv_buffer_size(netlink)? / PACKET_COST)
}

fn holder(port_id: Option<u32>) -> String {
    port_id.map_or_else(String::new, |id| format!(" (netlink port {id})"))
}

/// One queue, bound.
pub struct Queue {
    number: u16,
    room: usize,
    netlink: Netlink,
}

/// A packet that waits for its verdict.
pub struct Ticket(Message);

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// On its way, marked as let in; its flow is remembered as such.
    Admit,
    /// On its way, marked as belonging to a connection of the pod's own; its flow is not remembered.
    AdmitOwn,
    /// On its way without the mark: the rules after the queue refuse it, by a reset or silently.
    Refuse,
}

impl Queue {
    /// Binds queue `number` of this network namespace.
    ///
    /// Bind before the rules that feed it are installed, where that can be chosen: what arrives while it is being set up
    /// is dropped.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub fn bind(number: u16) -> Result<Self, QueueError> {
        let mut netlink = Netlink::open().map_err(|error| explain(number, error))?;
        netlink
            .bind(number)
            .map_err(|error| explain(number, error))?;
        let refused = |source| QueueError::Refused { number, source };
        // After the bind, which resets it.
        netlink
            .set_copy_range(number, COPY_RANGE)
            .map_err(refused)?;
        netlink
            .set_queue_max_len(number, QUEUE_LENGTH)
            .map_err(refused)?;
        fcntl_setfd(&netlink, FdFlags::CLOEXEC).map_err(|error| refused(error.into()))?;
        let room = make_room(&netlink).map_err(|error| refused(error.into()))?;
        netlink.set_nonblocking(true);
        Ok(Self {
            number,
            room,
            netlink,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// How many packets find room that are not read yet; more at once are dropped.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// The next packet, or `None` where none waits. A packet that went away before its verdict is passed over.
    ///
    /// # Errors
    /// Where the socket does not work any more.
    pub fn receive(&mut self) -> io::Result<Option<Ticket>> {
        loop {
            match self.netlink.recv() {
                Ok(message) => return Ok(Some(Ticket(message))),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => return Ok(None),
                    // An answer to a verdict: its packet was gone, with its interface for example.
                    Some(Errno::NOENT | Errno::INTR) => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// Gives a packet its verdict. When this returns the packet has been through the rules that follow.
    ///
    /// # Errors
    /// Where the kernel does not take it; the packet then stays until the queue is closed.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) -> io::Result<()> {
        let Ticket(mut message) = ticket;
        let mark = message.get_nfmark();
        message.set_nfmark(match answer {
            Answer::Admit => mark | ADMITTED,
            Answer::AdmitOwn => mark | OWN,
            Answer::Refuse => mark & !(ADMITTED | OWN),
        });
        message.set_verdict(Verdict::Accept);
        self.netlink.verdict(message)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

impl Ticket {
    /// The packet from its network header on, as much of it as was copied.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        self.0.get_payload()
    }

    /// Whether it meets an entry that is marked refused. The rules refuse it whatever the answer.
    #[must_use]
    pub fn is_of_refused(&self) -> bool {
        self.0.get_nfmark() & REFUSED != 0
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Queue")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// The kernel says "not permitted" both to who lacks the capability and to who comes second.
fn explain(number: u16, source: io::Error) -> QueueError {
    match Errno::from_io_error(&source) {
        Some(Errno::PERM) if !privilege::has_net_admin() => QueueError::Privilege { number },
        Some(Errno::PERM) => match holder::of(number) {
            holder::Held::By(port_id) => QueueError::Taken {
                number,
                port_id: Some(port_id),
            },
            holder::Held::ByNobody => QueueError::Privilege { number },
            holder::Held::Unreadable => QueueError::Taken {
                number,
                port_id: None,
            },
        },
        Some(Errno::BUSY) => QueueError::Taken {
            number,
            port_id: None,
        },
        Some(Errno::INVAL | Errno::PROTONOSUPPORT | Errno::OPNOTSUPP) => {
            QueueError::Unknown { number, source }
        }
        _ => QueueError::Refused { number, source },
    }
}
