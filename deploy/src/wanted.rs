//! What the rules shall say: two ports, the addresses of the node and where it may enter, and what is left to all.
//!
//! May enter: plain numbers and addresses. Deliberately absent: files, programs, sockets; the
//! pod's own addresses are an argument.

use std::fmt;
use std::net::IpAddr;

use crate::error::RedirectError;
use crate::udp::{UdpPort, apart};

/// An address family; each has its own tables and its own programs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// IPv4, `iptables`.
    Ipv4,
    /// IPv6, `ip6tables`.
    Ipv6,
}

impl Family {
    /// Both families, in the order in which they are installed.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family of an address; a v4-mapped v6 address is IPv4.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// How the programs of this family begin: `iptables` or `ip6tables`.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Ipv4 => "iptables",
            Self::Ipv6 => "ip6tables",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// A transport protocol that mode redirect does not carry, so that its rules drop it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Uncarried {
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Uncarried {
    /// The name of the protocol and of its match, as the save programs print both.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// What the inbound rules of a pod shall do.
///
/// Build it with [`Wanted::new`], which puts the addresses into one form and refuses what cannot
/// work. A value built by hand is put into that form before it is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// The TCP port on which the relay listens.
    pub listen_port: u16,
    /// The loopback port through which readiness proves the rules; no application may use it.
    pub canary_port: u16,
    /// Sources that are the pod's own node; sorted, each once, v4-mapped ones as IPv4.
    pub node_addresses: Vec<IpAddr>,
    /// The TCP ports on which the node goes past the relay; sorted, each once. Empty: it goes past on
    /// every port and protocol. Else all other TCP of the node is redirected, and its UDP and SCTP
    /// dropped but on unguarded ports, like anybody's.
    pub node_ports: Vec<u16>,
    /// UDP ports whose datagrams go to a listener of the relay, each to its own.
    pub udp_ports: Vec<UdpPort>,
    /// UDP and SCTP ports that are left to everybody; sorted, each once. On all that are neither these
    /// nor `udp_ports` both are dropped.
    pub unguarded: Vec<(Uncarried, u16)>,
}

impl Wanted {
    /// Puts the addresses into canonical form and order.
    ///
    /// # Errors
    /// A port is 0, both ports are the same, or an address cannot be a node's: unspecified,
    /// loopback, multicast or broadcast.
    pub fn new(
        listen_port: u16,
        canary_port: u16,
        node_addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Self, RedirectError> {
        for (name, port) in [("listen", listen_port), ("canary", canary_port)] {
            if port == 0 {
                return Err(RedirectError::ZeroPort { name });
            }
        }
        if listen_port == canary_port {
            return Err(RedirectError::SamePort { port: listen_port });
        }
        let mut addresses: Vec<IpAddr> = node_addresses
            .into_iter()
            .map(|address| address.to_canonical())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        for &address in &addresses {
            if let Some(kind) = never_a_node(address) {
                return Err(RedirectError::NodeAddress { address, kind });
            }
        }
        Ok(Self {
            listen_port,
            canary_port,
            node_addresses: addresses,
            node_ports: Vec::new(),
            udp_ports: Vec::new(),
            unguarded: Vec::new(),
        })
    }

    /// The same wish with the node let past on these TCP ports only (S65); on all where none is given.
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

    /// The same wish with these UDP ports redirected, each to a listener of its own: see [`UdpPort::assign`].
    ///
    /// # Errors
    /// The ports cannot get listeners, or one of either is left to everybody.
    pub fn with_udp_ports(
        mut self,
        ports: impl IntoIterator<Item = u16>,
        first_listener: u16,
    ) -> Result<Self, RedirectError> {
        self.udp_ports = UdpPort::assign(ports, first_listener, &self.unguarded_udp())?;
        Ok(self)
    }

    /// The same wish with these UDP and SCTP ports left to everybody, whatever the policies say.
    ///
    /// # Errors
    /// A port is 0, or is redirected, or a listener's.
    pub fn with_unguarded(
        mut self,
        ports: impl IntoIterator<Item = (Uncarried, u16)>,
    ) -> Result<Self, RedirectError> {
        self.unguarded = ports.into_iter().collect();
        self.unguarded.sort_unstable();
        self.unguarded.dedup();
        match self.unguarded.iter().any(|(_, port)| *port == 0) {
            true => Err(RedirectError::ZeroPort { name: "unguarded" }),
            false => {
                apart(&self.udp_ports, &self.unguarded_udp())?;
                Ok(self)
            }
        }
    }

    fn unguarded_udp(&self) -> Vec<u16> {
        let ports = self.unguarded.iter();
        let of_udp = ports.filter(|(protocol, _)| *protocol == Uncarried::Udp);
        of_udp.map(|(_, port)| *port).collect()
    }

    /// The same wish in canonical form.
    pub(crate) fn canonical(&self) -> Result<Self, RedirectError> {
        let addresses = self.node_addresses.iter().copied();
        Self::new(self.listen_port, self.canary_port, addresses)?
            .with_node_ports(self.node_ports.iter().copied())?
            .with_udp_ports(
                self.udp_ports.iter().map(|one| one.port),
                self.udp_ports.first().map_or(1, |one| one.listen),
            )?
            .with_unguarded(self.unguarded.iter().copied())
    }

    /// The node addresses of one family, in order.
    pub(crate) fn nodes(&self, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
        self.node_addresses
            .iter()
            .copied()
            .filter(move |&address| Family::of(address) == family)
    }
}

/// Says why an address can never be a node's, or `None`.
fn never_a_node(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("unspecified")
    } else if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address == IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
        Some("the broadcast address")
    } else {
        None
    }
}

/// Refuses a pod that shares its node's network namespace (S66).
///
/// `own` is what [`own_addresses`](crate::own_addresses) found. A node address among them means
/// hostNetwork: redirecting there would take the traffic of the whole node.
///
/// # Errors
/// The first node address that is an address of this network namespace.
pub fn refuse_host_network(wanted: &Wanted, own: &[IpAddr]) -> Result<(), RedirectError> {
    let shared = wanted
        .node_addresses
        .iter()
        .map(|address| address.to_canonical())
        .find(|node| own.iter().any(|address| address.to_canonical() == *node));
    match shared {
        Some(address) => Err(RedirectError::HostNetwork { address }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
