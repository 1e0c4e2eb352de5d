//! The rules against packets: who gets in after every prefix of the steps, and who never.
//!
//! Everything is done with both back ends and both families.
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
use std::net::{IpAddr, SocketAddr};

use common::backends::backends;
use common::wire::{
    APP, CANARY, LISTEN, Wire, address, ask, counter, loopback, ping, run, send, send_protocol,
    serve, serve_relay,
};
use podwall_deploy::{
    Family, Redirect, Step, Table, check, gateways, install_with, plan, remove, remove_plan,
};

const REFUSED: Result<String, io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);

/// Whether the half that refuses is among the first steps for this family.
fn refuses(steps: &[Step], family: Family) -> bool {
    steps
        .iter()
        .any(|step| step.family == family && step.table == Table::Filter)
}

#[test]
fn p19_every_prefix_of_a_first_installation_is_closed() {
    for backend in backends("p19_every_prefix_of_a_first_installation_is_closed") {
        let Some(wire) = Wire::lay("p19_every_prefix_of_a_first_installation_is_closed") else {
            return;
        };
        let wanted = wire.wanted();
        for count in 0..=4 {
            let when = format!("{backend}, after {count} steps");
            let apply = || {
                let plan = plan(&wanted, &[backend]).unwrap();
                assert_eq!(plan.steps().len(), 4);
                plan.apply_first(count).unwrap();
                plan.steps().take(count).cloned().collect::<Vec<Step>>()
            };
            let done = wire.subject.enter(apply).unwrap();
            for family in Family::ALL {
                if refuses(&done, family) {
                    wire.is_closed(family, &when);
                } else {
                    wire.is_open(family, &when);
                }
                wire.always_holds(family, &when);
            }
            wire.subject.enter(|| remove().unwrap()).unwrap();
        }
        for family in Family::ALL {
            wire.is_open(family, "removed");
        }
    }
}

#[test]
fn p19_every_prefix_of_another_installation_is_closed() {
    for backend in backends("p19_every_prefix_of_another_installation_is_closed") {
        let Some(wire) = Wire::lay("p19_every_prefix_of_another_installation_is_closed") else {
            return;
        };
        // An application of this pod listens where the next relay shall: it must not be reached
        // before everything points to it.
        serve(&wire.subject, 25006, |_| "next relay".to_owned());
        let old = wire.wanted();
        let new = wire.with(Redirect::new(25006, 25007).unwrap());
        for count in 0..=4 {
            let when = format!("{backend}, after {count} steps over an old installation");
            let apply = || {
                install_with(&old, &[backend]).unwrap();
                plan(&new, &[backend]).unwrap().apply_first(count).unwrap();
                assert_eq!(check(&new).unwrap().as_wanted(), count == 4);
            };
            wire.subject.enter(apply).unwrap();
            for family in Family::ALL {
                let next = wire.at(family, 25006);
                assert_eq!(ask(&wire.stranger, next), REFUSED, "{when}");
                // From its nat commit on a family is redirected to the new relay.
                if count == 4 || count == 3 && family == Family::Ipv4 {
                    let answer = ask(&wire.stranger, wire.at(family, APP));
                    assert_eq!(answer, Ok("next relay".to_owned()), "{when}");
                } else {
                    wire.is_closed(family, &when);
                }
                wire.always_holds(family, &when);
            }
        }
    }
}

#[test]
fn p19_every_prefix_of_a_removal_is_closed_until_its_last_commit() {
    for backend in backends("p19_every_prefix_of_a_removal_is_closed_until_its_last_commit") {
        let Some(wire) = Wire::lay("p19_every_prefix_of_a_removal_is_closed") else {
            return;
        };
        for count in 0..=4 {
            let when = format!("{backend}, after {count} steps of removal");
            let apply = || {
                install_with(&wire.wanted(), &[backend]).unwrap();
                let plan = remove_plan().unwrap();
                plan.apply_first(count).unwrap();
                plan.steps().take(count).cloned().collect::<Vec<Step>>()
            };
            let done = wire.subject.enter(apply).unwrap();
            for family in Family::ALL {
                if refuses(&done, family) {
                    wire.is_open(family, &when);
                } else {
                    wire.is_closed(family, &when);
                }
                wire.always_holds(family, &when);
            }
        }
    }
}

