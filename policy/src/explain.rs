//! After a denial: which policies isolate the subject, and by how little each one missed.

use crate::object::ObjectName;

/// The nearest miss of one policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Miss {
    /// The policy.
    pub policy: ObjectName,
    /// The rule that came nearest, zero-based; `None` where the policy has no rule for the direction.
    pub rule: Option<u32>,
    /// Which clause of the rule failed.
    pub clause: Clause,
    /// What was asked and what was there, in words.
    pub detail: String,
}

/// Which clause of a rule failed, from the nearest to the farthest miss.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Clause {
    /// The peer matches, the port does not.
    Port,
    /// The peer matches, the port's name is declared by no container of the destination (S56).
    NamedPort,
    /// The address is in an `ipBlock` but one of its exceptions takes it out.
    Except,
    /// It depends on who the peer is, and that is not known.
    PeerUnknown,
    /// It depends on the labels of the peer's namespace, and those are not known.
    NamespaceUnknown,
    /// It depends on the peer's address, and it has none yet.
    AddressUnknown,
    /// The namespace matches, the pod's labels do not.
    PodLabels,
    /// The namespace's labels do not match.
    NamespaceLabels,
    /// The rule speaks of pods of the policy's own namespace, and the peer is in another one.
    OtherNamespace,
    /// The address is in no `ipBlock` of the rule.
    IpBlock,
    /// The rule speaks of pods, and the peer is none.
    NotAPod,
    /// The rule has a part that cannot be read and admits nobody (P26).
    Unreadable,
    /// The policy has no rule for this direction: it admits nobody.
    NoRules,
}

impl Clause {
    /// The `clause` in logs and JSON. Stable.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::NamedPort => "named_port",
            Self::Except => "except",
            Self::PeerUnknown => "peer_unknown",
            Self::NamespaceUnknown => "namespace_unknown",
            Self::AddressUnknown => "address_unknown",
            Self::PodLabels => "pod_labels",
            Self::NamespaceLabels => "namespace_labels",
            Self::OtherNamespace => "other_namespace",
            Self::IpBlock => "ip_block",
            Self::NotAPod => "not_a_pod",
            Self::Unreadable => "unreadable",
            Self::NoRules => "no_rules",
        }
    }
}
