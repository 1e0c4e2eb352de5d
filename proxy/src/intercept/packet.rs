//! What the kernel's queue hands over: the first bytes of an IP packet become the question that it asks.
//!
//! May enter: bytes from the network header on, perhaps cut at the queue's copy range. Deliberately absent: sockets,
//! queues, checksums, and whether what the packet asks for is allowed. Nothing here panics, allocates or looks at a
//! byte past the length that the packet declares. What cannot be read is an error with a name, never a guess.
//!
//! Start at [`parse`]. This file may know one family from the other; past it an address is an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use podwall_policy::flow::Protocol;

use crate::arrival::{OriginalDst, SourceAddr};

// By its path, because the fuzz targets take this file by its path too.
#[path = "packet/malformed.rs"]
mod malformed;
#[cfg(test)]
mod tests;

pub use malformed::{Header, Malformed};

/// How many extension headers are passed over before the transport header.
///
/// RFC 8200 §4.1: each at most once, destination options twice. ESP is not among them, as nothing behind it is
/// readable: hop-by-hop, destination options, routing, fragment, authentication, destination options.
pub const MOST_EXTENSIONS: usize = 6;

/// A packet as far as a verdict needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Where it says it came from. A link-local address has no scope here.
    pub source: SourceAddr,
    /// Where it goes.
    pub destination: OriginalDst,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Whether it can be the first of its flow.
    pub opens: Opens,
}

/// What a packet is to its flow.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Opens {
    /// TCP with SYN and without ACK, whatever else it has: the only packet that opens a connection.
    Syn,
    /// Any other TCP packet.
    MidStream,
    /// UDP or SCTP: each packet may be the first.
    Datagram,
}

/// Reads a packet that begins with its network header.
///
/// Total, and bounded by the fixed headers, the v4 options' length and [`MOST_EXTENSIONS`] steps. A first fragment
/// is read like a whole packet, if what is needed of the transport header is in it.
///
/// # Errors
/// The first thing found wrong, from the outside in.
pub fn parse(packet: &[u8]) -> Result<Packet, Malformed> {
    let first = packet.first().ok_or(Malformed::Short(Header::Ip))?;
    let network = match first >> 4 {
        4 => v4(packet)?,
        6 => v6(packet)?,
        other => return Err(Malformed::Version(other)),
    };
    let transport = transport(network.protocol, network.payload)?;
    Ok(Packet {
        source: SocketAddr::new(network.source, transport.source).into(),
        destination: SocketAddr::new(network.destination, transport.destination).into(),
        protocol: transport.protocol,
        opens: transport.opens,
    })
}

/// The network header and its extensions, done with.
struct Network<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: &'a [u8],
}

/// What is needed of the transport header.
struct Transport {
    source: u16,
    destination: u16,
    protocol: Protocol,
    opens: Opens,
}

/// The next `N` bytes, which belong to `header`, and the rest.
fn take<const N: usize>(bytes: &[u8], header: Header) -> Result<(&[u8; N], &[u8]), Malformed> {
    bytes.split_first_chunk().ok_or(Malformed::Short(header))
}

/// The bytes behind the first `length`, which belong to `header`.
fn skip(bytes: &[u8], length: usize, header: Header) -> Result<&[u8], Malformed> {
    bytes.get(length..).ok_or(Malformed::Short(header))
}

/// At most `declared` bytes: what follows is padding. 0 is how the kernel writes more than 64 KiB (several segments
/// taken together); it has checked the length then, and trimmed what it hands over.
fn within(bytes: &[u8], declared: u16) -> &[u8] {
    match usize::from(declared) {
        0 => bytes,
        declared => bytes.get(..declared).unwrap_or(bytes),
    }
}

/// The fixed part of the v4 header (RFC 791 §3.1).
const V4_FIXED: usize = 20;

/// The fragment offset; the three bits above it are flags.
const V4_OFFSET: u16 = 0x1fff;

