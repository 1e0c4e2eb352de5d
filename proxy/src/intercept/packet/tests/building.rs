//! Packets built from what they should be read as.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use podwall_policy::flow::Protocol;
use proptest::prelude::*;

use super::super::{HOP_BY_HOP, Opens, Packet};

pub const ROUTING: u8 = 43;
pub const FRAGMENT: u8 = 44;
pub const AUTHENTICATION: u8 = 51;
pub const DESTINATION: u8 = 60;

/// The transport protocol's number, and TCP's flags.
#[derive(Clone, Copy, Debug)]
pub struct Next(pub u8, pub u8);

/// TCP with flags as tcpdump writes them.
pub fn tcp(flags: &str) -> Next {
    let bits = flags
        .chars()
        .map(|flag| 1 << "FSRPAUEC".find(flag).unwrap());
    Next(6, bits.sum())
}

#[derive(Clone, Debug)]
pub struct Built {
    source: SocketAddr,
    destination: SocketAddr,
    next: Next,
    /// Words of four bytes.
    options: usize,
    /// Number and length in bytes.
    extensions: Vec<(u8, usize)>,
    fragment: Option<u16>,
    /// The whole packet's length, where it should lie.
    pub total: Option<usize>,
}

impl Built {
    pub fn new(source: SocketAddr, destination: SocketAddr, next: Next) -> Self {
        Self {
            source,
            destination,
            next,
            options: 0,
            extensions: Vec::new(),
            fragment: None,
            total: None,
        }
    }

    pub fn options(mut self, words: usize) -> Self {
        self.options = words;
        self
    }

    pub fn extension(mut self, number: u8, length: usize) -> Self {
        self.extensions.push((number, length));
        self
    }

    /// `offset` in units of eight bytes.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.fragment = Some(match self.source {
            SocketAddr::V4(_) => offset | u16::from(more) << 13,
            SocketAddr::V6(_) => offset << 3 | u16::from(more),
        });
        if self.source.is_ipv6() {
            self.extensions.push((FRAGMENT, 8));
        }
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.over_v4(source, destination),
            (IpAddr::V6(source), IpAddr::V6(destination)) => self.over_v6(source, destination),
            mixed => panic!("{mixed:?}"),
        }
    }

    fn transport(&self) -> Vec<u8> {
        let mut bytes = self.source.port().to_be_bytes().to_vec();
        bytes.extend(self.destination.port().to_be_bytes());
        bytes.extend([0x11; 8]);
        bytes.extend([0x50, self.next.1]);
        bytes.extend([0x22; 10]);
        bytes
    }

    fn over_v4(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
        let transport = self.transport();
        let header = 20 + self.options * 4;
        let total = self.total.unwrap_or(header + transport.len());
        let mut bytes = vec![0x40 | u8::try_from(header / 4).unwrap(), 0];
        bytes.extend(u16::try_from(total).unwrap().to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(self.fragment.unwrap_or(0x4000).to_be_bytes());
        bytes.extend([64, self.next.0, 0, 0]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        bytes.extend(vec![1; self.options * 4]);
        bytes.extend(transport);
        bytes
    }

    fn over_v6(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
        let transport = self.transport();
        let behind: usize = self.extensions.iter().map(|(_, length)| length).sum();
        let payload = self
            .total
            .map_or(behind + transport.len(), |total| total - 40);
        let numbers = self.extensions.iter().map(|(number, _)| *number);
        let mut numbers = numbers.chain([self.next.0]);
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
        bytes.extend([numbers.next().unwrap(), 64]);
        bytes.extend(source.octets());
        bytes.extend(destination.octets());
        for ((number, length), next) in self.extensions.iter().zip(numbers) {
            let field = match *number {
                // Reserved: it must not be taken for a length.
                FRAGMENT => 0xff,
                AUTHENTICATION => length / 4 - 2,
                _ => length / 8 - 1,
            };
            let mut header = vec![0; *length];
            header[0] = next;
            header[1] = u8::try_from(field).unwrap();
            if *number == FRAGMENT {
                header[2..4].copy_from_slice(&self.fragment.unwrap_or(0).to_be_bytes());
            }
            bytes.extend(header);
        }
        bytes.extend(transport);
        bytes
    }

    pub fn expected(&self) -> Packet {
        let (protocol, opens) = match self.next {
            Next(6, flags) if flags & 0x12 == 0x02 => (Protocol::Tcp, Opens::Syn),
            Next(6, _) => (Protocol::Tcp, Opens::MidStream),
            Next(17, _) => (Protocol::Udp, Opens::Datagram),
            Next(132, _) => (Protocol::Sctp, Opens::Datagram),
            other => panic!("{other:?}"),
        };
        Packet {
            source: self.source.into(),
            destination: self.destination.into(),
            protocol,
            opens,
        }
    }
}

/// The same, unless it cannot be on the wire.
fn unmapped(address: Ipv6Addr) -> Ipv6Addr {
    match address.to_ipv4_mapped() {
        Some(v4) => v4.to_ipv6_compatible(),
        None => address,
    }
}

/// Well-formed packets: options, extensions in any order a packet may have, first fragments.
pub fn any_packet() -> impl Strategy<Value = Built> {
    let next = prop_oneof![
        any::<u8>().prop_map(|flags| Next(6, flags)),
        Just(Next(17, 0)),
        Just(Next(132, 0)),
    ];
    let ends = prop_oneof![
        any::<[Ipv4Addr; 2]>().prop_map(|ends| ends.map(IpAddr::V4)),
        any::<[Ipv6Addr; 2]>().prop_map(|ends| ends.map(|end| IpAddr::V6(unmapped(end)))),
    ];
    let first = prop::option::of((1_usize..4).prop_map(|units| (HOP_BY_HOP, units * 8)));
    let other = prop_oneof![
        (1_usize..4).prop_map(|units| (ROUTING, units * 8)),
        (1_usize..4).prop_map(|units| (DESTINATION, units * 8)),
        (3_usize..6).prop_map(|units| (AUTHENTICATION, units * 4)),
        Just((FRAGMENT, 8)),
    ];
    let others = prop::collection::vec(other, 0..6);
    let shape = (0_usize..11, first, others, any::<bool>());
    (ends, any::<[u16; 2]>(), next, shape).prop_map(
        |([source, destination], [from, to], next, (options, first, others, more))| {
            let (source, destination) = (
                SocketAddr::new(source, from),
                SocketAddr::new(destination, to),
            );
            let mut built = Built::new(source, destination, next);
            if source.is_ipv4() {
                built = built.options(options);
                return if more { built.fragment(0, true) } else { built };
            }
            let extensions = first.into_iter().chain(others);
            extensions.fold(built, |built, (number, length)| {
                built.extension(number, length)
            })
        },
    )
}
