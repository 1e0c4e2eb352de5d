//! Findings about documents: what is odd, where, and how to mend it.
//!
//! Deliberately absent: the decision whether a finding is fatal for a command; the caller has that.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Works, but reads differently than it looks, or was normalised.
    Warning,
    /// A part cannot be read. It matches nothing, or isolates more than was meant; never less.
    Error,
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Object and field: `NetworkPolicy shop/allow-cart: spec.ingress[0].from[1].ipBlock.cidr`.
    pub place: String,
    /// What is there.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Diagnostic {
    /// `error: PLACE: MESSAGE; HELP`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(
            out,
            "{word}: {}: {}; {}",
            self.place, self.message, self.help
        )
    }
}