#[test]
fn p35_every_port_goes_to_the_relay_and_keeps_its_destination() {
    for backend in backends("p35_every_port_goes_to_the_relay_and_keeps_its_destination") {
        let Some(wire) = Wire::lay("p35_every_port_goes_to_the_relay") else {
            return;
        };
        serve_relay(&wire.subject, LISTEN);
        serve(&wire.subject, 15008, |_| "admin".to_owned());
        wire.subject
            .enter(|| install_with(&wire.wanted(), &[backend]).unwrap())
            .unwrap();
        for family in Family::ALL {
            // The application's, the admin's, the canary's, one of nobody.
            for port in [APP, 15008, CANARY, 9999] {
                let to = wire.at(family, port);
                let answer = ask(&wire.stranger, to);
                assert_eq!(answer, Ok(format!("relay {to}")), "{backend} {to}");
            }
            // P34: the relay's own port needs no redirect, so it counts as not redirected.
            assert_eq!(
                ask(&wire.stranger, wire.at(family, LISTEN)),
                REFUSED,
                "{backend}"
            );
            wire.always_holds(family, "with a relay");
            let node = wire.lab.node();
            assert_eq!(
                ask(node, wire.at(family, 15008)).unwrap(),
                "admin",
                "{backend}"
            );
            assert_eq!(ask(node, wire.at(family, 9999)), REFUSED, "{backend}");
        }
    }
}

#[test]
fn p40_the_canary_meets_the_relay_from_inside_only_by_the_rules() {
    for backend in backends("p40_the_canary_meets_the_relay_from_inside_only_by_the_rules") {
        let Some(wire) = Wire::lay("p40_the_canary_meets_the_relay") else {
            return;
        };
        serve_relay(&wire.subject, LISTEN);
        for family in Family::ALL {
            let canary = SocketAddr::new(loopback(family), CANARY);
            assert_eq!(ask(&wire.subject, canary), REFUSED, "{backend} before");
            wire.subject
                .enter(|| install_with(&wire.wanted(), &[backend]).unwrap())
                .unwrap();
            let expected = format!("relay {canary}");
            assert_eq!(
                ask(&wire.subject, canary).unwrap(),
                expected,
                "{backend} installed"
            );
            // Only the loopback address itself, not the same port elsewhere.
            assert_eq!(
                ask(&wire.subject, wire.at(family, CANARY)),
                REFUSED,
                "{backend}"
            );
            wire.subject.enter(|| remove().unwrap()).unwrap();
        }
    }
}

#[test]
fn p36_a_foreign_notrack_rule_opens_nothing() {
    for backend in backends("p36_a_foreign_notrack_rule_opens_nothing") {
        let Some(wire) = Wire::lay("p36_a_foreign_notrack_rule_opens_nothing") else {
            return;
        };
        serve_relay(&wire.subject, LISTEN);
        for family in Family::ALL {
            run(
                &wire.subject,
                &format!("{}-nft -t raw -A PREROUTING -j NOTRACK", family.program()),
            );
        }
        for count in 2..=4 {
            let wanted = wire.wanted();
            let apply = || {
                plan(&wanted, &[backend])
                    .unwrap()
                    .apply_first(count)
                    .unwrap()
            };
            wire.subject.enter(apply).unwrap();
            for family in Family::ALL {
                let when = format!("{backend}, {count} steps, untracked");
                wire.is_closed(family, &when);
                wire.always_holds(family, &when);
            }
        }
    }
}

#[test]
fn p36_without_the_nat_half_nothing_enters() {
    for backend in backends("p36_without_the_nat_half_nothing_enters") {
        let Some(wire) = Wire::lay("p36_without_the_nat_half_nothing_enters") else {
            return;
        };
        serve_relay(&wire.subject, LISTEN);
        wire.subject
            .enter(|| install_with(&wire.wanted(), &[backend]).unwrap())
            .unwrap();
        for family in Family::ALL {
            run(
                &wire.subject,
                &format!("{}-{backend} -t nat -F PREROUTING", family.program()),
            );
            for port in [APP, LISTEN, CANARY] {
                assert_eq!(
                    ask(&wire.stranger, wire.at(family, port)),
                    REFUSED,
                    "{backend} {port}"
                );
            }
            wire.is_closed(family, "nat flushed");
        }
    }
}

