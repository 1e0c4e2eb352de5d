//! What the upstream suite does not ask, in the same style.

use super::table::{BOTH, Case, Change, Family, Protocol, Step, case, change, policies};

/// Selects x/a, and lists ingress only.
const A: &str = "podSelector: { matchLabels: { pod: a } }, policyTypes: [Ingress]";

pub fn cases() -> Vec<Case> {
    [ports(), blocks(), labels(), selectors()]
        .into_iter()
        .flatten()
        .collect()
}

fn one(rules: &str) -> Step {
    policies(&[("x", "one", &format!("{{ {A}, {rules} }}"))])
}

fn from(peer: &str) -> Step {
    one(&format!("ingress: [{{ from: [{{ {peer} }}] }}]"))
}

fn ports() -> Vec<Case> {
    let on = |port: &str| one(&format!("ingress: [{{ ports: [{port}] }}]"));
    vec![
        case(
            "S57: endPort ends a range that holds both its ends",
            [on("{ port: 80, endPort: 81 }")
                .tcp(80, "")
                .tcp(81, "")
                .tcp(82, "x/a <- nobody")],
        ),
        case(
            "S57: a range may have one port",
            [on("{ port: 81, endPort: 81 }")
                .tcp(80, "x/a <- nobody")
                .tcp(81, "")
                .tcp(82, "x/a <- nobody")],
        ),
        case(
            "S54: a port that a native sidecar declares has its name too",
            [on("{ port: serve-82-tcp }")
                .tcp(82, "")
                .tcp(81, "x/a <- nobody")],
        ),
        case(
            "S53: a name is that of one protocol",
            [on("{ port: serve-80-udp, protocol: UDP }")
                .tcp(80, "x/a <- nobody")
                .udp(80, "")
                .udp(81, "x/a <- nobody")],
        ),
        case(
            "S57: a range of UDP ports is none of TCP",
            [on("{ port: 80, endPort: 81, protocol: UDP }")
                .udp(81, "")
                .udp(82, "x/a <- nobody")
                .tcp(81, "x/a <- nobody")],
        ),
        case(
            "S50, S60: every port of SCTP, and no other protocol",
            [on("{ protocol: SCTP }")
                .ask(82, Protocol::Sctp, &BOTH, "")
                .tcp(80, "x/a <- nobody")
                .udp(80, "x/a <- nobody")],
        ),
        case(
            "S56: a name that nobody declares opens nothing",
            [on("{ port: serve-83-tcp }").tcp(80, "x/a <- nobody")],
        ),
        case(
            "S55: a name holds beside a block of addresses",
            [one(
                "ingress: [{ from: [{ ipBlock: { cidr: <y/a 4>/32 } }], ports: [{ port: serve-80-tcp }] }]",
            )
            .ask(80, Protocol::Tcp, &[Family::V4], "x/a <- y/a")
            .tcp(81, "x/a <- nobody")],
        ),
    ]
}

fn blocks() -> Vec<Case> {
    let both = "ingress: [{ from: [{ ipBlock: { cidr: 10.244.0.0/16, except: [<y/a 4>/32] } }, \
         { ipBlock: { cidr: 'fd00:244::/64', except: ['<y/a 6>/128'] } }] }]";
    let v4_only = "ingress: [{ from: [{ ipBlock: { cidr: 0.0.0.0/0 } }] }]";
    let v6_only = "ingress: [{ from: [{ ipBlock: { cidr: '::/0' } }] }]";
    vec![
        case(
            "S40: a block of addresses admits pods, all but the exception",
            [one(both).tcp(80, "x/a <- x/* z/* y/b y/c")],
        ),
        case(
            "S40: an exception takes away from its own block only",
            [one(&format!(
                "{}, {{ podSelector: {{}}, {} }}] }}]",
                both.trim_end_matches("] }]"),
                "namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: 'y' } }"
            ))
            .tcp(80, "x/a <- everybody")],
        ),
        case(
            "S42: a block of IPv4 admits nobody over IPv6",
            [one(v4_only).ask(80, Protocol::Tcp, &[Family::V4], "").ask(
                80,
                Protocol::Tcp,
                &[Family::V6],
                "x/a <- nobody",
            )],
        ),
        case(
            "S42: a block of IPv6 admits nobody over IPv4",
            [one(v6_only)
                .ask(80, Protocol::Tcp, &[Family::V4], "x/a <- nobody")
                .ask(80, Protocol::Tcp, &[Family::V6], "")],
        ),
    ]
}

