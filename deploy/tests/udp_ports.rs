//! UDP ports that are redirected to listeners, against packets: each reaches its own and no other, and
//! all other inbound UDP is as closed as without them.
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

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use common::backends::backends;
use common::wire::{Wire, address, bound, counter, mode, ping, run, send, send_sctp_init};
use podwall_deploy::{Backend, Family, Redirect, Wanted, check, install_with, plan, remove};

/// The UDP port of the application, and a second that the pod declares.
const DNS: u16 = 53;
const SYSLOG: u16 = 514;
/// Where their listeners are.
const FIRST: u16 = 15874;
const SECOND: u16 = FIRST + 1;

fn judged(wire: &Wire) -> Wanted {
    wire.with(judged_ports())
}

fn judged_ports() -> Redirect {
    mode().with_udp_ports([SYSLOG, DNS], FIRST).unwrap()
}

/// A socket of the subject on a port of every address.
fn bind(wire: &Wire, port: u16) -> UdpSocket {
    let bind = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
    let socket = wire.subject.enter(bind).unwrap();
    let patience = Some(Duration::from_secs(5));
    socket.set_read_timeout(patience).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram arrives");
    (String::from_utf8_lossy(&buffer[..length]).into(), from)
}

/// By how much `-p udp -j DROP` grows while a stranger sends one datagram to a port.
fn dropped(wire: &Wire, backend: Backend, family: Family, port: u16) -> u64 {
    let count = || counter(&wire.subject, backend, family, "-p udp -j DROP");
    let before = count();
    let to = wire.at(family, port);
    send(&wire.stranger, to, "stranger");
    // It has gone the stranger's whole way before, so it is counted by now.
    ping(&wire.stranger, to.ip());
    count() - before
}

#[test]
fn p2_a_declared_port_reaches_its_listener_whose_reply_comes_from_that_port() {
    let name = "p2_a_declared_port_reaches_its_listener";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let (first, second) = (bind(&wire, FIRST), bind(&wire, SECOND));
        let installed = wire.subject.enter(|| {
            install_with(&judged(&wire), &[backend]).unwrap();
            assert!(check(&judged(&wire)).unwrap().as_wanted());
            assert!(!check(&wire.wanted()).unwrap().as_wanted());
        });
        installed.unwrap();
        for family in Family::ALL {
            for (port, listener) in [(DNS, &first), (SYSLOG, &second)] {
                let to = wire.at(family, port);
                let client = send(&wire.stranger, to, "question");
                // One-way at first, then answered, then answered again: always the same two ends.
                client.send_to(b"again", to).unwrap();
                for text in ["question", "again", "third"] {
                    let (heard, from) = receive(listener);
                    assert_eq!(heard, text, "{backend} {to}");
                    assert_eq!(from.ip().to_canonical(), address(&wire.stranger, family));
                    listener.send_to(b"answer", from).unwrap();
                    assert_eq!(receive(&client), ("answer".to_owned(), to), "{backend}");
                    if text == "again" {
                        client.send_to(b"third", to).unwrap();
                    }
                }
            }
            // P10: the node goes past the listeners, to the application.
            assert_eq!(dropped(&wire, backend, family, DNS), 0, "{backend}");
            assert_eq!(receive(&first).0, "stranger");
            send(wire.lab.node(), wire.at(family, DNS), "node");
            assert_eq!(wire.receive(), "node", "{backend} {family}");
        }
    }
}

#[test]
fn s60_undeclared_ports_and_the_listeners_own_are_dropped() {
    let name = "s60_undeclared_ports_and_the_listeners_own_are_dropped";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let first = bind(&wire, FIRST);
        let install = || drop(install_with(&judged(&wire), &[backend]).unwrap());
        wire.subject.enter(install).unwrap();
        for family in Family::ALL {
            for port in [DNS + 1, FIRST, SECOND, 15871] {
                let count = dropped(&wire, backend, family, port);
                assert_eq!(count, 1, "{backend} {family} {port}");
            }
            // The listener heard none of them: this is the first.
            send(&wire.stranger, wire.at(family, DNS), "declared");
            assert_eq!(receive(&first).0, "declared", "{backend} {family}");
            let seen = || counter(&wire.subject, backend, family, "-p sctp -j DROP");
            let before = seen();
            send_sctp_init(&wire.stranger, wire.at(family, DNS));
            ping(&wire.stranger, wire.at(family, DNS).ip());
            assert_eq!(seen(), before + 1, "{backend} {family} sctp");
        }
    }
}

