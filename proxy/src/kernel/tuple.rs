//! What names a flow, and its spelling in conntrack's attributes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use podwall_policy::flow::Protocol;

use super::wire::{Request, attribute, attributes, exactly};

/// Attributes of a tuple (`enum ctattr_tuple`, `ctattr_ip`, `ctattr_l4proto`).
const IP: u16 = 1;
const PROTO: u16 = 2;
const V4_SOURCE: u16 = 1;
const V4_DESTINATION: u16 = 2;
const V6_SOURCE: u16 = 3;
const V6_DESTINATION: u16 = 4;
const NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// A flow, by its original direction: as its first packet came in, before any translation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Tuple {
    /// The transport protocol.
    pub protocol: Protocol,
    /// Who began. Canonical, without scope.
    pub source: SocketAddr,
    /// Who was meant. Canonical, without scope, and of the source's family.
    pub destination: SocketAddr,
}

impl Tuple {
    /// The flow between two ends, made canonical.
    #[must_use]
    pub fn new(protocol: Protocol, source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            protocol,
            source: canonical(source),
            destination: canonical(destination),
        }
    }

    /// Reads a tuple attribute's value; `None` for other protocols and for what cannot be read.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (mut source, mut destination) = (None, None);
        for (kind, value) in attributes(attribute(value, IP)?) {
            match kind {
                V4_SOURCE | V6_SOURCE => source = Some(address(value)?),
                V4_DESTINATION | V6_DESTINATION => destination = Some(address(value)?),
                _ => {}
            }
        }
        let proto = attribute(value, PROTO)?;
        let [number] = exactly(attribute(proto, NUMBER)?)?;
        let protocol = Protocol::ALL
            .into_iter()
            .find(|protocol| self::number(*protocol) == number)?;
        let port = |kind| Some(u16::from_be_bytes(exactly(attribute(proto, kind)?)?));
        Some(Self::new(
            protocol,
            SocketAddr::new(source?, port(SOURCE_PORT)?),
            SocketAddr::new(destination?, port(DESTINATION_PORT)?),
        ))
    }

    /// Writes it as the attribute `kind`.
    pub(super) fn write(&self, request: &mut Request, kind: u16) {
        request.nested(kind, |tuple| {
            tuple.nested(IP, |ip| {
                match self.source.ip() {
                    IpAddr::V4(v4) => ip.attribute(V4_SOURCE, &v4.octets()),
                    IpAddr::V6(v6) => ip.attribute(V6_SOURCE, &v6.octets()),
                }
                match self.destination.ip() {
                    IpAddr::V4(v4) => ip.attribute(V4_DESTINATION, &v4.octets()),
                    IpAddr::V6(v6) => ip.attribute(V6_DESTINATION, &v6.octets()),
                }
            });
            tuple.nested(PROTO, |proto| {
                proto.attribute(NUMBER, &[number(self.protocol)]);
                proto.attribute(SOURCE_PORT, &self.source.port().to_be_bytes());
                proto.attribute(DESTINATION_PORT, &self.destination.port().to_be_bytes());
            });
        });
    }
}

/// The same address in its one spelling; a scope is dropped.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Its number in packets (IANA).
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    if let Some(v4) = exactly::<4>(value) {
        return Some(Ipv4Addr::from(v4).into());
    }
    Some(Ipv6Addr::from(exactly::<16>(value)?).into())
}

#[cfg(test)]
mod tests;
