//! The rules of mode queue against flows that live: what is remembered of them, how they end, and that the
//! pod's own go on.
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

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use common::backends::backends;
use common::doorman::Doorman;
use common::wire::{
    APP_UDP, FIRST, Wire, address, ask, counter, loopback, ping, queue, run, send, serve,
};
use podwall_deploy::{Backend, Family, Report, UdpDeny, install_with};
use podwall_lab::{Place, wait_until};

const SOON: Duration = Duration::from_secs(5);
const PATIENCE: Option<Duration> = Some(SOON);

/// A TCP port whose connections stay open.
const LONG: u16 = 8000;

/// A pod in mode queue, for each back end.
fn lay(test: &str, mut each: impl FnMut(&Wire, Backend, &Report)) {
    for backend in backends(test) {
        let Some(wire) = Wire::lay(test) else { return };
        let wanted = wire.with(queue(1, UdpDeny::Drop));
        let install = || install_with(&wanted, &[backend]).unwrap();
        let report = wire.subject.enter(install).unwrap();
        each(&wire, backend, &report);
    }
}

fn admitting(wire: &Wire) -> Doorman {
    Doorman::serve(&wire.subject, FIRST..FIRST + 1, |_| true)
}

fn denying(wire: &Wire) -> Doorman {
    Doorman::serve(&wire.subject, FIRST..FIRST + 1, |_| false)
}

/// Turns every flow of a protocol whose packets come in from admitted to refused, in place, as the sidecar
/// does through netlink; the rule that does it here is gone again afterwards.
fn refuse(wire: &Wire, family: Family, protocol: &str, with: impl FnOnce()) {
    let program = format!("{}-nft -t mangle", family.program());
    let rule = format!("PREROUTING -p {protocol} -j CONNMARK --set-xmark 0x2000000/0x3000000");
    run(&wire.subject, &format!("{program} -I {rule}"));
    with();
    run(&wire.subject, &format!("{program} -D {rule}"));
}

fn bind(place: &Place, port: u16) -> UdpSocket {
    let bind = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
    let socket = place.enter(bind).unwrap();
    socket.set_read_timeout(PATIENCE).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram arrives");
    (String::from_utf8_lossy(&buffer[..length]).into(), from)
}

/// An open connection from the stranger to the subject: the client's end and the application's.
fn connect(wire: &Wire, family: Family, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let to = wire.at(family, LONG);
    let connect = || TcpStream::connect_timeout(&to, Duration::from_secs(5)).unwrap();
    let client = wire.stranger.enter(connect).unwrap();
    let (application, _) = listener.accept().unwrap();
    for stream in [&client, &application] {
        stream.set_read_timeout(PATIENCE).unwrap();
    }
    (client, application)
}

fn listen(wire: &Wire) -> TcpListener {
    let bind = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, LONG)).unwrap();
    wire.subject.enter(bind).unwrap()
}

#[test]
fn p37_a_one_way_stream_asks_once() {
    lay("p37_a_one_way_stream_asks_once", |wire, backend, _| {
        let doorman = admitting(wire);
        for family in Family::ALL {
            let (to, before) = (wire.at(family, APP_UDP), doorman.asked());
            let client = send(&wire.stranger, to, "first");
            assert_eq!(wire.receive(), "first");
            for _ in 1..100 {
                client.send_to(b"more", to).unwrap();
                assert_eq!(wire.receive(), "more");
            }
            assert_eq!(doorman.asked(), before + 1, "{backend} {family}");
        }
    });
}

