//! Label selectors.

use podwall_policy::selector::Selector;

use super::policy;

/// The selector in kubectl's spelling.
#[track_caller]
fn selector(text: &str) -> (String, Vec<String>) {
    let (policy, mut found) = policy(&format!("{{podSelector: {text}}}"));
    if policy.subjects == Selector::Broken {
        // Says that every pod is isolated; tested elsewhere.
        found.pop();
    }
    (policy.subjects.to_string(), found)
}

#[test]
fn s32_to_s36_selectors_that_can_be_read() {
    for (text, wanted) in [
        ("{}", "{}"),
        ("{matchLabels: {}}", "{}"),
        ("{matchLabels: null, matchExpressions: null}", "{}"),
        ("{matchExpressions: []}", "{}"),
        ("{matchLabels: {b: x, a: \"\"}}", "a=,b=x"),
        (
            "{matchLabels: {app.kubernetes.io/name: web}}",
            "app.kubernetes.io/name=web",
        ),
        (
            "{matchExpressions: [{key: a, operator: In, values: [x, \"\"]}]}",
            "a in (x,)",
        ),
        (
            "{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}",
            "a notin (x)",
        ),
        ("{matchExpressions: [{key: a, operator: Exists}]}", "a"),
        (
            "{matchExpressions: [{key: a, operator: Exists, values: []}]}",
            "a",
        ),
        (
            "{matchExpressions: [{key: a, operator: DoesNotExist, values: null}]}",
            "!a",
        ),
        (
            "{matchLabels: {z: x}, matchExpressions: [{key: a, operator: Exists}]}",
            "z=x,a",
        ),
    ] {
        assert_eq!(selector(text), (wanted.to_owned(), vec![]), "{text}");
    }
}

#[test]
fn s33_to_s39_one_fault_breaks_the_whole_selector() {
    for (text, words) in [
        (
            "{matchExpressions: [{key: a, operator: In}]}",
            "values: In and NotIn need at least one value",
        ),
        (
            "{matchExpressions: [{key: a, operator: NotIn, values: []}]}",
            "In and NotIn need at least one value",
        ),
        (
            "{matchExpressions: [{key: a, operator: Exists, values: [x]}]}",
            "Exists and DoesNotExist take no values",
        ),
        (
            "{matchExpressions: [{key: a, operator: DoesNotExist, values: [x]}]}",
            "take no values",
        ),
        (
            "{matchExpressions: [{key: a, operator: Like, values: [x]}]}",
            "operator: \"Like\" is no operator; write In, NotIn",
        ),
        (
            "{matchExpressions: [{key: a, operator: in, values: [x]}]}",
            "\"in\" is no operator",
        ),
        ("{matchExpressions: [{key: a}]}", "nothing is no operator"),
        (
            "{matchExpressions: [{operator: Exists}]}",
            "key: no key is named",
        ),
        (
            "{matchExpressions: [{key: 7, operator: Exists}]}",
            "key: the number 7 is no text",
        ),
        (
            "{matchExpressions: [{key: a, operator: In, values: x}]}",
            "values: \"x\" is no list",
        ),
        (
            "{matchExpressions: [{key: a, operator: In, values: [x, 7]}]}",
            "values[1]: the number 7 is no text; quote it",
        ),
        (
            "{matchExpressions: [{key: a, operator: In, values: [null]}]}",
            "values[0]: null is no label value",
        ),
        (
            "{matchExpressions: [{key: a, operator: In, values: [x y]}]}",
            "\"x y\" is no label value",
        ),
        (
            "{matchExpressions: [{key: a, operator: Exists, value: x}]}",
            "did you mean `values`?",
        ),
        (
            "{matchExpressions: [null]}",
            "matchExpressions[0]: an empty item is no expression",
        ),
        (
            "{matchExpressions: {key: a}}",
            "matchExpressions: a mapping is no list",
        ),
        (
            "{matchLabels: {app: 1}}",
            "matchLabels.app: the number 1 is no text; quote it",
        ),
        (
            "{matchLabels: {app: yes}}",
            "matchLabels.app: the truth value true is no text; quote it",
        ),
        (
            "{matchLabels: {app: null}}",
            "matchLabels.app: null is no label value; write \"\"",
        ),
        ("{matchLabels: {app: [a]}}", "a list is no text"),
        ("{matchLabels: {app: -x}}", "\"-x\" is no label value"),
        (
            "{matchLabels: {\"a b\": x}}",
            "matchLabels[\"a b\"]: \"a b\" is no label key",
        ),
        (
            "{matchLabels: {Up.per/x: x}}",
            "\"Up.per/x\" is no label key",
        ),
        ("{matchLabels: [a]}", "matchLabels: a list is no mapping"),
        (
            "{app: web}",
            "app: unknown field, so this selector cannot be understood",
        ),
        ("app=web", "podSelector: \"app=web\" is no mapping"),
    ] {
        let (read, found) = selector(text);
        assert_eq!(read, "<unreadable>", "{text}");
        assert!(
            found.len() == 1 && found[0].contains(words),
            "{text}: {found:?}, wanted {words}"
        );
        assert!(
            found[0].starts_with("error: NetworkPolicy shop/p: spec.podSelector"),
            "{found:?}"
        );
    }
}

#[test]
fn s38_a_label_value_of_63_letters_is_the_longest() {
    let fits = "x".repeat(63);
    assert_eq!(
        selector(&format!("{{matchLabels: {{a: {fits}}}}}")).0,
        format!("a={fits}")
    );
    assert_eq!(
        selector(&format!("{{matchLabels: {{a: {fits}x}}}}")).0,
        "<unreadable>"
    );
}

#[test]
fn every_fault_of_a_selector_is_reported() {
    let text = "{matchLabels: {a: 1, b: 2}, matchExpressions: [{key: c, operator: Like}, {key: d, operator: In}]}";
    assert_eq!(selector(text).1.len(), 4);
}
