//! A pod's addresses in little room: the usual one or two need no memory of their own.

use std::net::IpAddr;

use podwall_policy::object::Pod;

/// Addresses in a fixed order, each once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Addresses {
    /// At most one of each family is what a pod of one network has.
    Few([Option<IpAddr>; 2]),
    /// Three or more.
    Many(Box<[IpAddr]>),
}

impl Addresses {
    /// None at all.
    pub(super) const NONE: Self = Self::Few([None; 2]);

    /// The addresses by which a pod can be found: all of its own (S75), none of its node's (S67).
    pub(super) fn of(pod: &Pod) -> Self {
        if pod.host_network {
            return Self::NONE;
        }
        let mut found: Vec<IpAddr> = Vec::with_capacity(pod.addresses.len());
        for address in pod.addresses.iter().map(IpAddr::to_canonical) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        match found[..] {
            [] => Self::NONE,
            [only] => Self::Few([Some(only), None]),
            [first, second] => Self::Few([Some(first), Some(second)]),
            _ => Self::Many(found.into()),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> {
        let (few, many) = match self {
            Self::Few(few) => (&few[..], &[][..]),
            Self::Many(many) => (&[][..], &many[..]),
        };
        few.iter().flatten().chain(many).copied()
    }

    /// The one at that place of the order.
    pub(super) fn get(&self, place: u32) -> Option<IpAddr> {
        let place = place as usize;
        match self {
            Self::Few(few) => few.get(place).copied().flatten(),
            Self::Many(many) => many.get(place).copied(),
        }
    }
}
