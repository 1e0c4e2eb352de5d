//! Socket options, process limits and privilege, by safe calls only.
//!
//! May enter: sockets and numbers. Deliberately absent: what they are for; no decision is taken here.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

pub mod privilege;
#[cfg(test)]
mod tests;
pub mod wake;

/// Idle time before the first keepalive probe. Below the 120 s after which common middleboxes
/// forget an idle connection.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// Time between two keepalive probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Descriptors kept for everything that is not a connection: listeners, files, pipes, the runtime.
///
/// The pool of pipes may hold up to 128 ([`MAX_PIPES`](crate::answer::pipe::MAX_PIPES) times two).
pub const SPARE_DESCRIPTORS: u64 = 256;

/// Makes the next `close` of this socket send a reset instead of an orderly end (P5).
///
/// An error means that the connection is gone already, so there is nobody to tell.
pub fn reset_on_close(socket: impl AsFd) {
    let _gone_already = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Listens on `port` of every address, with at most `backlog` finished handshakes waiting; port 0 lets
/// the kernel choose. Must be called inside a runtime.
///
/// One dual-stack socket; where the kernel has no IPv6, or it is switched off in this pod, one for
/// IPv4. `prepare` sees the socket before it is bound; what accepted sockets inherit is set there.
///
/// # Errors
/// Where the port cannot be had, or `prepare` fails.
pub fn listen(
    port: u16,
    backlog: i32,
    prepare: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<TcpListener> {
    let on = |address: SocketAddr| {
        let family = Domain::for_address(address);
        let socket = Socket::new(family, Type::STREAM.nonblocking(), None)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        prepare(&socket)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        TcpListener::from_std(socket.into())
    };
    on((Ipv6Addr::UNSPECIFIED, port).into()).or_else(|error| match Errno::from_io_error(&error) {
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => on((Ipv4Addr::UNSPECIFIED, port).into()),
        _ => Err(error),
    })
}

/// What both legs of a relay want: no waiting for more bytes, and a dead peer noticed (P14).
///
/// Accepted sockets inherit all of it from their listener. `dead_peer` bounds how long sent bytes
/// may stay unacknowledged, keepalive probes included, in whole milliseconds.
///
/// # Errors
/// Where the kernel refuses an option, which it does only for sockets that are not TCP.
pub fn prepare_leg(socket: impl AsFd, dead_peer: Duration) -> io::Result<()> {
    let socket = socket.as_fd();
    let millis = u32::try_from(dead_peer.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_user_timeout(socket, millis)?;
    Ok(())
}

/// Where the client of a redirected connection wanted to go; a connection that no rule redirected
/// gives the socket's own local address.
///
/// The family is the *canonical* one of `peer`: asking at the wrong level finds nothing on a
/// dual-stack listener.
///
/// # Errors
/// Where the kernel tracks no such connection: the redirect rules are missing.
pub fn original_destination(socket: impl AsFd, peer: SocketAddr) -> io::Result<SocketAddr> {
    let socket = socket.as_fd();
    Ok(if peer.ip().to_canonical().is_ipv4() {
        SocketAddrV4::into(sockopt::ip_original_dst(socket)?)
    } else {
        SocketAddrV6::into(sockopt::ipv6_original_dst(socket)?)
    })
}

/// Raises the limit of open descriptors to what this process may have, and returns it.
///
/// Where the kernel refuses, the limit stays as it was; it is returned either way.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current.unwrap_or(u64::MAX)
}

/// How many connections fit a limit of `descriptors`: two each, and some to spare. At least 64.
#[must_use]
pub fn connections_for(descriptors: u64) -> usize {
    let connections = descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2;
    // A limit of "infinity" is still a number of connections that memory can hold.
    usize::try_from(connections.clamp(64, 1 << 20)).unwrap_or(1 << 20)
}

/// Whether an error of `accept` or `socket` says that the process or the machine has run out of
/// something, so that trying again at once would spin (P17).
#[must_use]
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
