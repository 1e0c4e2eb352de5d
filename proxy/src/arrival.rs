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

/// How arrivals reach podwall.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// nat REDIRECT to the relay.
    Redirect,
}

impl Mode {
    /// The word used on the command line, in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
        }
    }
}
