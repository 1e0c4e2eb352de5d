//! The two modes of the rules, each with what only it needs.
//!
//! May enter: plain numbers. Deliberately absent: what both modes share ([`Wanted`](crate::Wanted)).

use std::fmt;
use std::str::FromStr;

use crate::error::RedirectError;
use crate::udp::UdpPort;

/// The bit of the packet's mark and of the connection's mark that says: admitted.
///
/// One bit far from the low ones that people and meshes count up from, and none of those that
/// kube-proxy (`0x4000`, `0x8000`) and common network plug-ins use. No rule touches another bit.
pub const ADMITTED: u32 = 0x0100_0000;

/// The bit of the connection's mark, never of a packet's, that says: admitted once, refused now.
///
/// It outweighs [`ADMITTED`]: a connection with both is refused.
pub const REFUSED: u32 = 0x0200_0000;

/// The bit of a packet's mark that says "let in, and not remembered": it belongs to a connection that the pod opened
/// itself, whose entry the kernel has lost (S6). Never in a connection's mark, so that such a flow is not taken for one
/// that came in.
pub const OWN: u32 = 0x0400_0000;

/// The most queues: each is a thread of the sidecar and a buffer of the kernel.
pub const MAX_QUEUES: u16 = 64;

/// How arrivals reach podwall.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Through table `nat`, to the relay.
    Redirect(Redirect),
    /// Through table `mangle`, to a queue of the kernel, before a handshake.
    Queue(Queue),
}

impl Mode {
    /// The word that `--mode` takes.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Redirect(_) => "redirect",
            Self::Queue(_) => "queue",
        }
    }
}

impl From<Redirect> for Mode {
    fn from(redirect: Redirect) -> Self {
        Self::Redirect(redirect)
    }
}

impl From<Queue> for Mode {
    fn from(queue: Queue) -> Self {
        Self::Queue(queue)
    }
}

/// What mode `redirect` needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// The TCP port on which the relay listens.
    pub(crate) listen_port: u16,
    /// The loopback port through which readiness proves the rules; no application may use it.
    pub(crate) canary_port: u16,
    /// The TCP ports on which the node goes past the relay; sorted, each once. Empty: it goes past on
    /// every port and protocol. Else all other TCP of the node is redirected, and its UDP and SCTP
    /// are treated like anybody's.
    pub(crate) node_ports: Vec<u16>,
    /// UDP ports whose datagrams go to a listener of the relay, each to its own.
    pub(crate) udp_ports: Vec<UdpPort>,
}

impl Redirect {
    /// All TCP to the relay, no UDP, and the node past it everywhere.
    ///
    /// # Errors
    /// A port is 0, or both are the same.
    pub fn new(listen_port: u16, canary_port: u16) -> Result<Self, RedirectError> {
        for (name, port) in [("listen", listen_port), ("canary", canary_port)] {
            if port == 0 {
                return Err(RedirectError::ZeroPort { name });
            }
        }
        if listen_port == canary_port {
            return Err(RedirectError::SamePort { port: listen_port });
        }
        Ok(Self {
            listen_port,
            canary_port,
            node_ports: Vec::new(),
            udp_ports: Vec::new(),
        })
    }

    /// The same with the node let past on these TCP ports only (S65); on all where none is given.
    ///
    /// # Errors
    /// A port is 0.
    pub fn with_node_ports(
        mut self,
        ports: impl IntoIterator<Item = u16>,
    ) -> Result<Self, RedirectError> {
        self.node_ports = ports.into_iter().collect();
        self.node_ports.sort_unstable();
        self.node_ports.dedup();
        match self.node_ports.first() {
            Some(0) => Err(RedirectError::ZeroPort { name: "node" }),
            _ => Ok(self),
        }
    }

    /// The same with these UDP ports redirected, each to a listener of its own: see [`UdpPort::assign`].
    ///
    /// # Errors
    /// The ports cannot get listeners.
    pub fn with_udp_ports(
        mut self,
        ports: impl IntoIterator<Item = u16>,
        first_listener: u16,
    ) -> Result<Self, RedirectError> {
        self.udp_ports = UdpPort::assign(ports, first_listener, &[])?;
        Ok(self)
    }
}

/// What mode `queue` needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queue {
    /// Where arrivals wait for their verdict.
    pub queues: Queues,
    /// What a datagram gets that is not admitted.
    pub udp_deny: UdpDeny,
}

/// `count` queues of the kernel from number `first` on; connections are spread over them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queues {
    first: u16,
    count: u16,
}

/// Queues that cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "write FIRST:COUNT, such as 15871:2: COUNT queues (1 to {MAX_QUEUES}) from number FIRST on, none past 65535"
)]
pub struct QueuesFault;

impl Queues {
    /// One queue alone.
    #[must_use]
    pub const fn one(number: u16) -> Self {
        Self {
            first: number,
            count: 1,
        }
    }

    /// `count` queues from `first` on.
    ///
    /// # Errors
    /// None, more than [`MAX_QUEUES`], or one past 65535.
    pub const fn new(first: u16, count: u16) -> Result<Self, QueuesFault> {
        if count == 0 || count > MAX_QUEUES || u16::MAX - first < count - 1 {
            return Err(QueuesFault);
        }
        Ok(Self { first, count })
    }

    /// The number of the first.
    #[must_use]
    pub const fn first(self) -> u16 {
        self.first
    }

    /// How many there are; at least one.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.count
    }

    /// The number of the last.
    pub(crate) const fn last(self) -> u16 {
        self.first + (self.count - 1)
    }
}

impl FromStr for Queues {
    type Err = QueuesFault;

    fn from_str(text: &str) -> Result<Self, QueuesFault> {
        let (first, count) = text.split_once(':').ok_or(QueuesFault)?;
        let number = |text: &str| text.parse().map_err(|_| QueuesFault);
        Self::new(number(first)?, number(count)?)
    }
}

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.first, self.count)
    }
}

/// What a UDP client gets that is not admitted. (A TCP client is reset, an SCTP one gets nothing.)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UdpDeny {
    /// Nothing.
    Drop,
    /// ICMP port unreachable, as if nobody listened.
    Unreachable,
}

impl UdpDeny {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::Drop, Self::Unreachable];

    /// The word that `--udp-deny` takes.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Unreachable => "unreachable",
        }
    }
}

#[cfg(test)]
mod tests;
