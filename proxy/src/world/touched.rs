//! Whose flows a change may have turned.

use std::collections::HashSet;
use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// Whose open connections must be judged again after a change (P28).
#[must_use]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Touched {
    /// Nobody's.
    #[default]
    Nothing,
    /// All.
    Everything,
    /// Those from these addresses.
    Addresses(HashSet<IpAddr>),
}

impl Touched {
    /// Those of `other` too.
    pub fn add(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Everything, _) | (_, Self::Nothing) => {}
            (Self::Addresses(these), Self::Addresses(others)) => these.extend(others),
            (Self::Nothing, _) | (_, Self::Everything) => *self = other.clone(),
        }
    }

    /// Takes what is here; nothing is left.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Whether those from `source` are among them.
    #[must_use]
    pub fn concerns(&self, source: IpAddr) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Addresses(addresses) => addresses.contains(&source),
        }
    }
}
