//! The addresses of this network namespace.
//!
//! May enter: what the kernel lists. Deliberately absent: any judgement about them.

use std::net::IpAddr;

use crate::error::RedirectError;

/// Lists every address of every interface in the network namespace of the calling thread,
/// canonical, sorted, each once, loopback and link-local ones included (the latter by a feature of
/// if-addrs that is off by default).
///
/// # Errors
/// The kernel did not list them.
pub fn own_addresses() -> Result<Vec<IpAddr>, RedirectError> {
    let interfaces = if_addrs::get_if_addrs().map_err(RedirectError::Addresses)?;
    let mut own: Vec<IpAddr> = interfaces
        .iter()
        .map(|interface| interface.ip().to_canonical())
        .collect();
    own.sort_unstable();
    own.dedup();
    Ok(own)
}

/// Whether a pod with these addresses can be reached over IPv6: it has a v6 address other than
/// `::1`, link-local ones included.
pub(crate) fn reachable_over_v6(own: &[IpAddr]) -> bool {
    own.iter()
        .any(|address| address.is_ipv6() && !address.is_loopback())
}

#[cfg(test)]
mod tests;