#[test]
fn p37_a_refused_stream_stops_also_while_the_application_goes_on_sending() {
    lay("p37_a_refused_stream_stops", |wire, backend, _| {
        let doorman = admitting(wire);
        let application = bind(wire.subject.place(), 5353);
        for family in Family::ALL {
            let to = wire.at(family, 5353);
            let client = send(&wire.stranger, to, "question");
            let (_, from) = receive(&application);
            application.send_to(b"answer", from).unwrap();
            assert_eq!(receive(&client).0, "answer");
            client.send_to(b"established", to).unwrap();
            assert_eq!(receive(&application).0, "established");

            let (asked, rule) = (
                doorman.asked(),
                "-p udp -m connmark --mark 0x2000000/0x2000000 -j DROP",
            );
            let dropped = || counter(&wire.subject, backend, family, rule);
            let before = dropped();
            refuse(wire, family, "udp", || {
                client.send_to(b"refused", to).unwrap();
                ping(&wire.stranger, to.ip());
            });
            for text in ["still", "sending"] {
                application.send_to(text.as_bytes(), from).unwrap();
                assert_eq!(receive(&client).0, text, "{backend} {family}");
                client.send_to(b"refused", to).unwrap();
            }
            let all = || dropped() == before + 3;
            assert!(wait_until(SOON, all), "{backend} {family}");
            // None of them came: this is the next that the application hears.
            let own = wire
                .subject
                .enter(|| UdpSocket::bind((loopback(family), 0)).unwrap());
            own.unwrap()
                .send_to(b"own", (loopback(family), 5353))
                .unwrap();
            assert_eq!(receive(&application).0, "own", "{backend} {family}");
            // Each was asked about, so that it is accounted for; that the answer was yes let none of them in.
            assert_eq!(doorman.asked(), asked + 3, "{backend} {family}");
        }
    });
}

#[test]
fn p37_a_refused_connection_is_reset_at_its_next_packet() {
    lay("p37_a_refused_connection_is_reset", |wire, backend, _| {
        let _doorman = admitting(wire);
        let listener = listen(wire);
        for family in Family::ALL {
            let (mut client, mut application) = connect(wire, family, &listener);
            client.write_all(b"one").unwrap();
            let mut buffer = [0; 3];
            application.read_exact(&mut buffer).unwrap();
            refuse(wire, family, "tcp", || {
                client.write_all(b"two").unwrap();
                let end = client.read(&mut buffer).map_err(|error| error.kind());
                let reset = Err(io::ErrorKind::ConnectionReset);
                assert_eq!(end, reset, "{backend} {family}");
            });
            application.set_nonblocking(true).unwrap();
            let heard = application.read(&mut buffer).map_err(|error| error.kind());
            assert_eq!(heard, Err(io::ErrorKind::WouldBlock), "{backend} {family}");
        }
    });
}

/// Refused alone and with both bits, as a sidecar leaves them that refuses while the rules remember an admission.
#[test]
fn p37_refused_outweighs_admitted_whatever_the_answer() {
    lay("p37_refused_outweighs_admitted", |wire, backend, _| {
        let doorman = admitting(wire);
        let cases = Family::ALL.into_iter();
        for (family, bits) in cases.flat_map(|one| ["0x2000000", "0x3000000"].map(|b| (one, b))) {
            let program = format!("{}-nft -t mangle", family.program());
            let rule = format!("PREROUTING -p udp -j CONNMARK --set-xmark {bits}/0x3000000");
            run(&wire.subject, &format!("{program} -I {rule}"));
            let before = doorman.asked();
            send(&wire.stranger, wire.at(family, APP_UDP), "refused");
            ping(&wire.stranger, wire.at(family, 0).ip());
            run(&wire.subject, &format!("{program} -D {rule}"));
            let was_asked = || doorman.asked() == before + 1;
            assert!(wait_until(SOON, was_asked), "{backend} {family} {bits}");
            send(&wire.stranger, wire.at(family, APP_UDP), "neither");
            assert_eq!(wire.receive(), "neither", "{backend} {family} {bits}");
        }
    });
}

