//! The listeners of UDP: a declared port of the pod is redirected to a socket of its own.
//!
//! The rules put the listener's port in place of the one that the client asked for, so each port has a listener of
//! its own (P2), and leave the address. It is read beside the datagram, and the answer leaves from there: a pod may
//! have several addresses of a family, and the kernel undoes the rewrite only for an answer from the right one.
//!
//! ICMP errors that answers met are told to whoever sends or receives next, though they say nothing of that
//! datagram: such a one is sent, or asked for, again.
//!
//! May enter: datagrams and addresses. Deliberately absent: what becomes of them, and waiting.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::arrival::{OriginalDst, SourceAddr};

mod errors;
#[cfg(test)]
mod tests;

pub use errors::ClientError;

/// The largest datagram that there is, rounded up; a buffer of this size takes each whole.
pub const LARGEST: usize = 64 << 10;

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum DatagramDoorError {
    /// The port cannot be had.
    #[error(
        "cannot listen on UDP port {listen} for --udp-port {port}: {source}; choose another --udp-listen-port, for podwall redirect too"
    )]
    Bind {
        /// The application's port.
        port: u16,
        /// The listener's.
        listen: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket does not work any more.
    #[error("the UDP listener for port {port} is lost: {source}")]
    Lost {
        /// The application's port.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The listener of one UDP port.
#[derive(Debug)]
pub struct DatagramDoor {
    socket: Socket,
    port: u16,
    is_dual: bool,
}

/// A datagram that came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Came {
    /// Who sent it.
    pub from: SourceAddr,
    /// The address that the client sent it to, and the application's port.
    pub to: OriginalDst,
    /// How many bytes of the buffer it took.
    pub length: usize,
}

impl DatagramDoor {
    /// Listens on port `listen` of every address for what was sent to `port`; with 0 the kernel chooses.
    ///
    /// One dual-stack socket; where the pod has no IPv6, one for IPv4.
    ///
    /// # Errors
    /// Where the port cannot be had.
    pub fn bind(port: u16, listen: u16) -> Result<Self, DatagramDoorError> {
        let dual = on((Ipv6Addr::UNSPECIFIED, listen).into());
        let bound = match dual {
            Err(error) if no_such_family(&error) => on((Ipv4Addr::UNSPECIFIED, listen).into()),
            other => other,
        };
        let (socket, is_dual) = bound.map_err(|source| DatagramDoorError::Bind {
            port,
            listen,
            source,
        })?;
        Ok(Self {
            socket,
            port,
            is_dual,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or(io::ErrorKind::Unsupported.into())
    }

    /// The next datagram that is there already, or `None`. What cannot be attributed is skipped.
    ///
    /// # Errors
    /// Where the kernel fails to hand one over; [`DatagramDoorError::Lost`] is for the caller to say.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Came>> {
        loop {
            match insisting(|| self.receive_one(buffer)) {
                Ok(Some(came)) => return Ok(Some(came)),
                Ok(None) => {}
                Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn receive_one(&self, buffer: &mut [u8]) -> nix::Result<Option<Came>> {
        let mut room = ControlRoom::new();
        let mut parts = [IoSliceMut::new(buffer)];
        let got = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut room.0),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let from = got.address.as_ref().and_then(socket_address);
        let to = got.cmsgs()?.find_map(local_address);
        let (Some(from), Some((to, interface))) = (from, to) else {
            return Ok(None);
        };
        Ok(Some(Came {
            from: from.into(),
            to: destination(to, interface, self.port).into(),
            length: got.bytes,
        }))
    }

    /// Sends an answer to `client` from `own`, which it had asked. Never waits.
    ///
    /// # Errors
    /// Where the kernel does not take it now.
    pub fn answer(&self, bytes: &[u8], client: SourceAddr, own: OriginalDst) -> io::Result<()> {
        Ok(insisting(|| self.send_one(bytes, client, own))?)
    }

    /// What an earlier answer met on its way, if the kernel has heard of it already. Whoever polls the listener is told
    /// of an error until all of them are taken.
    pub fn next_error(&self) -> Option<ClientError> {
        errors::next(&self.socket)
    }

    fn send_one(&self, bytes: &[u8], client: SourceAddr, own: OriginalDst) -> nix::Result<()> {
        let (fd, parts) = (self.socket.as_raw_fd(), [IoSlice::new(bytes)]);
        let flags = MsgFlags::MSG_DONTWAIT;
        match (client.socket(), own.ip(), self.is_dual) {
            (SocketAddr::V4(client), IpAddr::V4(own), false) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(own.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(fd, &parts, &control, flags, Some(&SockaddrIn::from(client)))?;
            }
            (client, source, _) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: mapped(source).octets(),
                    },
                    ipi6_ifindex: scope(own.socket()),
                };
                let to = SocketAddrV6::new(mapped(client.ip()), client.port(), 0, scope(client));
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(fd, &parts, &control, flags, Some(&SockaddrIn6::from(to)))?;
            }
        }
        Ok(())
    }

    /// The fault of a listener that can never work again, if `error` says so.
    #[must_use]
    pub fn lost(&self, error: io::Error) -> Option<DatagramDoorError> {
        match Errno::from_io_error(&error) {
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK) => Some(DatagramDoorError::Lost {
                port: self.port,
                source: error,
            }),
            _ => None,
        }
    }
}

impl AsFd for DatagramDoor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How many errors of earlier answers one call passes over. More have come meanwhile only where somebody floods us
/// with them.
const PASSED_OVER: usize = 4;

/// Does again what has failed, a few times, but for want of room or where nothing is there.
fn insisting<T>(mut attempt: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    use nix::errno::Errno;
    for _ in 0..PASSED_OVER {
        match attempt() {
            Err(error) if !matches!(error, Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) => {}
            other => return other,
        }
    }
    attempt()
}

/// Room for what the kernel tells beside a datagram: packet information of a family, or an error with the address of
/// who reports it, each with its head, and to spare.
const CONTROL_ROOM: usize = 256;

/// That room, aligned as the heads of what the kernel writes there must be: `nix` makes references to them.
#[repr(align(8))]
struct ControlRoom([u8; CONTROL_ROOM]);

impl ControlRoom {
    const fn new() -> Self {
        Self([0; CONTROL_ROOM])
    }
}

const _: () = assert!(align_of::<libc::cmsghdr>() <= align_of::<ControlRoom>());

fn on(address: SocketAddr) -> io::Result<(Socket, bool)> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    let is_dual = address.is_ipv6();
    if is_dual {
        socket.set_only_v6(false)?;
        // Tells of both families' datagrams on such a socket.
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    errors::ask_for(&socket, is_dual)?;
    socket.bind(&address.into())?;
    Ok((socket, is_dual))
}

fn no_such_family(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in();
    let v6 = address.as_sockaddr_in6();
    v4.map(|v4| SocketAddrV4::from(*v4).into())
        .or_else(|| v6.map(|v6| SocketAddrV6::from(*v6).into()))
}

/// The address that a datagram came to, and the number of the interface.
fn local_address(message: ControlMessageOwned) -> Option<(IpAddr, u32)> {
    match message {
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            Some((address.to_canonical(), info.ipi6_ifindex))
        }
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            let address = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
            Some((address.into(), 0))
        }
        _ => None,
    }
}

/// A link-local address means nothing without its interface.
fn destination(address: IpAddr, interface: u32, port: u16) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, interface).into()
        }
        other => SocketAddr::new(other, port),
    }
}

fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(v6) => v6.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
