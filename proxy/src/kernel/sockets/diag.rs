//! `sock_diag`'s fixed structures (`linux/inet_diag.h`): what is asked, and a socket as it is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::tuple::canonical;

/// TCP's protocol number.
const TCP: u8 = 6;

/// Address families.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Family {
    Inet = 2,
    Inet6 = 10,
}

/// A set of TCP states, one bit each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct States(u32);

impl States {
    pub(super) const LISTEN: Self = Self(1 << 10);

    /// ESTABLISHED to FIN_WAIT2 (1 to 5), CLOSE_WAIT, LAST_ACK, CLOSING, and SYN_RECV by its newer number (12).
    pub(super) const CONNECTED: Self = Self(0b1_1011_0011_1110);

    const ALL: Self = Self(u32::MAX);
}

/// The state of a TCP socket, by the kernel's names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TcpState {
    /// Open both ways.
    Established,
    /// Has called.
    SynSent,
    /// Was called, has answered; no application has it yet.
    SynReceived,
    /// Has said goodbye.
    FinWait1,
    /// Has said goodbye and was heard.
    FinWait2,
    /// Over; only its name is kept.
    TimeWait,
    /// Not connected.
    Close,
    /// The other end has said goodbye.
    CloseWait,
    /// Both have, and the last one is not acknowledged.
    LastAck,
    /// Waits for callers.
    Listen,
    /// Both have at once.
    Closing,
}

impl TcpState {
    fn read(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }
}

/// What the kernel calls one socket and never another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Cookie([u8; 8]);

impl Cookie {
    /// Matches every socket. Never to be used to destroy.
    pub(super) const ANY: Self = Self([0xff; 8]);
}

impl From<u64> for Cookie {
    /// Two numbers of this machine's order, the lower half first.
    fn from(cookie: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = cookie.to_le_bytes();
        let [low, high] = [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes);
        let ([a, b, c, d], [e, f, g, h]) = (low.to_ne_bytes(), high.to_ne_bytes());
        Self([a, b, c, d, e, f, g, h])
    }
}

/// A TCP socket. It is this very one: an equal pair of ends later is another socket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TcpSocket {
    /// Its end here. Canonical, without scope.
    pub local: SocketAddr,
    /// The other end; unspecified for a listener.
    pub remote: SocketAddr,
    /// Its state when it was listed or found.
    pub state: TcpState,
    interface: u32,
    cookie: Cookie,
}

impl TcpSocket {
    /// Reads a message's body (`struct inet_diag_msg`).
    pub(in crate::kernel) fn read(body: &[u8]) -> Option<Self> {
        let ([family, state, _, _], rest) = body.split_first_chunk()?;
        let (local_port, rest) = rest.split_first_chunk()?;
        let (remote_port, rest) = rest.split_first_chunk()?;
        let (local, rest) = rest.split_first_chunk::<16>()?;
        let (remote, rest) = rest.split_first_chunk::<16>()?;
        let (interface, rest) = rest.split_first_chunk()?;
        let (cookie, _) = rest.split_first_chunk()?;
        let end = |address: &[u8; 16], port: &[u8; 2]| {
            let port = u16::from_be_bytes(*port);
            Some(canonical(SocketAddr::new(read(*family, address)?, port)))
        };
        Some(Self {
            local: end(local, local_port)?,
            remote: end(remote, remote_port)?,
            state: TcpState::read(*state)?,
            interface: u32::from_ne_bytes(*interface),
            cookie: Cookie(*cookie),
        })
    }

    /// How to ask for this very socket.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            local: self.local,
            remote: self.remote,
            interface: self.interface,
            cookie: self.cookie,
        }
    }
}

fn read(family: u8, address: &[u8; 16]) -> Option<IpAddr> {
    if family == Family::Inet6 as u8 {
        return Some(Ipv6Addr::from(*address).into());
    }
    let (v4, _) = address.split_first_chunk::<4>()?;
    (family == Family::Inet as u8).then(|| Ipv4Addr::from(*v4).into())
}

/// One socket, by its ends. A socket of IPv6 whose ends are mapped is found by their IPv4 spelling too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Asked {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The interface that it is bound to, or 0.
    pub(super) interface: u32,
    pub(super) cookie: Cookie,
}

impl Asked {
    /// `struct inet_diag_req_v2`.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let family = match self.local {
            SocketAddr::V4(_) => Family::Inet,
            SocketAddr::V6(_) => Family::Inet6,
        };
        let mut bytes = head(family, States::ALL);
        bytes.extend(self.local.port().to_be_bytes());
        bytes.extend(self.remote.port().to_be_bytes());
        bytes.extend(padded(self.local.ip()));
        bytes.extend(padded(self.remote.ip()));
        bytes.extend(self.interface.to_ne_bytes());
        bytes.extend(self.cookie.0);
        bytes
    }
}

/// All TCP sockets of a family in these states (`struct inet_diag_req_v2`).
pub(super) fn all(family: Family, states: States) -> Vec<u8> {
    let mut bytes = head(family, states);
    bytes.extend([0; 2 + 2 + 16 + 16 + 4]);
    bytes.extend(Cookie::ANY.0);
    bytes
}

fn head(family: Family, states: States) -> Vec<u8> {
    let mut bytes = vec![family as u8, TCP, 0, 0];
    bytes.extend(states.0.to_ne_bytes());
    bytes
}

fn padded(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

#[cfg(test)]
mod tests;