/// Labels of some pods for the cases of selectors: y/a and z/a have the key, one with an empty value.
fn labelled(step: Step) -> Step {
    step.and(Change::Pod("x/b", &[("tier", "front")]))
        .and(Change::Pod("x/c", &[("tier", "")]))
}

fn labels() -> Vec<Case> {
    let expression = |rest: &str| {
        from(&format!(
            "podSelector: {{ matchExpressions: [{{ key: tier, {rest} }}] }}, namespaceSelector: {{}}"
        ))
    };
    vec![
        case(
            "S34: NotIn picks who has another value, and who has not the key",
            [labelled(expression("operator: NotIn, values: [front]"))
                .tcp(80, "x/a <- x/c y/* z/*")],
        ),
        case(
            "S35: DoesNotExist picks who has not the key",
            [labelled(expression("operator: DoesNotExist")).tcp(80, "x/a <- y/* z/*")],
        ),
        case(
            "S35: Exists picks who has the key, whatever its value",
            [labelled(expression("operator: Exists")).tcp(80, "x/a <- x/b x/c")],
        ),
        case(
            "S36: an empty value must be there, and empty",
            [
                labelled(from(
                    "podSelector: { matchLabels: { tier: '' } }, namespaceSelector: {}",
                ))
                .tcp(80, "x/a <- x/c"),
                change(Change::Pod("x/c", &[])).tcp(80, "x/a <- nobody"),
                change(Change::Pod("y/b", &[("tier", "")])).tcp(80, "x/a <- y/b"),
            ],
        ),
        case(
            "S34: NotIn of a namespace's label that it has not",
            [
                from(
                    "namespaceSelector: { matchExpressions: \
                     [{ key: stage, operator: NotIn, values: [test] }] }",
                )
                .and(Change::Namespace("y", &[("stage", "test")]))
                .tcp(80, "x/a <- x/* z/*"),
                change(Change::Namespace("y", &[("stage", "live")])).tcp(80, "x/a <- everybody"),
            ],
        ),
        case(
            "S35: DoesNotExist of a namespace's label",
            [
                from(
                    "namespaceSelector: { matchExpressions: [{ key: stage, operator: DoesNotExist }] }",
                )
                .and(Change::Namespace("x", &[("stage", "")]))
                .tcp(80, "x/a <- y/* z/*"),
                change(Change::Namespace("x", &[])).tcp(80, "x/a <- everybody"),
            ],
        ),
    ]
}

fn selectors() -> Vec<Case> {
    vec![
        case(
            "S34: a subject's own NotIn isolates who has not the key",
            [policies(&[(
                "x",
                "subject",
                "{ podSelector: { matchExpressions: [{ key: tier, operator: NotIn, values: [front] }] }, \
                 policyTypes: [Ingress] }",
            )])
            .and(Change::Pod("x/b", &[("tier", "front")]))
            .tcp(80, "x/a <- nobody\n x/c <- nobody")],
        ),
        case(
            "S9: policyTypes left out is Ingress, and Egress where there are rules of it",
            [policies(&[
                ("x", "in", "{ podSelector: { matchLabels: { pod: a } } }"),
                (
                    "y",
                    "both",
                    "{ podSelector: { matchLabels: { pod: a } }, egress: [{ ports: [{ port: 81 }] }] }",
                ),
            ])
            .tcp(80, "x/a <- nobody\n y/a <- nobody\n y/a -> nobody")],
        ),
    ]
}
