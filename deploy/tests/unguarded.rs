//! Ports that are left to everybody, against packets: these and no others, and all else is as closed as without them.
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
use common::wire::{APP, Wire, ask, counter, ping, send, send_sctp_init};
use podwall_deploy::{Backend, Family, Transport, Wanted, check, install_with};

/// The UDP port of the application.
const DNS: u16 = 53;
/// A UDP port that nobody named.
const OTHER: u16 = 54;
/// An SCTP port, and one that nobody named.
const DIAMETER: u16 = 3868;

fn open(wire: &Wire) -> Wanted {
    let ports = [(Transport::Udp, DNS), (Transport::Sctp, DIAMETER)];
    wire.wanted().with_unguarded(ports).unwrap()
}

/// Sends, and gives by how much a rule's counter grew.
fn counted(wire: &Wire, backend: Backend, family: Family, rule: &str, send: impl FnOnce()) -> u64 {
    let count = || counter(&wire.subject, backend, family, rule);
    let before = count();
    send();
    // It has gone the stranger's whole way before, so it is counted by now.
    ping(&wire.stranger, wire.at(family, 0).ip());
    count() - before
}

#[test]
fn s60_ports_left_to_everybody_are_open_and_no_others() {
    let name = "s60_ports_left_to_everybody_are_open_and_no_others";
    for backend in backends(name) {
        let Some(wire) = Wire::lay(name) else { return };
        let install = |wanted: &Wanted| {
            let installed = wire.subject.enter(|| {
                install_with(wanted, &[backend]).unwrap();
                assert!(check(wanted).unwrap().as_wanted());
            });
            installed.unwrap();
        };
        install(&open(&wire));
        for family in Family::ALL {
            assert_eq!(wire.datagram(family), "stranger", "{backend} {family}");
            assert_eq!(wire.receive(), "node");
            let refused = Err(io::ErrorKind::ConnectionRefused);
            assert_eq!(ask(&wire.stranger, wire.at(family, APP)), refused);
            let udp = || drop(send(&wire.stranger, wire.at(family, OTHER), "stranger"));
            let rule = "-p udp -j DROP";
            assert_eq!(counted(&wire, backend, family, rule, udp), 1, "{backend}");
            for (port, rule) in [
                (DIAMETER, "-p sctp -m sctp --dport 3868 -j ACCEPT"),
                (DIAMETER + 1, "-p sctp -j DROP"),
            ] {
                let init = || send_sctp_init(&wire.stranger, wire.at(family, port));
                let count = counted(&wire, backend, family, rule, init);
                assert_eq!(count, 1, "{backend} {family} {port}");
            }
        }
        install(&wire.wanted());
        for family in Family::ALL {
            wire.is_closed(family, "taken back");
        }
    }
}