/// P34: what comes to the pod and is sent to others, or to all: a group that every host is in, the group of a socket of
/// the application's, the broadcast addresses of the net and of the link, and an address that the pod does not have.
#[test]
fn p34_datagrams_to_groups_to_everybody_and_to_others_reach_no_listener() {
    let name = "p34_datagrams_to_groups_to_everybody_and_to_others";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let first = bind(&wire, FIRST);
        let member = bind(&wire, SYSLOG);
        let install = || drop(install_with(&judged(&wire), &[backend]).unwrap());
        wire.subject.enter(install).unwrap();
        member
            .join_multicast_v6(&"ff02::fb".parse().unwrap(), 0)
            .unwrap();
        let of_v4 = "224.0.0.251".parse().unwrap();
        member
            .join_multicast_v4(&of_v4, &wire.subject.v4())
            .unwrap();
        for family in Family::ALL {
            let program = family.program();
            let come = "-A PREROUTING -p udp -m udp --dport 53";
            run(&wire.subject, &format!("{program}-nft -t raw {come}"));
            let elsewhere = match family {
                Family::Ipv4 => "192.0.2.7",
                Family::Ipv6 => "2001:db8::7",
            };
            let there = address(&wire.subject, family);
            let to_it = format!("ip route add {elsewhere} via {there}");
            run(&wire.stranger, &to_it);
            let net = broadcast(&wire);
            let others: &[&str] = match family {
                Family::Ipv4 => &[
                    "224.0.0.1",
                    "224.0.0.251",
                    "255.255.255.255",
                    &net,
                    elsewhere,
                ],
                Family::Ipv6 => &["ff02::1", "ff02::fb", elsewhere],
            };
            for (count, to) in others.iter().enumerate() {
                let client = bound(&wire.stranger, family);
                client.send_to(b"to others", (*to, DNS)).unwrap();
                ping(&wire.stranger, there);
                let come = counter(&wire.subject, Backend::Nft, family, come);
                assert_eq!(come, count as u64 + 1, "{backend} {to} did not come");
            }
            // The listener heard none of them: this is the first.
            send(&wire.stranger, wire.at(family, DNS), "to the pod");
            assert_eq!(receive(&first).0, "to the pod", "{backend} {family}");
        }
    }
}

/// The broadcast address of the subject's net.
fn broadcast(wire: &Wire) -> String {
    let show = "-4 route show table local type broadcast dev eth0";
    let show = wire.subject.command("ip").args(show.split(' '));
    let told = show.run(Duration::from_secs(5)).unwrap().stdout;
    let last = told.lines().last().expect("a broadcast address");
    last.split(' ').nth(1).unwrap().to_owned()
}

/// S65: where the node's way past is narrowed to TCP ports, its datagrams are judged like anybody's.
#[test]
fn p11_s65_the_nodes_datagrams_go_to_the_listener_where_its_ports_are_named() {
    let name = "p11_s65_the_nodes_datagrams_go_to_the_listener";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let first = bind(&wire, FIRST);
        let strict = wire.with(judged_ports().with_node_ports([80]).unwrap());
        let install = || drop(install_with(&strict, &[backend]).unwrap());
        wire.subject.enter(install).unwrap();
        for family in Family::ALL {
            send(wire.lab.node(), wire.at(family, DNS), "node");
            assert_eq!(receive(&first).0, "node", "{backend} {family}");
        }
    }
}

#[test]
fn p19_no_prefix_of_an_installation_lets_a_datagram_reach_the_application() {
    let name = "p19_no_prefix_of_an_installation_lets_a_datagram";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let wanted = judged(&wire);
        for count in 2..=4 {
            let apply = || {
                let plan = plan(&wanted, &[backend]).unwrap();
                plan.apply_first(count).unwrap();
            };
            wire.subject.enter(apply).unwrap();
            for family in Family::ALL {
                wire.is_closed(family, &format!("{backend}, after {count} steps"));
            }
            wire.subject.enter(|| remove().unwrap()).unwrap();
        }
    }
}

#[test]
fn p36_a_foreign_notrack_rule_opens_no_listener() {
    let name = "p36_a_foreign_notrack_rule_opens_no_listener";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let install = || drop(install_with(&judged(&wire), &[backend]).unwrap());
        wire.subject.enter(install).unwrap();
        for family in Family::ALL {
            let notrack = "-nft -t raw -A PREROUTING -p udp -j NOTRACK";
            run(&wire.subject, &format!("{}{notrack}", family.program()));
            for port in [DNS, FIRST] {
                let count = dropped(&wire, backend, family, port);
                assert_eq!(count, 1, "{backend} {family} {port}");
            }
        }
    }
}

/// S6: what the pod asked for itself comes in, from a declared port of its own too.
#[test]
fn s6_replies_to_the_pods_own_datagrams_come_in() {
    let name = "s6_replies_to_the_pods_own_datagrams_come_in";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let install = || drop(install_with(&judged(&wire), &[backend]).unwrap());
        wire.subject.enter(install).unwrap();
        let own = bind(&wire, SYSLOG);
        for family in Family::ALL {
            let there = address(&wire.stranger, family);
            let bound = wire
                .stranger
                .enter(|| UdpSocket::bind((there, 5353)).unwrap());
            let server = bound.unwrap();
            let free = send(&wire.subject, (there, 5353).into(), "free");
            let mapped: SocketAddr = match address(&wire.stranger, family) {
                std::net::IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 5353).into(),
                std::net::IpAddr::V6(v6) => (v6, 5353).into(),
            };
            own.send_to(b"declared", mapped).unwrap();
            for (text, client) in [("free", &free), ("declared", &own)] {
                let (heard, from) = receive(&server);
                assert_eq!(heard, text, "{backend} {family}");
                server.send_to(b"answer", from).unwrap();
                assert_eq!(receive(client).0, "answer", "{backend} {family} {text}");
            }
        }
    }
}
