//! What changes while everything runs: policies, labels of pods, labels of namespaces.

use super::{A, ALL, spec};
use crate::conformance::table::{Case, Change, case, change, policies};

pub fn cases() -> Vec<Case> {
    let from = |peer: &str| spec(A, &format!("ingress: [{{ from: [{{ {peer} }}] }}]"));
    let by_namespace = from("namespaceSelector: { matchLabels: { ns2: updated } }");
    let by_pod = from("podSelector: { matchLabels: { pod: b, pod2: updated } }");
    let isolated = "{ podSelector: { matchLabels: { target: isolated } }, policyTypes: [Ingress] }";
    vec![
        case(
            "an edited policy holds in its new form",
            [
                policies(&[("x", "edited", &spec(ALL, "ingress: [{}]"))]).tcp(81, ""),
                policies(&[("x", "edited", &spec(ALL, "ingress: []"))]).tcp(81, "x/* <- nobody"),
            ],
        ),
        case(
            "a namespace gets the label that admits it",
            [
                policies(&[("x", "labelled", &by_namespace)]).tcp(80, "x/a <- nobody"),
                change(Change::Namespace("y", &[("ns2", "updated")])).tcp(80, "x/a <- y/*"),
            ],
        ),
        case(
            "a pod gets the label that admits it",
            [
                policies(&[("x", "labelled", &by_pod)]).tcp(80, "x/a <- nobody"),
                change(Change::Pod("x/b", &[("pod2", "updated")])).tcp(80, "x/a <- x/b"),
            ],
        ),
        case(
            "a pod gets the label that isolates it",
            [
                policies(&[("x", "isolating", isolated)]).tcp(80, ""),
                change(Change::Pod("x/a", &[("target", "isolated")])).tcp(80, "x/a <- nobody"),
            ],
        ),
        case(
            "a policy that is gone holds no more",
            [
                policies(&[(
                    "x",
                    "closed",
                    "{ podSelector: {}, policyTypes: [Ingress, Egress] }",
                )])
                .tcp(80, "x/* <- nobody\n x/* -> nobody"),
                policies(&[]).tcp(80, ""),
            ],
        ),
    ]
}
