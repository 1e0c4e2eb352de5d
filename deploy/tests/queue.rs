//! The rules of mode queue against packets: who gets in by a verdict, and who never does without one.
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
    pub mod doorman;
    #[allow(dead_code)]
    pub mod wire;
}

use std::io;
use std::net::{IpAddr, SocketAddr};

use common::backends::backends;
use common::doorman::{Doorman, port};
use common::wire::{
    APP, APP_UDP, FIRST, Wire, address, ask, counter, knock, loopback, ping, queue, run, send,
    send_sctp_init, serve,
};
use podwall_deploy::{Backend, Family, Transport, UdpDeny, Wanted, check, install_with};

const REFUSED: Result<String, io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);

/// A second TCP port of the application, which is never admitted.
const SHUT: u16 = 81;

/// Admits all but TCP to [`SHUT`] and datagrams that say so.
fn judge(packet: &[u8]) -> bool {
    port(packet) != SHUT && !packet.ends_with(b"denied")
}

fn install(wire: &Wire, wanted: &Wanted, backend: Backend) {
    let install = || {
        install_with(wanted, &[backend]).unwrap();
        assert!(check(wanted).unwrap().as_wanted());
    };
    wire.subject.enter(install).unwrap();
}

/// A pod in mode queue, for each back end; its second port answers too.
fn lay(test: &str, mut each: impl FnMut(&Wire, Backend)) {
    for backend in backends(test) {
        let Some(wire) = Wire::lay(test) else { return };
        serve(&wire.subject, SHUT, |_| "shut".to_owned());
        install(&wire, &wire.with(queue(1, UdpDeny::Drop)), backend);
        each(&wire, backend);
    }
}

/// Whoever is denied gets in neither by TCP nor by UDP, while another is admitted.
fn judges(wire: &Wire, family: Family, when: &str) {
    for client in [wire.stranger.place(), wire.lab.node().place()] {
        assert_eq!(ask(client, wire.at(family, SHUT)), REFUSED, "{when}");
        let app = ask(client, wire.at(family, APP));
        assert_eq!(app.as_deref(), Ok("app"), "{when}");
        send(client, wire.at(family, APP_UDP), "denied");
        // Verdicts come in the order of the packets, so what is denied is lost by then.
        send(client, wire.at(family, APP_UDP), "admitted");
        assert_eq!(wire.receive(), "admitted", "{when}");
    }
}

/// Nothing enters from anybody, and what podwall never touches goes on.
fn is_shut(wire: &Wire, family: Family, answer: Result<(), io::ErrorKind>, when: &str) {
    for client in [wire.stranger.place(), wire.lab.node().place()] {
        let knocked = knock(client, wire.at(family, APP));
        assert_eq!(knocked, answer, "{when}: tcp {family}");
        send(client, wire.at(family, APP_UDP), "stranger");
        ping(client, wire.at(family, 0).ip());
        send(&wire.subject, wire.at(family, APP_UDP), "own");
        assert_eq!(wire.receive(), "own", "{when}: udp {family}");
    }
    goes_on(wire, family, when);
}

/// What holds whatever is installed: the pod itself, loopback and ICMP.
fn goes_on(wire: &Wire, family: Family, when: &str) {
    let app = wire.at(family, APP);
    for to in [SocketAddr::new(loopback(family), APP), app] {
        assert_eq!(ask(&wire.subject, to).as_deref(), Ok("app"), "{when}: {to}");
    }
    ping(&wire.stranger, app.ip());
    ping(&wire.subject, address(&wire.stranger, family));
}

/// No answer at all.
const SILENT: Result<(), io::ErrorKind> = Err(io::ErrorKind::TimedOut);

#[test]
fn p36_the_admitted_enter_and_the_denied_are_refused() {
    lay("p36_the_admitted_enter_and_the_denied", |wire, backend| {
        let doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, judge);
        for family in Family::ALL {
            judges(wire, family, &format!("{backend} {family}"));
            goes_on(wire, family, "with a doorman");
        }
        // Two clients, two families; two connections and two datagrams each.
        assert_eq!(doorman.asked(), 2 * 2 * 4, "{backend}");
    });
}

#[test]
fn p18_the_application_sees_the_client() {
    lay("p18_the_application_sees_the_client", |wire, backend| {
        let _doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, |_| true);
        serve(&wire.subject, 82, |stream| {
            stream.peer_addr().unwrap().ip().to_canonical().to_string()
        });
        for family in Family::ALL {
            let seen = ask(&wire.stranger, wire.at(family, 82)).unwrap();
            let client = address(&wire.stranger, family).to_string();
            assert_eq!(seen, client, "{backend}");
        }
    });
}

