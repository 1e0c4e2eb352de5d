//! Why a packet could not be read, by header and field.
//!
//! Deliberately absent: what becomes of such a packet. Every one of these is refused by whoever asked.

use std::fmt;

/// A header that a packet may have.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Header {
    /// Not even the version can be read.
    Ip,
    /// IPv4 with its options.
    V4,
    /// IPv6, the fixed part.
    V6,
    /// IPv6 hop-by-hop options.
    HopByHop,
    /// IPv6 destination options.
    DestinationOptions,
    /// IPv6 routing.
    Routing,
    /// IPv6 fragment.
    Fragment,
    /// IPsec authentication.
    Authentication,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Header {
    /// The extension header with this protocol number, where it is one that can be passed over.
    ///
    /// The list is the kernel's (`ipv6_ext_hdr`), so that nothing is read as a transport header here that its rules
    /// read as an extension, or the other way.
    pub(super) const fn extension(protocol: u8) -> Option<Self> {
        Some(match protocol {
            super::HOP_BY_HOP => Self::HopByHop,
            43 => Self::Routing,
            44 => Self::Fragment,
            51 => Self::Authentication,
            60 => Self::DestinationOptions,
            _ => return None,
        })
    }
}

impl fmt::Display for Header {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ip => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
            Self::HopByHop => "hop-by-hop options",
            Self::DestinationOptions => "destination options",
            Self::Routing => "routing",
            Self::Fragment => "fragment",
            Self::Authentication => "authentication",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// Why a packet could not be read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// The version is neither 4 nor 6.
    #[error("IP version {0}")]
    Version(u8),
    /// The packet, or what was copied of it, ends before what is needed of this header.
    #[error("the packet ends within its {0} header")]
    Short(Header),
    /// IPv4's header length is below its fixed part or above the total length.
    #[error("the IPv4 header has an impossible length")]
    V4Length,
    /// An IPv6 packet with an IPv4-mapped address. Mapped addresses are a spelling inside a host and are never on the
    /// wire (RFC 4038 §4.2), so this one would make its sender the pod that owns the IPv4 address.
    #[error("an IPv4-mapped address in an IPv6 packet")]
    MappedAddress,
    /// More extension headers than [`MOST_EXTENSIONS`](super::MOST_EXTENSIONS).
    #[error("too many IPv6 extension headers")]
    TooManyExtensions,
    /// Hop-by-hop options that do not follow the IPv6 header; the kernel reads them nowhere else.
    #[error("hop-by-hop options behind another extension header")]
    HopByHopNotFirst,
    /// A routing header with stations to go: the destination is not the last one.
    #[error("a routing header with segments left")]
    SegmentsLeft,
    /// A fragment without the transport header; the kernel puts fragments together before it asks.
    #[error("a fragment that is not the first")]
    NonFirstFragment,
    /// Neither TCP, UDP nor SCTP, by its protocol number.
    #[error("protocol {0} is none of TCP, UDP, SCTP")]
    UnsupportedProtocol(u8),
}

impl Malformed {
    /// A word for logs and metrics. Stable, and few: numbers that the sender chooses are not in it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Version(_) => "ip_version",
            Self::Short(header) => match header {
                Header::Ip => "ip_short",
                Header::V4 => "ipv4_short",
                Header::V6 => "ipv6_short",
                Header::HopByHop => "hop_by_hop_short",
                Header::DestinationOptions => "destination_options_short",
                Header::Routing => "routing_short",
                Header::Fragment => "fragment_short",
                Header::Authentication => "authentication_short",
                Header::Tcp => "tcp_short",
                Header::Udp => "udp_short",
                Header::Sctp => "sctp_short",
            },
            Self::V4Length => "ipv4_length",
            Self::MappedAddress => "mapped_address",
            Self::TooManyExtensions => "too_many_extensions",
            Self::HopByHopNotFirst => "hop_by_hop_not_first",
            Self::SegmentsLeft => "segments_left",
            Self::NonFirstFragment => "fragment_not_first",
            Self::UnsupportedProtocol(_) => "unsupported_protocol",
        }
    }
}
