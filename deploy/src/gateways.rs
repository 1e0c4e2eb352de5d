//! The default gateways of this network namespace: on bridge networks the kubelet's probes come
//! from there (P10).
//!
//! May enter: the text of `/proc/net/route` and `/proc/net/ipv6_route`. Deliberately absent: any
//! other route, policy routing tables (these files show the main table).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::RedirectError;
use crate::wanted::Family;

/// `RTF_UP` and `RTF_GATEWAY` of linux/route.h: the route is in use and has a next hop.
const UP_AND_GATEWAY: u32 = 0x1 | 0x2;

/// Lists the default gateways of both families in the calling thread's network namespace,
/// sorted, each once.
///
/// # Errors
/// A route table is there but cannot be read. A kernel without IPv6 has no second table; that is
/// no error.
pub fn gateways() -> Result<Vec<IpAddr>, RedirectError> {
    // Of the thread, not of the process: /proc/net would show the main thread's namespace.
    let tables = [
        (Family::Ipv4, "/proc/thread-self/net/route"),
        (Family::Ipv6, "/proc/thread-self/net/ipv6_route"),
    ];
    let mut found = Vec::new();
    for (family, path) in tables {
        match std::fs::read_to_string(path) {
            Ok(text) => found.extend(parse(family, &text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(RedirectError::Routes { path, source }),
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Reads the next hops of the default routes out of a route table's text, in its order.
///
/// Lines that are no route (the header, a shorter line) are skipped.
fn parse(family: Family, text: &str) -> Vec<IpAddr> {
    let read = match family {
        Family::Ipv4 => route,
        Family::Ipv6 => ipv6_route,
    };
    text.lines()
        .filter_map(read)
        .filter(|gateway| !gateway.is_unspecified())
        .collect()
}

/// One line of `route`: interface, destination, gateway, flags, three counters, mask. Addresses
/// are eight hex digits of a number in the host's byte order.
fn route(line: &str) -> Option<IpAddr> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
    let (destination, gateway, flags, mask) = (number(1)?, number(2)?, number(3)?, number(7)?);
    let default = destination == 0 && mask == 0;
    (default && flags & UP_AND_GATEWAY == UP_AND_GATEWAY)
        .then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())))
}

/// One line of `ipv6_route`: destination, its prefix length, source, its prefix length, next hop,
/// metric, two counters, flags, interface. Addresses are 32 hex digits in network order.
fn ipv6_route(line: &str) -> Option<IpAddr> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |index: usize| u128::from_str_radix(fields.get(index)?, 16).ok();
    let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
    let default = address(0)? == 0 && number(1)? == 0;
    (default && number(8)? & UP_AND_GATEWAY == UP_AND_GATEWAY)
        .then_some(IpAddr::V6(Ipv6Addr::from(address(4)?)))
}

#[cfg(test)]
mod tests;
