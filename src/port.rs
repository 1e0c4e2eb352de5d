//! A port and its protocol as people write them, on every command line.

use podwall_policy::flow::Protocol;

/// A port and its protocol, as `80/TCP`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Port {
    /// The number, not zero.
    pub number: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl std::fmt::Display for Port {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.number, self.protocol)
    }
}

impl std::str::FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mend =
            || format!("{text:?} is no port; write NUMBER/PROTOCOL, for example 80/TCP or 53/UDP");
        let (number, protocol) = text.split_once('/').ok_or_else(mend)?;
        let number: u16 = number.parse().map_err(|_| mend())?;
        if number == 0 {
            return Err(mend());
        }
        let protocol = protocol.parse().map_err(|fault| format!("{fault}"))?;
        Ok(Self { number, protocol })
    }
}
