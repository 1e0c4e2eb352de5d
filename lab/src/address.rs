//! The lab's addresses: which the node has, which the next pod gets, and the hardware address that goes with one.
//! Pure: makes no interface.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{LabError, LabResult};

/// The pods' IPv4 network.
pub(crate) const NET4: &str = "10.244.0.0/16";
/// The pods' IPv6 network.
pub(crate) const NET6: &str = "fd00:244::/64";
/// Address of the bridge, the pods' default gateway, from which the kubelet's probes come.
pub(crate) const GATEWAY4: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// The same in IPv6.
pub(crate) const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x244, 0, 0, 0, 0, 0, 1);
/// The node's own address, `status.hostIP` of every pod.
pub(crate) const HOST4: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
/// The same in IPv6.
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, 2);

/// Gives each pod a number, and by it a pair of addresses, never the same twice.
#[derive(Debug)]
pub(crate) struct Pool {
    next: u16,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { next: 2 }
    }

    /// The next pair. The 65,000th pod of one lab starts again from the first.
    pub(crate) fn next(&mut self) -> (Ipv4Addr, Ipv6Addr) {
        let number = self.next;
        self.next = match number.wrapping_add(1) {
            next if matches!(next & 0xff, 0 | 0xff) => {
                next.wrapping_add(if next & 0xff == 0 { 1 } else { 2 })
            }
            next => next,
        }
        .max(2);
        let [high, low] = number.to_be_bytes();
        (
            Ipv4Addr::new(10, 244, high, low),
            Ipv6Addr::new(0xfd00, 0x244, 0, 0, 0, 0, 0, number),
        )
    }
}

/// Refuses an address that the pods' networks do not hold, and the gateway's.
pub(crate) fn check(address: IpAddr) -> LabResult<()> {
    let inside = match address {
        IpAddr::V4(v4) => v4.octets()[..2] == GATEWAY4.octets()[..2],
        IpAddr::V6(v6) => v6.segments()[..4] == GATEWAY6.segments()[..4],
    };
    if !inside {
        return Err(LabError::AddressOutside {
            address,
            v4: NET4,
            v6: NET6,
        });
    }
    if address == GATEWAY4 || address == GATEWAY6 {
        return Err(LabError::AddressTaken {
            address,
            holder: "the node".to_owned(),
        });
    }
    Ok(())
}

/// The hardware address of the pod with this address. The same for the same address, so that a neighbour's cache
/// stays right when the address goes to a new pod.
pub(crate) fn hardware(address: IpAddr) -> String {
    let [a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [a, b, c, d]
        }
    };
    format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
