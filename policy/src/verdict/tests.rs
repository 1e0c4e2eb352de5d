use super::{AllowReason, DenyReason, RuleId, Verdict};

const RULE: RuleId = RuleId {
    generation: 1,
    index: 2,
};

#[test]
fn the_words_that_dashboards_depend_on() {
    for (verdict, label, reason) in [
        (
            Verdict::Allow(AllowReason::NotIsolated),
            "allow",
            "not_isolated",
        ),
        (Verdict::Allow(AllowReason::Rule(RULE)), "allow", "rule"),
        (Verdict::Allow(AllowReason::Node), "allow", "node"),
        (Verdict::Allow(AllowReason::Own), "allow", "own"),
        (
            Verdict::Deny(DenyReason::NoRuleAdmits),
            "deny",
            "no_rule_admits",
        ),
        (
            Verdict::Deny(DenyReason::PeerUnknown),
            "deny",
            "peer_unknown",
        ),
    ] {
        assert_eq!((verdict.label(), verdict.reason()), (label, reason));
        assert_eq!(verdict.is_allow(), label == "allow");
    }
}

#[test]
fn only_a_rule_names_a_rule() {
    assert_eq!(Verdict::Allow(AllowReason::Rule(RULE)).rule(), Some(RULE));
    assert_eq!(Verdict::Allow(AllowReason::Node).rule(), None);
    assert_eq!(Verdict::Deny(DenyReason::NoRuleAdmits).rule(), None);
}

#[test]
fn a_verdict_is_small() {
    assert!(size_of::<Verdict>() <= 24, "{} bytes", size_of::<Verdict>());
}