#[test]
fn s68_forged_own_and_loopback_sources_are_dropped_and_counted() {
    for backend in backends("s68_forged_own_and_loopback_sources_are_dropped_and_counted") {
        let Some(wire) = Wire::lay("s68_forged_own_sources_are_dropped_and_counted") else {
            return;
        };
        let subject = wire.subject.place();
        // The kernel's own checks off, so that only the rules stand in the way.
        for name in ["all", "eth0"] {
            for setting in ["accept_local", "route_localnet"] {
                subject
                    .sysctl(&format!("net.ipv4.conf.{name}.{setting}"), "1")
                    .unwrap();
            }
            subject
                .sysctl(&format!("net.ipv4.conf.{name}.rp_filter"), "0")
                .unwrap();
        }
        subject
            .enter(|| install_with(&wire.wanted(), &[backend]).unwrap())
            .unwrap();
        // One that the pod got after the rules.
        run(subject, "ip address add 10.99.0.1/32 dev eth0");
        let own = Family::ALL.map(|family| address(&wire.subject, family));
        let forged = [
            own[0],
            own[1],
            loopback(Family::Ipv4),
            "10.99.0.1".parse().unwrap(),
        ];
        for source in forged {
            let family = Family::of(source);
            let snat = format!("-t nat -I POSTROUTING -j SNAT --to-source {source}");
            run(&wire.stranger, &format!("{}-nft {snat}", family.program()));
            let seen = || counter(subject, backend, family, "-A PODWALL_SPOOFED -j DROP");
            let before = seen();
            send(&wire.stranger, wire.at(family, 53), "forged");
            run(
                &wire.stranger,
                &format!("{}-nft -t nat -F", family.program()),
            );
            ping(&wire.stranger, wire.at(family, 53).ip());
            assert_eq!(seen(), before + 1, "{backend}: source {source}");
            send(wire.lab.node(), wire.at(family, 53), "node");
            assert_eq!(wire.receive(), "node", "{backend}: source {source}");
        }
    }
}

#[test]
fn s6_replies_to_the_pods_own_traffic_come_in() {
    for backend in backends("s6_replies_to_the_pods_own_traffic_come_in") {
        let Some(wire) = Wire::lay("s6_replies_to_the_pods_own_traffic_come_in") else {
            return;
        };
        serve(&wire.stranger, 8080, |_| "outside".to_owned());
        wire.subject
            .enter(|| install_with(&wire.wanted(), &[backend]).unwrap())
            .unwrap();
        for family in Family::ALL {
            let there: IpAddr = address(&wire.stranger, family);
            assert_eq!(ask(&wire.subject, (there, 8080).into()).unwrap(), "outside");
            let bind = || std::net::UdpSocket::bind((there, 5353)).unwrap();
            let server = wire.stranger.enter(bind).unwrap();
            let client = send(&wire.subject, (there, 5353).into(), "question");
            let mut buffer = [0; 16];
            let (_, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(b"answer", from).unwrap();
            let (length, _) = client.recv_from(&mut buffer).expect("the answer comes in");
            assert_eq!(&buffer[..length], b"answer", "{backend} {family}");
        }
    }
}

#[test]
fn s60_sctp_is_dropped_and_other_protocols_are_not_touched() {
    for backend in backends("s60_sctp_is_dropped_and_other_protocols_are_not_touched") {
        let Some(wire) = Wire::lay("s60_sctp_is_dropped") else {
            return;
        };
        wire.subject
            .enter(|| install_with(&wire.wanted(), &[backend]).unwrap())
            .unwrap();
        for family in Family::ALL {
            // A rule of others behind ours sees what ours let fall through.
            let program = family.program();
            run(
                &wire.subject,
                &format!("{program}-{backend} -A INPUT -p gre -j DROP"),
            );
            let to = address(&wire.subject, family);
            send_protocol(&wire.stranger, to, 132);
            send_protocol(&wire.stranger, to, 47);
            ping(&wire.stranger, to);
            let seen = |rule: &str| counter(&wire.subject, backend, family, rule);
            assert_eq!(seen("-p sctp -j DROP"), 1, "{backend} {family}");
            assert_eq!(seen("-p gre -j DROP"), 1, "{backend} {family}");
        }
    }
}

#[test]
fn p10_the_default_gateways_are_the_nodes_bridge_addresses() {
    let Some(wire) = Wire::lay("p10_the_default_gateways") else {
        return;
    };
    let found = wire.subject.enter(|| gateways().unwrap()).unwrap();
    assert_eq!(found, wire.nodes());
}
