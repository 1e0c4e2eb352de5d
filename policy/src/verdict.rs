//! The answer: allow or deny, each with its reason and, where a rule decided, that rule.
//!
//! Deliberately absent: a `Default`, a conversion to bool other than [`Verdict::is_allow`], and the
//! door-keeper's own refusals, which are not the law's.

/// One rule of one table. Ask the table for its name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RuleId {
    pub(crate) generation: u64,
    pub(crate) index: u32,
}

/// What the law says of one flow.
///
/// Exhaustive on purpose: a new reason must break every log and metric that forgot it.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The flow may pass.
    Allow(AllowReason),
    /// The flow may not pass.
    Deny(DenyReason),
}

/// Why a flow may pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AllowReason {
    /// No policy selects the subject for this direction (S1).
    NotIsolated,
    /// This rule admits it.
    Rule(RuleId),
    /// The peer is the subject's own node (S63).
    Node,
    /// The peer is the subject itself (S68).
    Own,
}

/// Why a flow may not pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DenyReason {
    /// The subject is isolated and no rule admits this peer on this port.
    NoRuleAdmits,
    /// The answer depends on something that is not known: who the peer is, what labels its
    /// namespace has, or which address it has. Worth asking again when more is known.
    PeerUnknown,
}

impl Verdict {
    /// Whether the flow may pass.
    #[must_use]
    pub const fn is_allow(self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// `allow` or `deny`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Deny(_) => "deny",
        }
    }

    /// The `reason` in metrics, logs and JSON. Stable: dashboards depend on it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Allow(reason) => reason.label(),
            Self::Deny(reason) => reason.label(),
        }
    }

    /// The rule that admitted the flow, if one did.
    #[must_use]
    pub const fn rule(self) -> Option<RuleId> {
        match self {
            Self::Allow(AllowReason::Rule(rule)) => Some(rule),
            Self::Allow(_) | Self::Deny(_) => None,
        }
    }
}

impl AllowReason {
    /// The `reason` in metrics, logs and JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotIsolated => "not_isolated",
            Self::Rule(_) => "rule",
            Self::Node => "node",
            Self::Own => "own",
        }
    }
}

impl DenyReason {
    /// The `reason` in metrics, logs and JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoRuleAdmits => "no_rule_admits",
            Self::PeerUnknown => "peer_unknown",
        }
    }
}

#[cfg(test)]
mod tests;
