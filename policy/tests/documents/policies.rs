//! `spec` of a NetworkPolicy: types, rules, and what stands in for what cannot be read.

use podwall_policy::selector::Selector;
use podwall_policy::spec::{PeerSpec, Peers, Ports, Rule};

use super::{check_found, policy, read};

/// Whether ingress and egress are isolated, by how many rules each.
#[track_caller]
fn sides(spec: &str) -> (Option<usize>, Option<usize>) {
    let (policy, _) = policy(spec);
    (
        policy.ingress.map(|rules| rules.len()),
        policy.egress.map(|rules| rules.len()),
    )
}

fn admits_nobody() -> Rule {
    Rule {
        peers: Peers::OneOf(vec![PeerSpec::Broken]),
        ports: Ports::Any,
    }
}

#[test]
fn s05_a_missing_pod_selector_selects_all() {
    for spec in ["{}", "{podSelector: {}}", "{podSelector: null}", "null"] {
        let (policy, found) = policy(spec);
        assert_eq!(policy.subjects, Selector::everything(), "{spec}");
        assert_eq!(found, Vec::<String>::new(), "{spec}");
    }
}

#[test]
fn s08_a_policy_being_deleted_still_isolates_and_is_reported() {
    let text = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, \
                metadata: {name: p, deletionTimestamp: \"2026-01-01T00:00:00Z\"}, spec: {}}";
    let read = read(text);
    let podwall_policy::object::Object::Policy(policy) = &read.objects[0] else {
        panic!("no policy");
    };
    assert!(policy.terminating && policy.ingress.is_some());
    assert!(read.diagnostics[0].to_string().contains("is being deleted"));
}

#[test]
fn s09_to_s13_policy_types_and_their_default() {
    for (spec, wanted) in [
        ("{}", (Some(0), None)),
        ("{policyTypes: null}", (Some(0), None)),
        ("{policyTypes: []}", (Some(0), None)),
        ("{egress: []}", (Some(0), None)),
        ("{egress: null}", (Some(0), None)),
        ("{egress: [{}]}", (Some(0), Some(1))),
        ("{egress: [{}], policyTypes: []}", (Some(0), Some(1))),
        ("{policyTypes: [Egress]}", (None, Some(0))),
        ("{policyTypes: [Egress], ingress: [{}]}", (None, Some(0))),
        ("{policyTypes: [Ingress], egress: [{}]}", (Some(0), None)),
        (
            "{policyTypes: [Egress, Ingress], ingress: [{}, {}]}",
            (Some(2), Some(0)),
        ),
    ] {
        assert_eq!(sides(spec), wanted, "{spec}");
        check_found(&policy(spec).1, &[]);
    }
}

#[test]
fn s14_an_unknown_type_beside_a_known_one_is_ignored_and_reported() {
    for (spec, wanted) in [
        ("{policyTypes: [Ingress, Sideways]}", (Some(0), None)),
        ("{policyTypes: [7, Egress]}", (None, Some(0))),
        (
            "{policyTypes: [ingress, null, Egress], ingress: [{}]}",
            (None, Some(0)),
        ),
    ] {
        assert_eq!(sides(spec), wanted, "{spec}");
        assert!(
            policy(spec).1[0].contains("is no policy type and is ignored; write Ingress or Egress")
        );
    }
}

#[test]
fn p26_types_that_cannot_be_read_isolate_both_ways_with_the_rules_there_are() {
    for types in [
        "Ingress",
        "{Ingress: true}",
        "[Sideways]",
        "[null]",
        "[1, 2]",
        "true",
    ] {
        let spec = format!("{{policyTypes: {types}, ingress: [{{}}]}}");
        assert_eq!(sides(&spec), (Some(1), Some(0)), "{spec}");
        assert!(!policy(&spec).1.is_empty(), "{spec} is not reported");
    }
}

#[test]
fn p26_a_spec_that_is_no_mapping_isolates_every_pod_both_ways() {
    for spec in ["[]", "text", "7"] {
        let (policy, found) = policy(spec);
        assert_eq!(policy.subjects, Selector::Broken, "{spec}");
        assert_eq!(
            (policy.ingress, policy.egress),
            (Some(vec![]), Some(vec![])),
            "{spec}"
        );
        assert!(
            found[0].starts_with("error: NetworkPolicy shop/p: spec: "),
            "{found:?}"
        );
    }
}

#[test]
fn p26_a_pod_selector_that_cannot_be_read_is_said_to_isolate_every_pod() {
    let (policy, found) = policy("{podSelector: {matchLabels: {app: 1}}}");
    assert_eq!(policy.subjects, Selector::Broken);
    check_found(
        &found,
        &[
            "spec.podSelector.matchLabels.app: the number 1 is no text; quote it, as in \"1\"",
            "spec.podSelector: cannot be read, so the policy isolates every pod of its namespace",
        ],
    );
}

#[test]
fn s15_and_s16_no_rule_and_one_empty_rule() {
    for spec in ["{ingress: []}", "{ingress: null}", "{}"] {
        assert_eq!(policy(spec).0.ingress, Some(vec![]), "{spec}");
    }
    let everybody = Rule {
        peers: Peers::Any,
        ports: Ports::Any,
    };
    assert_eq!(policy("{ingress: [{}]}").0.ingress, Some(vec![everybody]));
}

#[test]
fn s17_and_s18_missing_null_and_empty_lists_are_one() {
    for rule in ["{}", "{from: null, ports: null}", "{from: [], ports: []}"] {
        let (policy, found) = policy(&format!("{{ingress: [{rule}]}}"));
        let rules = policy.ingress.unwrap();
        assert_eq!(
            (&rules[0].peers, &rules[0].ports),
            (&Peers::Any, &Ports::Any),
            "{rule}"
        );
        check_found(&found, &[]);
    }
}

#[test]
fn p26_rules_that_are_no_list_admit_nobody_and_isolate() {
    for rules in ["{}", "{from: []}", "all", "1", "true"] {
        let (policy, found) = policy(&format!("{{egress: {rules}}}"));
        assert_eq!(policy.egress, Some(vec![admits_nobody()]), "{rules}");
        assert!(
            found[0].contains("spec.egress: ") && found[0].contains("is no list"),
            "{found:?}"
        );
    }
}

#[test]
fn p26_a_rule_that_is_no_object_admits_nobody_and_keeps_the_places_of_the_others() {
    for rule in ["null", "[]", "all", "1"] {
        let (policy, found) = policy(&format!("{{ingress: [{rule}, {{}}]}}"));
        let rules = policy.ingress.unwrap();
        assert_eq!(rules[0], admits_nobody(), "{rule}");
        assert_eq!(rules[1].peers, Peers::Any);
        assert!(
            found[0].starts_with("error: NetworkPolicy shop/p: spec.ingress[0]: "),
            "{found:?}"
        );
    }
}

#[test]
fn p26_peers_or_ports_that_are_no_list_match_nothing() {
    for (rule, field) in [
        ("{from: {podSelector: {}}}", "from"),
        ("{from: all}", "from"),
        ("{ports: 80}", "ports"),
    ] {
        let (policy, found) = policy(&format!("{{ingress: [{rule}]}}"));
        let rule = &policy.ingress.unwrap()[0];
        let nobody = rule.peers == Peers::OneOf(vec![PeerSpec::Broken]);
        let nowhere = rule.ports == Ports::OneOf(vec![podwall_policy::spec::PortSpec::Broken]);
        assert_eq!(
            (nobody, nowhere),
            (field == "from", field == "ports"),
            "{rule:?}"
        );
        assert!(
            found[0].contains(&format!("spec.ingress[0].{field}: ")),
            "{found:?}"
        );
    }
}

#[test]
fn an_unknown_field_of_spec_is_reported_with_the_word_it_may_have_meant() {
    let (policy, found) = policy("{ingres: [], podSelectr: {a: b}, egress: [], colour: red}");
    assert_eq!(policy.subjects, Selector::everything());
    check_found(
        &found,
        &[
            "warning: NetworkPolicy shop/p: spec.ingres: unknown field, which has no effect; did you mean `ingress`?",
            "spec.podSelectr: unknown field, which has no effect; did you mean `podSelector`?",
            "spec.colour: unknown field, which has no effect; remove it; known here: podSelector, policyTypes",
        ],
    );
}

#[test]
fn an_unknown_field_of_a_rule_never_widens_it() {
    for (rule, help) in [
        ("{form: [{podSelector: {}}]}", "did you mean `from`?"),
        ("{From: [{podSelector: {}}]}", "did you mean `from`?"),
        ("{from: [], port: [{port: 80}]}", "did you mean `ports`?"),
        ("{to: [{podSelector: {}}]}", "write `from`"),
    ] {
        let (policy, found) = policy(&format!("{{ingress: [{rule}]}}"));
        assert_eq!(
            policy.ingress.unwrap()[0].peers,
            Peers::OneOf(vec![PeerSpec::Broken]),
            "{rule}"
        );
        assert!(
            found[0].starts_with("error: ") && found[0].ends_with(help),
            "{found:?}"
        );
    }
}

#[test]
fn a_field_of_another_kind_is_seen_in_a_network_policy_too() {
    for field in ["volumes", "template", "containers"] {
        let (_, found) = policy(&format!("{{{field}: [{{a: b}}]}}"));
        check_found(&found, &[&format!("spec.{field}: unknown field")]);
    }
}
