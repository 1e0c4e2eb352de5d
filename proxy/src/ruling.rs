//! Shared noun: what podwall decided about one arrival, and why.
//!
//! The law's verdicts come from `podwall_policy`; the refusals below are the door-keeper's own, for
//! cases in which the law was not or could not be asked. All reasons share one namespace of labels.

use podwall_policy::object::ObjectName;
use podwall_policy::verdict::{AllowReason, DenyReason};

/// What podwall decided about one arrival.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// The decision and its reason.
    pub decision: Decision,
    /// The policy that admitted the arrival and the rule's index in it.
    pub admitted_by: Option<(ObjectName, u32)>,
    /// The pod that owns the source address, if one is known.
    pub peer: Option<ObjectName>,
    /// The state of the source that was asked; grows with every change that was taken in.
    pub generation: u64,
}

/// The decision and its reason.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Let in.
    Allow(AllowReason),
    /// The law says no. [`DenyReason::PeerUnknown`] may turn when more is known.
    Deny(DenyReason),
    /// The door-keeper says no.
    Refuse(Refusal),
}

/// Why the door-keeper refused without the law's word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The source has not delivered a whole state yet. May turn.
    NotSynced,
    /// The source knows no pod of the subject's name, or not its namespace. May turn.
    SubjectUnknown,
    /// Would have been held, but too many are held already.
    HoldFull,
    /// The original destination cannot be read: the redirect rules are missing.
    NotRedirected,
    /// The original destination is no address of this pod, or is loopback (P33, P34).
    NotThisPod,
    /// The client aimed at the relay's own port (P34).
    AimedAtRelay,
    /// More connections are open than `--max-connections` allows.
    OverCapacity,
    /// podwall is stopping.
    Draining,
}

impl Decision {
    /// Every label of a decision, for metrics and for the table in docs/operations.md.
    pub const REASONS: [&'static str; 14] = [
        AllowReason::NotIsolated.label(),
        "rule",
        AllowReason::Node.label(),
        AllowReason::Own.label(),
        DenyReason::NoRuleAdmits.label(),
        DenyReason::PeerUnknown.label(),
        Refusal::NotSynced.label(),
        Refusal::SubjectUnknown.label(),
        Refusal::HoldFull.label(),
        Refusal::NotRedirected.label(),
        Refusal::NotThisPod.label(),
        Refusal::AimedAtRelay.label(),
        Refusal::OverCapacity.label(),
        Refusal::Draining.label(),
    ];

    /// Whether the arrival may pass.
    #[must_use]
    pub const fn is_allow(self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// Whether asking again later may give another answer, so that holding the arrival is worth it.
    #[must_use]
    pub const fn may_turn(self) -> bool {
        matches!(
            self,
            Self::Deny(DenyReason::PeerUnknown)
                | Self::Refuse(Refusal::NotSynced | Refusal::SubjectUnknown)
        )
    }

    /// `allow` or `deny`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        if self.is_allow() { "allow" } else { "deny" }
    }

    /// The `reason` in metrics and logs. Stable: dashboards depend on it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Allow(reason) => reason.label(),
            Self::Deny(reason) => reason.label(),
            Self::Refuse(refusal) => refusal.label(),
        }
    }
}

impl Refusal {
    /// The `reason` in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotSynced => "not_synced",
            Self::SubjectUnknown => "subject_unknown",
            Self::HoldFull => "hold_full",
            Self::NotRedirected => "not_redirected",
            Self::NotThisPod => "not_this_pod",
            Self::AimedAtRelay => "aimed_at_relay",
            Self::OverCapacity => "over_capacity",
            Self::Draining => "draining",
        }
    }
}

impl From<Refusal> for Ruling {
    /// A refusal for which no state was asked.
    fn from(refusal: Refusal) -> Self {
        Self {
            decision: Decision::Refuse(refusal),
            admitted_by: None,
            peer: None,
            generation: 0,
        }
    }
}
