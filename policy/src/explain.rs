//! After a denial: which policies isolate the subject, and by how little each one missed.
//!
//! The question is asked of the same table as the decision, by [`decide`](crate::decide) first, so
//! the two cannot disagree on whether there is anything to explain. Deliberately absent: the data
//! path; this may allocate and looks at every rule of the isolating policies. Facts are typed in
//! `nearest`; words are made in `detail` and [`render`] only.

mod detail;
mod nearest;
pub mod render;

use crate::compiled::Table;
use crate::decide::decide;
use crate::flow::Flow;
use crate::object::ObjectName;
use crate::peer::Peer;
use crate::selector::Picks;
use nearest::Asked;

/// How many policies [`misses`] names at most.
///
/// 32: more than a person reads in one log line, and it bounds that line to a few kilobytes. The
/// nearest ones are kept.
pub const MOST_MISSES: usize = 32;

/// Which policies isolate the subject and how near each came to admitting `flow`, nearest first.
///
/// Empty exactly where [`decide`] allows. Otherwise one miss for each policy that isolates the
/// subject in this direction, of its nearest rule: by [`Clause`], but first what is not certain, since
/// that made the verdict `peer_unknown`; equally near ones in the order of their names; at most
/// [`MOST_MISSES`]. Work is bounded by the rules of those policies; call it after a denial only.
#[must_use]
pub fn misses(table: &Table, flow: &Flow, peer: Peer<'_>) -> Vec<Miss> {
    if decide(table, flow, peer).is_allow() {
        return Vec::new();
    }
    let asked = Asked::of(table, flow, peer);
    let mut nearest: Vec<_> = table
        .isolating_policies(flow.direction)
        .filter_map(|policy| asked.nearest(policy))
        .collect();
    nearest.sort_by_key(nearest::Nearest::distance);
    nearest.truncate(MOST_MISSES);
    nearest
        .iter()
        .map(|one| detail::miss(&asked, one))
        .collect()
}

/// The nearest miss of one policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Miss {
    /// The policy.
    pub policy: ObjectName,
    /// The rule that came nearest, zero-based; `None` where the policy has no rule for the direction.
    pub rule: Option<u32>,
    /// Which clause of the rule failed.
    pub clause: Clause,
    /// Whether the peer is one of those the rule names.
    pub peer: Picks,
    /// What was asked and what was there, in words.
    pub detail: String,
}

/// Which clause of a rule failed, from the nearest to the farthest miss.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Clause {
    /// The port does not match; the peer does, or it makes no difference who that is.
    Port,
    /// The same, because the port's name is declared by no container of the destination (S56).
    NamedPort,
    /// The address is in an `ipBlock` but one of its exceptions takes it out.
    Except,
    /// It depends on who the peer is, and that is not known.
    PeerUnknown,
    /// It depends on the labels of the peer's namespace, and those are not known.
    NamespaceUnknown,
    /// It depends on the peer's address, and it has none yet.
    AddressUnknown,
    /// The pod's labels do not match; its namespace does, or is not known.
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

#[cfg(test)]
mod tests;
