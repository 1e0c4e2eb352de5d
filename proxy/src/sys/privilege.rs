//! The one privilege of mode queue, `NET_ADMIN`: taken up, and every other laid down.
//!
//! Capabilities belong to threads, and a thread gives its own to those that it starts. So this is for the
//! first thread of the process, before there are others.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
    set_capabilities,
};

#[cfg(test)]
mod tests;

/// What mode queue needs: to own a queue, to mark connections, to destroy sockets, to read the rules.
const NEEDED: CapabilitySet = CapabilitySet::NET_ADMIN;

/// What reading the rules of back end legacy needs beside it. Kept where it was given, never asked for.
const HELPFUL: CapabilitySet = CapabilitySet::NET_RAW;

/// Why the privilege cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The process may not have it.
    #[error(
        "mode queue needs the capability NET_ADMIN and this process may not have it; give the container \
         `capabilities: {{drop: [ALL], add: [NET_ADMIN]}}`, run it as root or give the file podwall the capability \
         (`setcap cap_net_admin+p`, which allowPrivilegeEscalation: false makes of no effect), or choose --mode redirect"
    )]
    Missing,
    /// The kernel refuses the call itself.
    #[error("the capabilities of this process cannot be changed: {0}")]
    Refused(#[source] io::Error),
}

/// Whether the calling thread has `NET_ADMIN` in force.
#[must_use]
pub fn has_net_admin() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(NEEDED))
}

/// Raises `NET_ADMIN` from "permitted" and lays down everything but it and `NET_RAW`. Programs that this process
/// runs, which read the rules, get what it keeps.
///
/// # Errors
/// Where the process may not have it.
pub fn keep_net_admin_only() -> Result<(), PrivilegeError> {
    let refused = |error: rustix::io::Errno| PrivilegeError::Refused(error.into());
    let had = capabilities(None).map_err(refused)?;
    if !had.permitted.contains(NEEDED) {
        return Err(PrivilegeError::Missing);
    }
    let keep = had.permitted & (NEEDED | HELPFUL);
    let sets = CapabilitySets {
        effective: keep,
        permitted: keep,
        inheritable: keep,
    };
    set_capabilities(None, sets).map_err(refused)?;
    for one in [NEEDED, HELPFUL] {
        if keep.contains(one) {
            // Only for a process that is not root: root's programs get theirs in any case.
            let _securebits_forbid = configure_capability_in_ambient_set(one, true);
        }
    }
    Ok(())
}
