//! What this kernel cannot do, or not as well as it should, is said at start.

use std::io;

use crate::hold::HOLD_PLACES;
use crate::intercept::queue::PACKET_COST;
use crate::kernel::{CanDestroy, Sockets};

#[cfg(test)]
mod tests;

/// What is to be said of a queue in whose socket less than four times the hold finds room.
pub(super) fn shortage(number: u16, room: usize) -> Option<String> {
    let wanted = 4 * HOLD_PLACES;
    (room < wanted).then(|| {
        format!(
            "queue {number}: room for some {room} packets at once that are not read yet, further ones are dropped; NET_ADMIN \
             of a user namespace is bound by the node's net.core.rmem_max, which should be {} or more",
            wanted * PACKET_COST / 2
        )
    })
}

/// Whether the kernel can end a socket; says so where it cannot.
pub(super) fn can_destroy(sockets: &mut Sockets) -> io::Result<bool> {
    match sockets.can_destroy()? {
        CanDestroy::Yes => Ok(true),
        CanDestroy::KernelCannot => {
            tracing::warn!(
                "this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY): a connection that a change cuts is refused \
                 on the wire, but the application notices only when it sends or times out"
            );
            Ok(false)
        }
        CanDestroy::NotAllowed => Err(io::ErrorKind::PermissionDenied.into()),
    }
}