#[test]
fn p36_without_a_listener_on_the_queue_nothing_enters() {
    lay("p36_without_a_listener_on_the_queue", |wire, backend| {
        for family in Family::ALL {
            is_shut(wire, family, SILENT, &format!("{backend}, no listener"));
        }
        let doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, judge);
        judges(wire, Family::Ipv4, "taken up");
        drop(doorman);
        for family in Family::ALL {
            is_shut(wire, family, SILENT, &format!("{backend}, given up"));
        }
    });
}

#[test]
fn p36_without_the_mangle_half_nothing_enters() {
    lay(
        "p36_without_the_mangle_half_nothing_enters",
        |wire, backend| {
            let _doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, |_| true);
            for family in Family::ALL {
                let program = format!("{}-{backend}", family.program());
                run(&wire.subject, &format!("{program} -t mangle -F INPUT"));
                let refused = Err(io::ErrorKind::ConnectionRefused);
                is_shut(wire, family, refused, &format!("{backend}, no mangle"));
            }
        },
    );
}

#[test]
fn p36_a_foreign_notrack_rule_opens_nothing() {
    lay(
        "p36_a_foreign_notrack_rule_opens_nothing",
        |wire, backend| {
            for family in Family::ALL {
                let notrack = "-nft -t raw -A PREROUTING -j NOTRACK";
                run(&wire.subject, &format!("{}{notrack}", family.program()));
                let when = format!("{backend}, untracked, no listener");
                is_shut_untracked(wire, family, SILENT, &when);
                let _doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, judge);
                judges(wire, family, &format!("{backend}, untracked"));
            }
            for family in Family::ALL {
                let program = format!("{}-{backend}", family.program());
                run(&wire.subject, &format!("{program} -t mangle -F INPUT"));
                let refused = Err(io::ErrorKind::ConnectionRefused);
                is_shut_untracked(wire, family, refused, &format!("{backend}, no mangle"));
            }
        },
    );
}

/// As [`is_shut`]; replies to the pod's own connections are untracked too, so of those nothing is asked.
fn is_shut_untracked(wire: &Wire, family: Family, answer: Result<(), io::ErrorKind>, when: &str) {
    let knocked = knock(&wire.stranger, wire.at(family, APP));
    assert_eq!(knocked, answer, "{when}: tcp {family}");
    send(&wire.stranger, wire.at(family, APP_UDP), "stranger");
    ping(&wire.stranger, wire.at(family, 0).ip());
    send(&wire.subject, wire.at(family, APP_UDP), "own");
    assert_eq!(wire.receive(), "own", "{when}: udp {family}");
}

#[test]
fn p36_a_denied_packet_that_arrives_with_the_bit_set_is_refused() {
    lay(
        "p36_a_denied_packet_that_arrives_with_the_bit",
        |wire, backend| {
            for family in Family::ALL {
                for (holder, table) in [("nft", "raw"), ("legacy", "mangle"), ("nft", "mangle")] {
                    let program = format!("{}-{holder}", family.program());
                    let mark = format!("{program} -t {table} -A PREROUTING -j MARK --set-mark");
                    run(&wire.subject, &format!("{mark} 0xffffffff"));
                }
                is_shut(wire, family, SILENT, &format!("{backend}, marked"));
                let _doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, judge);
                judges(wire, family, &format!("{backend}, marked"));
            }
        },
    );
}

#[test]
fn p36_other_bits_of_both_marks_stay() {
    lay("p36_other_bits_of_both_marks_stay", |wire, backend| {
        let _doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, judge);
        for family in Family::ALL {
            let program = format!("{}-{backend}", family.program());
            for rule in [
                "-t mangle -A PREROUTING -j MARK --set-xmark 0x5/0xff",
                "-t mangle -A PREROUTING -j CONNMARK --set-xmark 0x70/0xff",
                // Behind the verdict; these count and do nothing else.
                "-I INPUT -p tcp --syn -m mark --mark 0x1000005",
                "-I INPUT -p tcp ! --syn -m mark --mark 0x5 -m connmark --mark 0x1000070",
            ] {
                run(&wire.subject, &format!("{program} {rule}"));
            }
            judges(wire, family, &format!("{backend}, other bits"));
            let seen = |rule: &str| counter(&wire.subject, backend, family, rule);
            assert_eq!(seen("-m mark --mark 0x1000005"), 2, "{backend} {family}");
            assert!(
                seen("-m connmark --mark 0x1000070") > 2,
                "{backend} {family}"
            );
        }
    });
}

