//! Shared nouns: where an arrival came from, what it asked for, and through which data path.
//!
//! Deliberately absent: who the source is and whether it may enter.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where the packet says it came from.
///
/// Always canonical: `::ffff:10.0.0.7` and `10.0.0.7` are one pod, so they are one value (S45).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SourceAddr(SocketAddr);

/// The address and port that the client asked for, before the redirect. Canonical.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct OriginalDst(SocketAddr);

macro_rules! canonical_address {
    ($name:ident) => {
        impl From<SocketAddr> for $name {
            fn from(address: SocketAddr) -> Self {
                // A v6 address keeps its scope; a v4-mapped one becomes v4.
                Self(match address.ip().to_canonical() {
                    IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
                    IpAddr::V6(_) => address,
                })
            }
        }

        impl $name {
            /// The address without the port.
            #[must_use]
            pub fn ip(self) -> IpAddr {
                self.0.ip()
            }

            /// The port.
            #[must_use]
            pub fn port(self) -> u16 {
                self.0.port()
            }

            /// Address and port, to hand to a socket.
            #[must_use]
            pub fn socket(self) -> SocketAddr {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
}

canonical_address!(SourceAddr);
canonical_address!(OriginalDst);

/// The bit that says "let in", of a packet's mark and of its connection's: mode queue's verdict sets it,
/// mode queue's rules look for it. The other bits are left to others.
pub const ADMITTED: u32 = 0x0100_0000;

/// The bit of a connection's mark that says "let in once, refused now" (P37).
pub const REFUSED: u32 = 0x0200_0000;

/// The bit of a packet's mark that says "let in, and not remembered": it belongs to a connection that this pod opened
/// itself, whose entry the kernel has lost (S6).
pub const OWN: u32 = 0x0400_0000;

/// How arrivals reach podwall.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// nat REDIRECT to the relay.
    #[default]
    Redirect,
    /// NFQUEUE for what is new; the kernel carries what was let in.
    Queue,
}

impl Mode {
    /// The word used on the command line, in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Queue => "queue",
        }
    }
}
