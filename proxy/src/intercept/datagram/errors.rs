//! ICMP errors that answers to clients met: the kernel queues them beside a listener's datagrams.
//!
//! May enter: what the kernel has queued. Deliberately absent: which answer it was, and what follows from it:
//! anybody on the way can send such an error, so none ends a session.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

use super::ControlRoom;

#[cfg(test)]
mod tests;

/// What an answer met on its way to a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientError {
    /// The client's host is there, and nobody has the port any more.
    PortUnreachable,
    /// The datagram is larger than somebody on the way lets through.
    TooBig,
    /// The client's host or network cannot be reached, or a filter says so.
    Unreachable,
    /// Anything else.
    Other,
}

impl ClientError {
    /// The `why` in metrics. Stable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PortUnreachable => "port_unreachable",
            Self::TooBig => "too_big",
            Self::Unreachable => "unreachable",
            Self::Other => "other",
        }
    }

    /// By the type and code of the ICMP message (RFC 792, RFC 4443), or by what the kernel itself found.
    const fn of(error: &libc::sock_extended_err) -> Self {
        match (error.ee_origin, error.ee_type, error.ee_code) {
            (libc::SO_EE_ORIGIN_ICMP, 3, 3) | (libc::SO_EE_ORIGIN_ICMP6, 1, 4) => {
                Self::PortUnreachable
            }
            (libc::SO_EE_ORIGIN_ICMP, 3, 4) | (libc::SO_EE_ORIGIN_ICMP6, 2, _) => Self::TooBig,
            (libc::SO_EE_ORIGIN_ICMP, 3, _) | (libc::SO_EE_ORIGIN_ICMP6, 1, _) => Self::Unreachable,
            (libc::SO_EE_ORIGIN_LOCAL, ..) if error.ee_errno == libc::EMSGSIZE as u32 => {
                Self::TooBig
            }
            _ => Self::Other,
        }
    }
}

/// Has the kernel queue them for `socket`. One of both families has both families' errors.
pub(super) fn ask_for(socket: &impl AsFd, is_dual: bool) -> nix::Result<()> {
    if is_dual {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
    }
    setsockopt(socket, sockopt::Ipv4RecvErr, &true)
}

/// The next one that is queued already.
pub(super) fn next(socket: &impl AsRawFd) -> Option<ClientError> {
    loop {
        let mut room = ControlRoom::new();
        // What the datagram said is of no use here.
        let mut nothing = [IoSliceMut::new(&mut [])];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let got = recvmsg::<()>(socket.as_raw_fd(), &mut nothing, Some(&mut room.0), flags);
        let got = match got {
            Err(Errno::EINTR) => continue,
            Err(_nothing_there) => return None,
            Ok(got) => got,
        };
        let error = got.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _)
            | ControlMessageOwned::Ipv6RecvErr(error, _) => Some(ClientError::of(&error)),
            _ => None,
        });
        return Some(error.unwrap_or(ClientError::Other));
    }
}