#[test]
fn p36_several_queues_share_the_connections() {
    let name = "p36_several_queues_share_the_connections";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        install(&wire, &wire.with(queue(4, UdpDeny::Drop)), backend);
        let doormen = [0, 1, 2, 3]
            .map(|one| Doorman::serve(&wire.subject, FIRST + one..FIRST + one + 1, |_| true));
        for _ in 0..32 {
            for family in Family::ALL {
                let answer = ask(&wire.stranger, wire.at(family, APP));
                assert_eq!(answer.as_deref(), Ok("app"), "{backend} {family}");
            }
        }
        let asked = doormen.each_ref().map(Doorman::asked);
        assert_eq!(asked.iter().sum::<usize>(), 64, "{backend} {asked:?}");
        assert!(
            asked.iter().filter(|one| **one > 0).count() > 1,
            "{asked:?}"
        );
    }
}

#[test]
fn a_denied_datagram_is_lost_or_answered_as_wished() {
    let name = "a_denied_datagram_is_lost_or_answered";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let _doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, judge);
        for (udp_deny, answered) in [(UdpDeny::Unreachable, true), (UdpDeny::Drop, false)] {
            install(&wire, &wire.with(queue(1, udp_deny)), backend);
            for family in Family::ALL {
                let (to, nowhere) = (wire.at(family, APP_UDP), wire.at(family, 9));
                let denied = send(&wire.stranger, nowhere, "denied");
                denied.connect(nowhere).unwrap();
                denied.send(b"denied").unwrap();
                send(&wire.stranger, to, "admitted");
                assert_eq!(wire.receive(), "admitted");
                // An answer was on its way before the last one was let in.
                ping(&wire.stranger, to.ip());
                let error = denied.take_error().unwrap().map(|error| error.kind());
                let expected = answered.then_some(io::ErrorKind::ConnectionRefused);
                assert_eq!(error, expected, "{backend} {family} {udp_deny:?}");
            }
        }
    }
}

#[test]
fn s60_sctp_is_admitted_or_dropped_by_the_verdict() {
    lay("s60_sctp_is_admitted_or_dropped", |wire, backend| {
        let doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 1, |packet| {
            port(packet) == 3868 || judge(packet) && packet.ends_with(b"admitted")
        });
        for family in Family::ALL {
            let seen = |rule: &str| counter(&wire.subject, backend, family, rule);
            let (accept, drop) = (
                "-m mark --mark 0x1000000/0x1000000 -j ACCEPT",
                "-p sctp -j DROP",
            );
            for (port, rule) in [(3868, accept), (3869, drop)] {
                let (before, asked) = (seen(rule), doorman.asked());
                send_sctp_init(&wire.stranger, wire.at(family, port));
                send(&wire.stranger, wire.at(family, APP_UDP), "admitted");
                assert_eq!(wire.receive(), "admitted");
                let more = usize::from(rule == accept);
                assert_eq!(
                    seen(rule),
                    before + 1 + more as u64,
                    "{backend} {family} {port}"
                );
                assert_eq!(doorman.asked(), asked + 2, "{backend} {family} {port}");
            }
        }
    });
}

#[test]
fn s60_ports_left_to_everybody_ask_nobody() {
    let name = "s60_ports_left_to_everybody_ask_nobody";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let wanted = wire.with(queue(1, UdpDeny::Drop));
        let open = [(Transport::Udp, APP_UDP), (Transport::Sctp, 3868)];
        install(&wire, &wanted.with_unguarded(open).unwrap(), backend);
        for family in Family::ALL {
            assert_eq!(wire.datagram(family), "stranger", "{backend} {family}");
            assert_eq!(wire.receive(), "node");
            let knocked = knock(&wire.stranger, wire.at(family, APP));
            assert_eq!(knocked, SILENT, "{backend} {family}");
            let rule = "-p sctp -m sctp --dport 3868 -j ACCEPT";
            let seen = || counter(&wire.subject, backend, family, rule);
            let before = seen();
            send_sctp_init(&wire.stranger, wire.at(family, 3868));
            ping(&wire.stranger, wire.at(family, 0).ip());
            assert_eq!(seen(), before + 1, "{backend} {family}");
        }
    }
}

/// S61, with neighbours forgotten before: IPv6 finds them by ICMPv6.
#[test]
fn s61_icmp_and_neighbour_discovery_are_never_touched() {
    lay("s61_icmp_and_neighbour_discovery", |wire, backend| {
        for family in Family::ALL {
            let here: IpAddr = address(&wire.subject, family);
            let there = address(&wire.stranger, family);
            for (place, to) in [(&wire.stranger, here), (&wire.subject, there)] {
                for pod in [&wire.stranger, &wire.subject] {
                    run(pod, "ip neigh flush all");
                    run(pod, "ip -6 neigh flush all");
                }
                ping(place, to);
            }
            let seen = counter(
                &wire.subject,
                backend,
                family,
                "-p tcp -j NFQUEUE --queue-num 15871",
            );
            assert_eq!(seen, 0, "{backend} {family}");
        }
    });
}
