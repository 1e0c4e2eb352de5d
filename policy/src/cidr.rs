//! ipBlock: a range of addresses less its exceptions, read as tolerantly as the API server stores it.
//!
//! May enter: text and addresses. Deliberately absent: the host name resolver and any other way to
//! turn a name into an address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An `ipBlock`: in `cidr` and in none of `except` (S40).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IpBlock {
    /// The range, host bits masked off.
    pub cidr: IpNet,
    /// What is taken out of it. One that is not inside `cidr` takes out what it covers (S41).
    pub except: Vec<IpNet>,
}

impl IpBlock {
    /// Whether the block holds `address`, which must be canonical. Families never mix (S42).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidr.contains(&address) && !self.except.iter().any(|one| one.contains(&address))
    }
}

impl fmt::Display for IpBlock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.cidr)?;
        for (at, except) in self.except.iter().enumerate() {
            let word = if at == 0 { " except " } else { ", " };
            write!(out, "{word}{except}")?;
        }
        Ok(())
    }
}

/// What a tolerant reading had to change; each is worth a warning.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sloppiness {
    /// Host bits were set and have been masked off (S43).
    pub host_bits: bool,
    /// A part had leading zeros and was read as decimal (S44).
    pub leading_zeros: bool,
    /// It was a v4-mapped IPv6 range and became the IPv4 range (S45).
    pub v4_mapped: bool,
}

/// The text is no CIDR.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no CIDR; write ADDRESS/PREFIX, for example 10.0.0.0/8 or fd00::/8")]
pub struct NotACidr(pub String);

/// Reads a CIDR as the API server's tolerant parser does and tells what it had to overlook.
///
/// # Errors
/// Where the text is no address, a slash and a prefix length that fits the family.
pub fn parse(text: &str) -> Result<(IpNet, Sloppiness), NotACidr> {
    let wrong = || NotACidr(text.to_owned());
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    let plain =
        !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|one| one.is_ascii_digit());
    let prefix: u8 = if plain {
        prefix.parse().map_err(|_| wrong())?
    } else {
        return Err(wrong());
    };
    let (address, leading_zeros) = tolerant_address(address).ok_or_else(wrong)?;
    let (net, v4_mapped) = net_of(address, prefix).ok_or_else(wrong)?;
    let masked = net.trunc();
    let sloppiness = Sloppiness {
        host_bits: masked.addr() != net.addr(),
        leading_zeros,
        v4_mapped,
    };
    Ok((masked, sloppiness))
}

/// The range, and whether it was v4-mapped. A mapped range wider than all of IPv4 stays IPv6.
fn net_of(address: IpAddr, prefix: u8) -> Option<(IpNet, bool)> {
    match address {
        IpAddr::V4(v4) => Some((Ipv4Net::new(v4, prefix).ok()?.into(), false)),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) if (96..=128).contains(&prefix) => {
                Some((Ipv4Net::new(v4, prefix - 96).ok()?.into(), true))
            }
            _ => Some((Ipv6Net::new(v6, prefix).ok()?.into(), false)),
        },
    }
}

/// An address, leading zeros of IPv4 parts read as decimal; and whether there were any.
fn tolerant_address(text: &str) -> Option<(IpAddr, bool)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address, false));
    }
    if let Some(v4) = tolerant_v4(text) {
        return Some((v4.into(), true));
    }
    // ::ffff:010.0.0.1: only the dotted tail can carry leading zeros that std refuses.
    let (head, tail) = text.rsplit_once(':')?;
    let v4 = tolerant_v4(tail)?;
    let v6: Ipv6Addr = format!("{head}:{v4}").parse().ok()?;
    Some((v6.into(), true))
}

fn tolerant_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.bytes().all(|one| one.is_ascii_digit());
        let trimmed = part.trim_start_matches('0');
        let value = if trimmed.is_empty() { "0" } else { trimmed };
        *octet = if digits {
            value.parse().ok()?
        } else {
            return None;
        };
    }
    parts.next().is_none().then(|| octets.into())
}

#[cfg(test)]
mod tests;
