//! Where one may enter: ports by number and name, protocols, and several policies at once.

use super::{A, ALL, IN_Y, spec};
use crate::conformance::table::{Case, case, policies};

pub fn cases() -> Vec<Case> {
    let y_on = |port: u16| {
        let rules = format!(
            "ingress: [{{ from: [{{ {IN_Y} }}], ports: [{{ port: {port}, protocol: TCP }}] }}]"
        );
        spec(A, &rules)
    };
    let only = |port: &str| spec(A, &format!("ingress: [{{ ports: [{port}] }}]"));
    let all = |port: &str| spec(ALL, &format!("ingress: [{{ ports: [{port}] }}]"));
    let open = spec(ALL, "ingress: [{}]");
    vec![
        case(
            "a namespace may enter on one port",
            [policies(&[("x", "y-81", &y_on(81))]).tcp(81, "x/a <- y/*")],
        ),
        case(
            "a second policy opens a second port",
            [
                policies(&[("x", "y-81", &y_on(81))])
                    .tcp(81, "x/a <- y/*")
                    .tcp(80, "x/a <- nobody"),
                policies(&[("x", "y-81", &y_on(81)), ("x", "y-80", &y_on(80))])
                    .tcp(80, "x/a <- y/*")
                    .tcp(81, "x/a <- y/*"),
            ],
        ),
        case(
            "one empty rule admits everybody everywhere",
            [policies(&[("x", "open", &open)]).tcp(80, "").tcp(81, "")],
        ),
        case(
            "a port by its name",
            [policies(&[("x", "named", &all("{ port: serve-81-tcp }"))])
                .tcp(81, "")
                .tcp(80, "x/* <- nobody")],
        ),
        case(
            "a namespace may enter on a port by its name",
            [policies(&[(
                "x",
                "named",
                &spec(
                    A,
                    &format!(
                        "ingress: [{{ from: [{{ {IN_Y} }}], ports: [{{ port: serve-80-tcp, protocol: TCP }}] }}]"
                    ),
                ),
            )])
            .tcp(80, "x/a <- y/*")
            .tcp(81, "x/a <- nobody")],
        ),
        case(
            "a protocol without a port is every port of it",
            [policies(&[("x", "tcp", &only("{ protocol: TCP }"))])
                .tcp(80, "")
                .udp(80, "x/a <- nobody")],
        ),
        case(
            "a policy that admits all outweighs a narrower one",
            [
                policies(&[("x", "on-80", &all("{ port: 80 }"))]).tcp(81, "x/* <- nobody"),
                policies(&[("x", "on-80", &all("{ port: 80 }")), ("x", "open", &open)]).tcp(81, ""),
            ],
        ),
        case(
            "a rule of SCTP opens no port of TCP",
            [policies(&[
                ("x", "closed", &spec(ALL, "ingress: []")),
                ("x", "sctp", &only("{ port: 81, protocol: SCTP }")),
            ])
            .tcp(81, "x/* <- nobody")],
        ),
        case(
            "a policy that speaks of SCTP only isolates for TCP too",
            [
                policies(&[("x", "sctp", &only("{ port: 80, protocol: SCTP }"))])
                    .tcp(81, "x/a <- nobody"),
            ],
        ),
        case(
            "a rule of UDP opens no port of TCP",
            [
                policies(&[("x", "udp", &only("{ port: 81, protocol: UDP }"))])
                    .tcp(81, "x/a <- nobody"),
            ],
        ),
    ]
}
