//! Whom one may call. podwall stands at the callee's door, so on the wire these cases show that a policy of egress
//! isolates nobody for ingress; their lines with `->` are what the engine says.

use super::{A, A_OUT, ALL_OUT, IN_Y, spec};
use crate::conformance::table::{Case, case, policies};

pub fn cases() -> Vec<Case> {
    let on = |port: &str| spec(ALL_OUT, &format!("egress: [{{ ports: [{port}] }}]"));
    let to = |peer: &str| spec(A_OUT, &format!("egress: [{{ to: [{{ {peer} }}] }}]"));
    let y_a = format!("{IN_Y}, podSelector: {{ matchLabels: {{ pod: a }} }}");
    let from_x_a = |pod: &str| {
        format!(
            "{{ podSelector: {{ matchLabels: {{ pod: {pod} }} }}, policyTypes: [Ingress], ingress: [{{ from: [{{ \
             namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: x }} }}, \
             podSelector: {{ matchLabels: {{ pod: a }} }} }}] }}] }}"
        )
    };
    let block = |rest4: &str, rest6: &str| {
        spec(
            A_OUT,
            &format!(
                "egress: [{{ to: [{{ ipBlock: {{ {rest4} }} }}, {{ ipBlock: {{ {rest6} }} }}] }}]"
            ),
        )
    };
    // The /4 around every pod of the lab, per family.
    let all_but_b = block(
        "cidr: 0.0.0.0/4, except: [<x/b 4>/32]",
        "cidr: 'f000::/4', except: ['<x/b 6>/128']",
    );
    let only_b = block("cidr: <x/b 4>/32", "cidr: '<x/b 6>/128'");
    vec![
        case(
            "a port of the callee by its name",
            [policies(&[("x", "named", &on("{ port: serve-80-tcp }"))])
                .tcp(80, "")
                .tcp(81, "x/* -> nobody")],
        ),
        case(
            "one pod may call nobody",
            [policies(&[("x", "quiet", &spec(A_OUT, "egress: []"))]).tcp(80, "x/a -> nobody")],
        ),
        case(
            "a namespace may call nobody",
            [policies(&[("x", "quiet", &spec(ALL_OUT, "egress: []"))]).tcp(80, "x/* -> nobody")],
        ),
        case(
            "ingress and egress in one policy",
            [policies(&[(
                "x",
                "both",
                "{ podSelector: { matchLabels: { pod: a } }, policyTypes: [Ingress, Egress], \
                 ingress: [{ from: [{ podSelector: { matchLabels: { pod: b } } }] }], \
                 egress: [{ ports: [{ port: 80 }] }] }",
            )])
            .tcp(80, "x/a <- x/b")
            .tcp(81, "x/a <- x/b\n x/a -> nobody")],
        ),
        case(
            "a callee that would let it in does not help a caller that may not call",
            [policies(&[
                ("x", "to-y-a", &to(&y_a)),
                ("y", "a-from-x-a", &from_x_a("a")),
                ("y", "b-from-x-a", &from_x_a("b")),
            ])
            .tcp(80, "y/a <- x/a\n y/b <- x/a\n x/a -> y/a")],
        ),
        case(
            "one pod may call one pod of another namespace",
            [policies(&[("x", "to-y-a", &to(&y_a))]).tcp(80, "x/a -> y/a")],
        ),
        case(
            "a policy that lets all out outweighs a narrower one",
            [
                policies(&[("x", "on-80", &on("{ port: 80 }"))]).tcp(81, "x/* -> nobody"),
                policies(&[
                    ("x", "on-80", &on("{ port: 80 }")),
                    ("x", "open", &spec(ALL_OUT, "egress: [{}]")),
                ])
                .tcp(81, ""),
            ],
        ),
        case(
            "a callee by its address",
            [policies(&[(
                "x",
                "block",
                &block("cidr: <y/b 4>/32", "cidr: '<y/b 6>/128'"),
            )])
            .tcp(80, "x/a -> y/b")],
        ),
        case(
            "a block of addresses but one",
            [policies(&[("x", "block", &all_but_b)]).tcp(80, "x/a -> x/a x/c y/* z/*")],
        ),
        case(
            "an address that one policy leaves out and its next form lets in",
            [
                policies(&[("x", "block", &all_but_b)]).tcp(80, "x/a -> x/a x/c y/* z/*"),
                policies(&[("x", "block", &only_b)]).tcp(80, "x/a -> x/b"),
            ],
        ),
        case(
            "ingress and egress of one pod in two policies",
            [
                policies(&[("x", "out", &spec(A_OUT, "egress: [{}]"))]).tcp(80, ""),
                policies(&[
                    ("x", "out", &spec(A_OUT, "egress: [{}]")),
                    ("x", "in", &spec(A, "ingress: []")),
                ])
                .tcp(80, "x/a <- nobody"),
            ],
        ),
        case(
            "every namespace but one, by the label that its server gives it",
            [policies(&[(
                "x",
                "not-y",
                &to("namespaceSelector: { matchExpressions: \
                     [{ key: kubernetes.io/metadata.name, operator: NotIn, values: ['y'] }] }"),
            )])
            .tcp(80, "x/a -> x/* z/*")],
        ),
    ]
}