#[test]
fn p38_a_connection_whose_entry_is_gone_is_judged_again() {
    lay(
        "p38_a_connection_whose_entry_is_gone",
        |wire, backend, _| {
            let listener = listen(wire);
            let timeout = "net.netfilter.nf_conntrack_tcp_timeout_established";
            wire.subject.place().sysctl(timeout, "1").unwrap();
            for family in Family::ALL {
                let doorman = admitting(wire);
                let (mut client, mut application) = connect(wire, family, &listener);
                application.write_all(b"banner").unwrap();
                let mut buffer = [0; 6];
                client.read_exact(&mut buffer).unwrap();
                drop(doorman);
                let is_forgotten = || !is_remembered(wire);
                assert!(wait_until(Duration::from_secs(10), is_forgotten));
                let doorman = denying(wire);
                client.write_all(b"more").unwrap();
                let end = client.read(&mut buffer).map_err(|error| error.kind());
                let reset = Err(io::ErrorKind::ConnectionReset);
                assert_eq!(end, reset, "{backend} {family}");
                assert_eq!(doorman.asked(), 1, "{backend} {family}");
            }
        },
    );
}

/// Whether connection tracking knows an entry towards the application's long port.
fn is_remembered(wire: &Wire) -> bool {
    let read = || std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap();
    let entries = wire.subject.enter(read).unwrap();
    entries.contains(&format!("dport={LONG}"))
}

#[test]
fn s6_the_pods_own_traffic_goes_on_whatever_the_verdicts() {
    lay("s6_the_pods_own_traffic_goes_on", |wire, backend, _| {
        let doorman = denying(wire);
        serve(&wire.stranger, 8080, |_| "outside".to_owned());
        let server = bind(wire.stranger.place(), 5354);
        for family in Family::ALL {
            let there = address(&wire.stranger, family);
            let answer = ask(&wire.subject, (there, 8080).into());
            assert_eq!(answer.as_deref(), Ok("outside"), "{backend} {family}");
            let client = send(&wire.subject, (there, 5354).into(), "question");
            for text in ["answer", "another"] {
                let (_, from) = receive(&server);
                server.send_to(text.as_bytes(), from).unwrap();
                assert_eq!(receive(&client).0, text, "{backend} {family}");
                client.send_to(b"more", (there, 5354)).unwrap();
            }
            receive(&server);
        }
        assert_eq!(doorman.asked(), 0, "{backend}");
    });
}

#[test]
fn s68_forged_sources_are_dropped_counted_and_asked_about_nobody() {
    lay("s68_forged_sources_are_dropped", |wire, backend, report| {
        let doorman = admitting(wire);
        let subject = wire.subject.place();
        // The kernel's own checks off, so that only the rules stand in the way.
        for name in ["all", "eth0"] {
            for setting in ["accept_local", "route_localnet"] {
                let key = format!("net.ipv4.conf.{name}.{setting}");
                subject.sysctl(&key, "1").unwrap();
            }
            let key = format!("net.ipv4.conf.{name}.rp_filter");
            subject.sysctl(&key, "0").unwrap();
        }
        let counted = || subject.enter(|| report.spoofed_packets().unwrap()).unwrap();
        assert_eq!(counted(), 0, "{backend}");
        let own = Family::ALL.map(|family| address(&wire.subject, family));
        let mut expected = 0;
        for source in [own[0], own[1], loopback(Family::Ipv4)] {
            let family = Family::of(source);
            let program = format!("{}-nft -t nat", family.program());
            let snat = format!("{program} -I POSTROUTING -j SNAT --to-source {source}");
            run(&wire.stranger, &snat);
            send(&wire.stranger, wire.at(family, APP_UDP), "forged");
            run(&wire.stranger, &format!("{program} -F"));
            ping(&wire.stranger, wire.at(family, 0).ip());
            expected += 1;
            assert_eq!(counted(), expected, "{backend}: source {source}");
        }
        assert_eq!(doorman.asked(), 0, "{backend}");
        send(&wire.stranger, wire.at(Family::Ipv4, APP_UDP), "honest");
        assert_eq!(wire.receive(), "honest", "{backend}");
    });
}