fn v4(packet: &[u8]) -> Result<Network<'_>, Malformed> {
    let (fixed, _) = take::<V4_FIXED>(packet, Header::V4)?;
    let [
        first,
        _,
        long0,
        long1,
        _,
        _,
        offset0,
        offset1,
        _,
        protocol,
        _,
        _,
        ends @ ..,
    ] = *fixed;
    let header = usize::from(first & 0x0f) * 4;
    let total = u16::from_be_bytes([long0, long1]);
    if header < V4_FIXED || (total != 0 && usize::from(total) < header) {
        return Err(Malformed::V4Length);
    }
    if u16::from_be_bytes([offset0, offset1]) & V4_OFFSET != 0 {
        return Err(Malformed::NonFirstFragment);
    }
    let [s0, s1, s2, s3, d0, d1, d2, d3] = ends;
    Ok(Network {
        source: Ipv4Addr::new(s0, s1, s2, s3).into(),
        destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
        protocol,
        payload: skip(within(packet, total), header, Header::V4)?,
    })
}

/// Hop-by-hop options (RFC 8200 §4.3): only directly behind the v6 header.
const HOP_BY_HOP: u8 = 0;

fn v6(packet: &[u8]) -> Result<Network<'_>, Malformed> {
    let (fixed, rest) = take::<8>(packet, Header::V6)?;
    let (source, rest) = take::<16>(rest, Header::V6)?;
    let (destination, rest) = take::<16>(rest, Header::V6)?;
    let [_, _, _, _, long0, long1, mut protocol, _] = *fixed;
    let (source, destination) = (Ipv6Addr::from(*source), Ipv6Addr::from(*destination));
    if source.to_ipv4_mapped().is_some() || destination.to_ipv4_mapped().is_some() {
        return Err(Malformed::MappedAddress);
    }
    let mut payload = within(rest, u16::from_be_bytes([long0, long1]));
    let mut passed = 0;
    while let Some(header) = Header::extension(protocol) {
        if protocol == HOP_BY_HOP && passed > 0 {
            return Err(Malformed::HopByHopNotFirst);
        }
        if passed == MOST_EXTENSIONS {
            return Err(Malformed::TooManyExtensions);
        }
        (protocol, payload) = extension(header, payload)?;
        passed += 1;
    }
    Ok(Network {
        source: source.into(),
        destination: destination.into(),
        protocol,
        payload,
    })
}

/// The fragment offset of the fragment header, in its upper thirteen bits.
const V6_OFFSET: u16 = !0b111;

/// Passes over one extension header: the protocol of what is behind it, and that.
fn extension(header: Header, bytes: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let (fixed, _) = take::<4>(bytes, header)?;
    let [next, length, third, fourth] = *fixed;
    let length = usize::from(length);
    let length = match header {
        // RFC 8200 §4.5: fixed; its second byte is reserved.
        Header::Fragment => 8,
        // RFC 4302 §2.2: units of four bytes, two of them not counted.
        Header::Authentication => (length + 2) * 4,
        // RFC 8200 §4: units of eight bytes, the first not counted.
        _ => (length + 1) * 8,
    };
    if header == Header::Fragment && u16::from_be_bytes([third, fourth]) & V6_OFFSET != 0 {
        return Err(Malformed::NonFirstFragment);
    }
    if header == Header::Routing && fourth != 0 {
        return Err(Malformed::SegmentsLeft);
    }
    Ok((next, skip(bytes, length, header)?))
}

/// TCP's flags (RFC 9293 §3.1).
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Reads the ports, and TCP's flags; the rest of the header may be cut off.
fn transport(protocol: u8, bytes: &[u8]) -> Result<Transport, Malformed> {
    let (protocol, ports, opens) = match protocol {
        6 => {
            let (header, _) = take::<14>(bytes, Header::Tcp)?;
            let [ports @ .., _, _, _, _, _, _, _, _, _, flags] = *header;
            let opens = match flags & (SYN | ACK) {
                SYN => Opens::Syn,
                _ => Opens::MidStream,
            };
            (Protocol::Tcp, ports, opens)
        }
        17 => (Protocol::Udp, *take(bytes, Header::Udp)?.0, Opens::Datagram),
        132 => (
            Protocol::Sctp,
            *take(bytes, Header::Sctp)?.0,
            Opens::Datagram,
        ),
        other => return Err(Malformed::UnsupportedProtocol(other)),
    };
    let [s0, s1, d0, d1] = ports;
    Ok(Transport {
        source: u16::from_be_bytes([s0, s1]),
        destination: u16::from_be_bytes([d0, d1]),
        protocol,
        opens,
    })
}
