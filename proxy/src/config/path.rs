//! Where arrivals come, beyond the relay's port: the queues of mode queue, the UDP ports of mode redirect.

use super::FIRST_QUEUE;

/// The queues of mode queue: `count` of them from `first` on, a thread each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queues {
    /// The number of the first one.
    pub first: u16,
    /// How many; from 1 to [`MAX_QUEUES`](super::MAX_QUEUES), and none beyond 65535.
    pub count: u16,
}

impl Default for Queues {
    /// One: a verdict takes microseconds, and a sidecar is a guest on its node.
    fn default() -> Self {
        Self {
            first: FIRST_QUEUE,
            count: 1,
        }
    }
}

/// A UDP port of the application, and the port of the listener that its datagrams are redirected to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpPort {
    /// The application's port.
    pub port: u16,
    /// podwall's own.
    pub listen: u16,
}
