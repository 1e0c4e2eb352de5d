//! Why the gate cannot be opened, or not be kept.

use std::io;

use crate::intercept::queue::QueueError;

/// Why the gate cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A queue cannot be had.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Connection tracking or the socket tables cannot be asked.
    #[error(
        "the kernel cannot be asked for {what} of this network namespace: {source}; mode queue needs NET_ADMIN and a \
         kernel with conntrack and TCP sockets over netlink (nf_conntrack_netlink, tcp_diag); load them on the node, or \
         choose --mode redirect"
    )]
    Kernel {
        /// What was asked.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread or a descriptor cannot be had.
    #[error("cannot start the threads of mode queue: {0}")]
    Thread(#[source] io::Error),
    /// A thread ended by itself. Whatever its queue held is dropped by the kernel.
    #[error(
        "the thread {0} of mode queue ended; what is new is dropped until podwall is started again"
    )]
    Lost(String),
}
