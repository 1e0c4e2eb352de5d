//! The same law for UDP and for SCTP.

use super::{A, ALL, IN_Y, spec};
use crate::conformance::table::{BOTH, Case, Protocol, Step, case, policies};

pub fn udp() -> Vec<Case> {
    let names = [
        "UDP: an ingress policy without rules closes its namespace",
        "UDP: a namespace may enter on one port",
        "UDP: one pod of one other namespace",
    ];
    cases(Protocol::Udp, names)
}

pub fn sctp() -> Vec<Case> {
    let names = [
        "SCTP: an ingress policy without rules closes its namespace",
        "SCTP: a namespace may enter on one port",
        "SCTP: one pod of one other namespace",
    ];
    cases(Protocol::Sctp, names)
}

fn cases(protocol: Protocol, names: [&'static str; 3]) -> Vec<Case> {
    let [closed, ports, pod] = names;
    let ask = |step: Step, port, table| step.ask(port, protocol, &BOTH, table);
    let y_on_81 = format!(
        "ingress: [{{ from: [{{ {IN_Y} }}], ports: [{{ port: 81, protocol: {protocol} }}] }}]"
    );
    let y_a = format!(
        "ingress: [{{ from: [{{ {IN_Y}, podSelector: {{ matchLabels: {{ pod: a }} }} }}] }}]"
    );
    vec![
        case(
            closed,
            [ask(
                policies(&[("x", "closed", &spec(ALL, "ingress: []"))]),
                80,
                "x/* <- nobody",
            )],
        ),
        case(
            ports,
            [ask(
                policies(&[("x", "y-81", &spec(A, &y_on_81))]),
                81,
                "x/a <- y/*",
            )],
        ),
        case(
            pod,
            [ask(
                policies(&[("x", "y-a", &spec(A, &y_a))]),
                80,
                "x/a <- y/a",
            )],
        ),
    ]
}
