//! What podwall asks of the kernel about flows, and does to them: connection tracking and TCP sockets.
//!
//! May enter: flows as [`Tuple`]s, marks, and netlink sockets of the network namespace that the opening thread is in.
//! Deliberately absent: which flow may live and what a mark means; nothing is judged here. Everything blocks, for at
//! most [`ANSWERS_WITHIN`] where the kernel is silent, so it belongs on a thread of its own. What the kernel answers
//! is read by length, never trusted: a broken answer is an error or a missing entry, not a panic.
//!
//! Changing anything, and asking about conntrack at all, needs CAP_NET_ADMIN in the namespace's user namespace.

mod conntrack;
mod entry;
mod events;
mod netlink;
mod sockets;
mod tuple;
mod wire;

pub use conntrack::Conntrack;
pub use entry::{Count, Counters, Entry};
pub use events::{Event, Events};
pub use netlink::ANSWERS_WITHIN;
pub use sockets::{CanDestroy, Listeners, Sockets, TcpSocket, TcpState};
pub use tuple::Tuple;

/// Whether what was to be changed was there.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// It was, and is changed.
    Yes,
    /// It is not there, or not any more; nothing is changed.
    Gone,
}
