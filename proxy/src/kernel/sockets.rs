//! TCP sockets of the network namespace, listed, found and destroyed (`sock_diag`).
//!
//! A destroyed connection ends at once: its application reads ECONNABORTED, its peer ECONNRESET.
//!
//! INVARIANT: a socket is destroyed by its cookie only. Without one the kernel takes the listener of the port where
//! no connection matches, and says that all went well.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use podwall_policy::flow::Protocol;
use rustix::io::Errno;
use rustix::net::netlink::SOCK_DIAG;
use rustix::net::sockopt::socket_cookie;

use super::Found;
use super::netlink::{Listing, Netlink, unless_missing};
use super::tuple::{Tuple, canonical};
use super::wire::{ACK, DUMP, Request};

mod diag;

use diag::{Asked, Cookie, Family, States};
pub use diag::{TcpSocket, TcpState};

/// Message types (`linux/sock_diag.h`).
const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;

/// How often a listing that was interrupted is begun again.
const TRIES: usize = 3;

/// Whether connections can be cut.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CanDestroy {
    /// They can.
    Yes,
    /// The kernel is built without INET_DIAG_DESTROY.
    KernelCannot,
    /// This thread has no CAP_NET_ADMIN here.
    NotAllowed,
}

/// What TCP listens on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listeners(BTreeSet<SocketAddr>);

impl FromIterator<SocketAddr> for Listeners {
    fn from_iter<T: IntoIterator<Item = SocketAddr>>(addresses: T) -> Self {
        Self(addresses.into_iter().map(canonical).collect())
    }
}

impl Listeners {
    /// Whether a connection with this local end may have come in by one of them: same port, and the same address or any.
    /// A listener on `[::]` is taken to hear IPv4 too.
    #[must_use]
    pub fn may_accept(&self, local: SocketAddr) -> bool {
        let at = |ip: IpAddr| self.0.contains(&SocketAddr::new(ip, local.port()));
        at(local.ip())
            || at(Ipv6Addr::UNSPECIFIED.into())
            || (local.is_ipv4() && at(Ipv4Addr::UNSPECIFIED.into()))
    }
}

/// A connection to the TCP sockets of one network namespace.
#[derive(Debug)]
pub struct Sockets {
    netlink: Netlink,
    /// Numbers of the interfaces that a socket may be bound to; the kernel finds such a socket by it only.
    interfaces: BTreeSet<u32>,
}

