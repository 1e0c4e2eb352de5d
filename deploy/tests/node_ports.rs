//! The strict rules against packets: the node goes past the relay on its ports, and nowhere else (S65).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod common {
    pub mod backends;
    #[allow(dead_code)]
    pub mod wire;
}

use std::io;

use common::backends::backends;
use common::wire::{
    APP, LISTEN, Wire, address, ask, counter, loopback, mode, ping, run, send, serve, serve_relay,
};
use podwall_deploy::{Backend, Family, Wanted, check, install_with, plan};

const REFUSED: Result<String, io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);

/// A second port of the application, which no probe uses.
const OTHER: u16 = 9000;

/// Past the relay on the application's first port only.
fn strict(wire: &Wire) -> Wanted {
    wire.with(mode().with_node_ports([APP]).unwrap())
}

/// A pod whose application has two ports.
fn lay(test: &str) -> Option<Wire> {
    let wire = Wire::lay(test)?;
    serve(&wire.subject, OTHER, |_| "other".to_owned());
    let node = wire.lab.node().place();
    node.sysctl("net.ipv4.ping_group_range", "0 0").unwrap();
    Some(wire)
}

/// Sends one datagram of the node's, which must be lost.
fn loses_a_datagram(wire: &Wire, backend: Backend, family: Family) {
    let dropped = || counter(&wire.subject, backend, family, "-p udp -j DROP");
    let before = dropped();
    let to = wire.at(family, 53);
    send(wire.lab.node(), to, "node");
    // It has gone the node's whole way before, so it is counted by now.
    ping(wire.lab.node(), to.ip());
    assert_eq!(dropped(), before + 1, "{backend} {family}");
}

#[test]
fn p11_s65_the_node_goes_past_on_its_ports_only() {
    let name = "p11_s65_the_node_goes_past_on_its_ports_only";
    for backend in backends(name) {
        let Some(wire) = lay(name) else { return };
        let node = wire.lab.node();
        wire.subject
            .enter(|| {
                install_with(&strict(&wire), &[backend]).unwrap();
                install_with(&strict(&wire), &[backend]).unwrap();
                assert!(check(&strict(&wire)).unwrap().as_wanted());
                assert!(!check(&wire.wanted()).unwrap().as_wanted());
            })
            .unwrap();
        let direct = |when: &str| {
            for family in Family::ALL {
                let answer = ask(node, wire.at(family, APP));
                assert_eq!(answer.as_deref(), Ok("app"), "{backend} {when}");
                for to in [wire.at(family, OTHER), (loopback(family), OTHER).into()] {
                    let own = ask(&wire.subject, to);
                    assert_eq!(own.as_deref(), Ok("other"), "{backend} {when}");
                }
                ping(&wire.stranger, address(&wire.subject, family));
                loses_a_datagram(&wire, backend, family);
            }
        };
        direct("without a relay");
        for (client, port) in [
            (node.place(), OTHER),
            (node.place(), LISTEN),
            (wire.stranger.place(), APP),
        ] {
            for family in Family::ALL {
                assert_eq!(
                    ask(client, wire.at(family, port)),
                    REFUSED,
                    "{backend} {port}"
                );
            }
        }
        serve_relay(&wire.subject, LISTEN);
        direct("with a relay");
        for (client, port) in [(node.place(), OTHER), (wire.stranger.place(), APP)] {
            for family in Family::ALL {
                let to = wire.at(family, port);
                assert_eq!(ask(client, to), Ok(format!("relay {to}")), "{backend}");
            }
        }
        for family in Family::ALL {
            assert_eq!(ask(node, wire.at(family, LISTEN)), REFUSED, "{backend}");
        }
    }
}

/// The node is a caller like any for the other port, so no step may open that to it; and its probes
/// go on through all of them.
#[test]
fn p19_p11_every_prefix_between_strict_rules_is_closed() {
    let name = "p19_p11_every_prefix_between_strict_rules_is_closed";
    for backend in backends(name) {
        let Some(wire) = lay(name) else { return };
        let wider = wire.with(mode().with_node_ports([APP, 443]).unwrap());
        for count in 0..=4 {
            for (old, new) in [(&strict(&wire), &wider), (&wider, &strict(&wire))] {
                let apply = || {
                    install_with(old, &[backend]).unwrap();
                    plan(new, &[backend]).unwrap().apply_first(count).unwrap();
                    assert_eq!(check(new).unwrap().as_wanted(), count == 4);
                };
                wire.subject.enter(apply).unwrap();
                for family in Family::ALL {
                    let when = format!("{backend} {family}, after {count} steps");
                    let other = ask(wire.lab.node(), wire.at(family, OTHER));
                    assert_eq!(other, REFUSED, "{when}");
                    let probe = ask(wire.lab.node(), wire.at(family, APP));
                    assert_eq!(probe.as_deref(), Ok("app"), "{when}");
                    let stranger = ask(&wire.stranger, wire.at(family, APP));
                    assert_eq!(stranger, REFUSED, "{when}");
                }
            }
        }
    }
}

/// From open to strict: the node keeps a way in until a family's refusing half is there, no longer.
#[test]
fn p19_p11_every_prefix_from_the_wide_rules_ends_strict() {
    let name = "p19_p11_every_prefix_from_the_wide_rules_ends_strict";
    for backend in backends(name) {
        let Some(wire) = lay(name) else { return };
        for count in 0..=4 {
            let apply = || {
                install_with(&wire.wanted(), &[backend]).unwrap();
                let plan = plan(&strict(&wire), &[backend]).unwrap();
                plan.apply_first(count).unwrap();
                plan.steps().take(count).cloned().collect::<Vec<_>>()
            };
            let done = wire.subject.enter(apply).unwrap();
            for family in Family::ALL {
                let refuses = done.iter().any(|step| {
                    step.family == family && step.table == podwall_deploy::Table::Filter
                });
                let other = ask(wire.lab.node(), wire.at(family, OTHER));
                let expected = if refuses {
                    REFUSED
                } else {
                    Ok("other".to_owned())
                };
                assert_eq!(other, expected, "{backend} {family}, after {count} steps");
            }
        }
        // A rule that somebody took away is seen.
        let node = wire.lab.node().v4();
        let rule = format!("PODWALL_INPUT -s {node}/32 -p tcp -m tcp --dport {APP} -j ACCEPT");
        run(&wire.subject, &format!("iptables-{backend} -D {rule}"));
        let report = wire
            .subject
            .enter(|| check(&strict(&wire)).unwrap())
            .unwrap();
        let seen: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(
            seen[0].contains("missing") && seen[0].contains(&rule),
            "{seen:?}"
        );
    }
}
