//! What the sample contained, so that a generator that never reaches a branch is noticed.

use std::collections::BTreeMap;

use podwall_policy::explain::Miss;
use podwall_policy::flow::Direction;
use podwall_policy::verdict::Verdict;

/// Every reason of a verdict, in both directions.
const REASONS: [&str; 6] = [
    "not_isolated",
    "rule",
    "node",
    "own",
    "no_rule_admits",
    "peer_unknown",
];

/// Every clause of a nearest miss, in both directions.
const CLAUSES: [&str; 13] = [
    "port",
    "named_port",
    "except",
    "peer_unknown",
    "namespace_unknown",
    "address_unknown",
    "pod_labels",
    "namespace_labels",
    "other_namespace",
    "ip_block",
    "not_a_pod",
    "unreadable",
    "no_rules",
];

/// Counts of what was seen.
#[derive(Default)]
pub struct Tally {
    /// Questions compared.
    pub compared: usize,
    /// Verdicts that were certain without knowing something, compared with what they became when it
    /// was known.
    pub refined: usize,
    seen: BTreeMap<String, usize>,
}

impl Tally {
    pub fn hear(&mut self, direction: Direction, verdict: Verdict, misses: &[Miss]) {
        self.compared += 1;
        self.count(format!("{} {}", direction.label(), verdict.reason()));
        for miss in misses {
            self.count(format!(
                "{} miss {}",
                direction.label(),
                miss.clause.label()
            ));
        }
    }

    /// Takes in what another sample contained.
    pub fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.refined += other.refined;
        for (what, times) in other.seen {
            *self.seen.entry(what).or_default() += times;
        }
    }

    fn count(&mut self, what: String) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Fails unless each reason and clause came up at least `least` times in each direction.
    pub fn assert_everything_occurs(&self, least: usize) {
        let mut wanted = Vec::new();
        for side in ["ingress", "egress"] {
            wanted.extend(REASONS.map(|reason| format!("{side} {reason}")));
            wanted.extend(CLAUSES.map(|clause| format!("{side} miss {clause}")));
        }
        let seen = |what: &String| self.seen.get(what).copied().unwrap_or(0);
        let rare: Vec<_> = wanted.iter().filter(|what| seen(what) < least).collect();
        assert!(rare.is_empty(), "too rare: {rare:?} in {:#?}", self.seen);
        let strange: Vec<_> = self
            .seen
            .keys()
            .filter(|what| !wanted.contains(what))
            .collect();
        assert!(strange.is_empty(), "no such reason or clause: {strange:?}");
    }
}
