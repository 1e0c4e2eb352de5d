//! Who may enter: peers by pod, by namespace, by both.

use super::{A, ALL, IN_Y, NOT_IN_X, spec};
use crate::conformance::table::{Case, case, policies};

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "an ingress policy without rules closes its namespace",
            [policies(&[("x", "closed", &spec(ALL, "ingress: []"))]).tcp(80, "x/* <- nobody")],
        ),
        case(
            "a policy of both types without rules closes its namespace both ways",
            [policies(&[(
                "x",
                "closed",
                "{ podSelector: {}, policyTypes: [Ingress, Egress] }",
            )])
            .tcp(80, "x/* <- nobody\n x/* -> nobody")],
        ),
        case(
            "a pod selector admits pods of the policy's own namespace only",
            [one(&from("podSelector: { matchLabels: { pod: b } }")).tcp(80, "x/a <- x/b")],
        ),
        case(
            "one pod is opened to everybody in a closed namespace",
            [policies(&[
                ("x", "closed", &spec(ALL, "ingress: []")),
                (
                    "x",
                    "open",
                    &spec(A, &from("podSelector: {}, namespaceSelector: {}")),
                ),
            ])
            .tcp(80, "x/a <- everybody\n x/* <- nobody")],
        ),
        case(
            "an empty namespace selector admits the pods of every namespace",
            [one(&from("namespaceSelector: {}")).tcp(80, "x/a <- everybody")],
        ),
        case(
            "a namespace selector admits another namespace and not the own",
            [one(&from(IN_Y)).tcp(80, "x/a <- y/*")],
        ),
        case(
            "a pod selector by expression",
            [one(&from(
                "podSelector: { matchExpressions: [{ key: pod, operator: In, values: [b] }] }",
            ))
            .tcp(80, "x/a <- x/b")],
        ),
        case(
            "a namespace selector by expression",
            [one(&from(
                "namespaceSelector: { matchExpressions: \
                     [{ key: kubernetes.io/metadata.name, operator: In, values: ['y'] }] }",
            ))
            .tcp(80, "x/a <- y/*")],
        ),
        case(
            "two list items: the namespace or the pod",
            [one(&format!(
                "ingress: [{{ from: [{{ {NOT_IN_X} }}, {{ podSelector: {{ matchLabels: {{ pod: b }} }} }}] }}]"
            ))
            .tcp(80, "x/a <- y/* z/* x/b")],
        ),
        case(
            "one list item: the namespace and the pod",
            [one(&from(&format!(
                "{NOT_IN_X}, podSelector: {{ matchLabels: {{ pod: b }} }}"
            )))
            .tcp(80, "x/a <- y/b z/b")],
        ),
        case(
            "several pods of several namespaces by expressions",
            [one(&from(&format!(
                "{NOT_IN_X}, podSelector: {{ matchExpressions: [{{ key: pod, operator: In, values: [b, c] }}] }}"
            )))
            .tcp(80, "x/a <- y/b y/c z/b z/c")],
        ),
        case(
            "two pod selectors: the one or the other",
            [one(
                "ingress: [{ from: [{ podSelector: { matchLabels: { pod: b } } }, \
                     { podSelector: { matchLabels: { pod: c } } }] }]",
            )
            .tcp(80, "x/a <- x/b x/c")],
        ),
        case(
            "one pod of one other namespace",
            [one(&from(&format!(
                "{IN_Y}, podSelector: {{ matchLabels: {{ pod: a }} }}"
            )))
            .tcp(80, "x/a <- y/a")],
        ),
        case(
            "an empty pod selector admits the own namespace and no other",
            [policies(&[("x", "own", &spec(ALL, &from("podSelector: {}")))]).tcp(80, "x/* <- x/*")],
        ),
        case(
            "a namespace by the label that its server gives it",
            [one(&from(
                "namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: 'y' } }",
            ))
            .tcp(80, "x/a <- y/*")],
        ),
    ]
}

fn from(peer: &str) -> String {
    format!("ingress: [{{ from: [{{ {peer} }}] }}]")
}

/// x/a under one policy.
fn one(rules: &str) -> crate::conformance::table::Step {
    policies(&[("x", "one", &spec(A, rules))])
}