impl Sockets {
    /// Opens it in the network namespace of this thread, which must be that of whoever uses it.
    ///
    /// # Errors
    /// Where no netlink socket can be had, or the interfaces cannot be listed.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            netlink: Netlink::open(SOCK_DIAG)?,
            interfaces: interfaces()?,
        })
    }

    /// Whether [`destroy`](Self::destroy) works, tried on a listener of our own on loopback that nobody connects to:
    /// the kernel asks for the capability only when it has found the socket.
    ///
    /// # Errors
    /// Where loopback has no address, and the kernel's.
    pub fn can_destroy(&mut self) -> io::Result<CanDestroy> {
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .or_else(|_| TcpListener::bind((Ipv6Addr::LOCALHOST, 0)))?;
        let local = own.local_addr()?;
        let asked = Asked {
            local,
            remote: SocketAddr::new(unspecified_like(local.ip()), 0),
            interface: 0,
            cookie: Cookie::from(socket_cookie(&own)?),
        };
        match self.destroy_asked(asked) {
            Ok(Found::Yes) => Ok(CanDestroy::Yes),
            Ok(Found::Gone) => Err(io::Error::other(
                "it does not find podwall's own listener among its sockets, as without tcp_diag (CONFIG_INET_TCP_DIAG)",
            )),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::OPNOTSUPP) => Ok(CanDestroy::KernelCannot),
                Some(Errno::PERM) => Ok(CanDestroy::NotAllowed),
                _ => Err(error),
            },
        }
    }

    /// What TCP listens on, over both families.
    ///
    /// # Errors
    /// The kernel's; `Interrupted` where every one of a few tries was.
    pub fn listeners(&mut self) -> io::Result<Listeners> {
        let mut listeners = Listeners::default();
        self.dump(States::LISTEN, &mut |socket| {
            listeners.0.insert(socket.local);
        })?;
        Ok(listeners)
    }

    /// Tells `each` every TCP socket that has, or may get, another end: all states but LISTEN, CLOSE and TIME_WAIT,
    /// which has no application any more and carries nothing. v4-mapped addresses are made canonical.
    ///
    /// Work grows with the number of sockets on the host, as the kernel's table is one.
    ///
    /// # Errors
    /// The kernel's; `Interrupted` where every one of a few tries was.
    pub fn connected(&mut self, each: &mut dyn FnMut(TcpSocket)) -> io::Result<()> {
        self.dump(States::CONNECTED, each)
    }

    /// The socket here of a TCP flow that came in: its local end is the tuple's destination. A listener is none; one
    /// in TIME_WAIT may be it. Other protocols have none.
    ///
    /// Where there is none the kernel is asked once more for each interface, of those that were there at the last
    /// listing: about 10 us in all (measured).
    ///
    /// # Errors
    /// The kernel's.
    pub fn find(&mut self, tuple: &Tuple) -> io::Result<Option<TcpSocket>> {
        if tuple.protocol != Protocol::Tcp {
            return Ok(None);
        }
        if let Some(found) = self.find_bound_to(tuple, 0)? {
            return Ok(Some(found));
        }
        for interface in self.interfaces.clone() {
            if let Some(found) = self.find_bound_to(tuple, interface)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Ends this very connection, also one in the middle of its handshake.
    ///
    /// # Errors
    /// The kernel's: see [`can_destroy`](Self::can_destroy).
    pub fn destroy(&mut self, socket: &TcpSocket) -> io::Result<Found> {
        self.destroy_asked(socket.asked())
    }

    fn destroy_asked(&mut self, asked: Asked) -> io::Result<Found> {
        let request = Request::new(DESTROY, ACK, &asked.bytes());
        let answer = unless_missing(self.netlink.ask(request, &mut |_| {}))?;
        Ok(answer.map_or(Found::Gone, |_| Found::Yes))
    }

    fn find_bound_to(&mut self, tuple: &Tuple, interface: u32) -> io::Result<Option<TcpSocket>> {
        let asked = Asked {
            local: canonical(tuple.destination),
            remote: canonical(tuple.source),
            interface,
            cookie: Cookie::ANY,
        };
        let mut found = None;
        let request = Request::new(BY_FAMILY, ACK, &asked.bytes());
        let answer = self.netlink.ask(request, &mut |message| {
            found = TcpSocket::read(message.body);
        });
        unless_missing(answer)?;
        // Where no connection matches, the kernel answers with the port's listener.
        Ok(found.filter(|socket| {
            socket.state != TcpState::Listen
                && (socket.local, socket.remote) == (asked.local, asked.remote)
        }))
    }

    fn dump(&mut self, states: States, each: &mut dyn FnMut(TcpSocket)) -> io::Result<()> {
        self.interfaces = interfaces()?;
        // v4-mapped sockets are listed with IPv6.
        for family in [Family::Inet, Family::Inet6] {
            self.dump_family(family, states, each)?;
        }
        Ok(())
    }

    fn dump_family(
        &mut self,
        family: Family,
        states: States,
        each: &mut dyn FnMut(TcpSocket),
    ) -> io::Result<()> {
        for _ in 0..TRIES {
            let request = Request::new(BY_FAMILY, DUMP, &diag::all(family, states));
            let listing = self.netlink.ask(request, &mut |message| {
                if let Some(socket) = TcpSocket::read(message.body) {
                    each(socket);
                }
            })?;
            if listing == Listing::Whole {
                return Ok(());
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }
}

fn unspecified_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn interfaces() -> io::Result<BTreeSet<u32>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.iter().filter_map(|one| one.index).collect())
}
