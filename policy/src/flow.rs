//! The question: which way, which protocol, which port, which address at the other end.
//!
//! May enter: addresses and numbers. Deliberately absent: who the peer is
//! (see [`peer`](crate::peer)) and how the packet came.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Which side of the connection the subject is on (S2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// The subject is the destination.
    Ingress,
    /// The subject is the source.
    Egress,
}

impl Direction {
    /// Both, in a fixed order.
    pub const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    /// The word used in output: `ingress` or `egress`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// Its place in a pair of things kept per direction.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// A transport protocol that NetworkPolicy knows. Others are undefined by the API (S61).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// TCP, the default where a manifest names none (S49).
    Tcp,
    /// UDP.
    Udp,
    /// SCTP, never read as TCP (S60).
    Sctp,
}

impl Protocol {
    /// Every protocol, in a fixed order.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// Its place in [`Protocol::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Kubernetes' spelling: `TCP`, `UDP`, `SCTP`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.label())
    }
}

/// The word is none of `TCP`, `UDP`, `SCTP`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no protocol of NetworkPolicy; write TCP, UDP or SCTP")]
pub struct UnknownProtocol(pub String);

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    /// Exactly Kubernetes' spelling, which is upper case.
    fn from_str(word: &str) -> Result<Self, UnknownProtocol> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.label() == word)
            .ok_or_else(|| UnknownProtocol(word.to_owned()))
    }
}

/// Source and destination are of different address families.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("source {source_ip} and destination {destination_ip} are of different address families")]
pub struct MixedFamilies {
    /// The source, canonical.
    pub source_ip: IpAddr,
    /// The destination, canonical.
    pub destination_ip: IpAddr,
}

/// One arrival as the law sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Flow {
    /// Which verdict is asked for.
    pub direction: Direction,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port of the destination pod, after every translation on the way (S58).
    pub port: u16,
    /// The address at the other end, canonical; `None` for a pod that has none yet, which leaves
    /// `ipBlock` undecided.
    pub peer_address: Option<IpAddr>,
}

impl Flow {
    /// A flow between two addresses; v4-mapped ones become v4 (S45).
    ///
    /// # Errors
    /// Where the two are of different families, which no packet is.
    pub fn between(
        direction: Direction,
        protocol: Protocol,
        source: IpAddr,
        destination: IpAddr,
        port: u16,
    ) -> Result<Self, MixedFamilies> {
        let (source_ip, destination_ip) = (source.to_canonical(), destination.to_canonical());
        if source_ip.is_ipv4() != destination_ip.is_ipv4() {
            return Err(MixedFamilies {
                source_ip,
                destination_ip,
            });
        }
        let peer_address = Some(match direction {
            Direction::Ingress => source_ip,
            Direction::Egress => destination_ip,
        });
        Ok(Self {
            direction,
            protocol,
            port,
            peer_address,
        })
    }

    /// A flow whose other end is known by name, and by address only perhaps.
    #[must_use]
    pub fn with_peer_address(
        direction: Direction,
        protocol: Protocol,
        port: u16,
        peer_address: Option<IpAddr>,
    ) -> Self {
        Self {
            direction,
            protocol,
            port,
            peer_address: peer_address.map(|address| address.to_canonical()),
        }
    }
}

#[cfg(test)]
mod tests;
