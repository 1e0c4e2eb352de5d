//! The subject's own node: who counts as it, and where it is let in (S63, S65).
//!
//! May enter: addresses and flows. Deliberately absent: how the node's addresses are found.

use std::net::IpAddr;

use podwall_policy::flow::{Flow, Protocol};

/// The node's addresses and the ports on which they are let in whatever the policies say.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    addresses: Box<[IpAddr]>,
    ports: Box<[u16]>,
}

impl Nodes {
    /// `addresses` in any spelling. Without `ports` they are let in on every port, else on these TCP
    /// ports only.
    #[must_use]
    pub fn new(addresses: &[IpAddr], ports: &[u16]) -> Self {
        Self {
            addresses: addresses.iter().map(IpAddr::to_canonical).collect(),
            ports: ports.into(),
        }
    }

    /// Whether a flow from `source` is let in because it is the node's.
    #[must_use]
    pub fn admit(&self, source: IpAddr, flow: &Flow) -> bool {
        self.addresses.contains(&source.to_canonical())
            && (self.ports.is_empty()
                || flow.protocol == Protocol::Tcp && self.ports.contains(&flow.port))
    }
}
