//! What the rules shall say: the mode, the addresses of the node, and what is left to all.
//!
//! May enter: plain numbers and addresses. Deliberately absent: files, programs, sockets; the
//! pod's own addresses are an argument.

use std::fmt;
use std::net::IpAddr;

use crate::error::RedirectError;
use crate::mode::Mode;
use crate::udp::apart;

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

/// A transport protocol of which single ports can be left to everybody. TCP is not among them: in every
/// mode it is judged on all ports, so a policy can do the same.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Transport {
    /// The name of the protocol and of its match, as the save programs print both.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The name as people write it behind a port: `53/UDP`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// What the inbound rules of a pod shall do. Made by [`Wanted::new`], which puts everything into one
/// form and refuses what cannot work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    pub(crate) mode: Mode,
    /// Sources that are the pod's own node; sorted, each once, v4-mapped ones as IPv4. In mode queue no
    /// rule names them: there the node is judged like everybody.
    pub(crate) node_addresses: Vec<IpAddr>,
    /// UDP and SCTP ports that are left to everybody; sorted, each once.
    pub(crate) unguarded: Vec<(Transport, u16)>,
}

impl Wanted {
    /// Puts the addresses into canonical form and order.
    ///
    /// # Errors
    /// An address cannot be a node's: unspecified, loopback, multicast or broadcast.
    pub fn new(
        mode: impl Into<Mode>,
        node_addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Self, RedirectError> {
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
            mode: mode.into(),
            node_addresses: addresses,
            unguarded: Vec::new(),
        })
    }

    /// The same wish with these UDP and SCTP ports left to everybody, whatever the policies say.
    ///
    /// # Errors
    /// A port is 0, or is redirected in this mode, or a listener's.
    pub fn with_unguarded(
        mut self,
        ports: impl IntoIterator<Item = (Transport, u16)>,
    ) -> Result<Self, RedirectError> {
        self.unguarded = ports.into_iter().collect();
        self.unguarded.sort_unstable();
        self.unguarded.dedup();
        if self.unguarded.iter().any(|(_, port)| *port == 0) {
            return Err(RedirectError::ZeroPort { name: "unguarded" });
        }
        if let Mode::Redirect(redirect) = &self.mode {
            let ports = self.unguarded.iter();
            let of_udp = ports.filter(|(transport, _)| *transport == Transport::Udp);
            let udp: Vec<u16> = of_udp.map(|(_, port)| *port).collect();
            apart(&redirect.udp_ports, &udp)?;
        }
        Ok(self)
    }

    /// How arrivals reach podwall.
    #[must_use]
    pub const fn mode(&self) -> &Mode {
        &self.mode
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
        .copied()
        .find(|node| own.iter().any(|address| address.to_canonical() == *node));
    match shared {
        Some(address) => Err(RedirectError::HostNetwork { address }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
