//! From any rules of podwall to any others: closed after every prefix of the steps, whichever modes they are of.
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
    pub mod doorman;
    #[allow(dead_code)]
    pub mod wire;
}

use std::io;

use common::backends::backends;
use common::doorman::Doorman;
use common::wire::{APP, APP_UDP, FIRST, Wire, ask, mode, ping, queue, send, serve};
use podwall_deploy::{
    Backend, Family, Table, UdpDeny, Wanted, check, install_with, plan, remove, remove_plan,
};

const REFUSED: Result<String, io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);

/// The pod's UDP listener in mode redirect.
const LISTENER: u16 = 15874;

/// A pod whose sidecar denies whatever it is asked, on the queues of all wishes.
struct Closed {
    wire: Wire,
    _doorman: Doorman,
}

impl Closed {
    fn lay(test: &str) -> Option<Self> {
        let wire = Wire::lay(test)?;
        let _doorman = Doorman::serve(&wire.subject, FIRST..FIRST + 4, |_| false);
        Some(Self { wire, _doorman })
    }

    /// Each wish that another may follow, with its name.
    fn wishes(&self) -> [(&'static str, Wanted); 3] {
        let redirect = mode().with_udp_ports([APP_UDP], LISTENER).unwrap();
        [
            ("redirect", self.wire.with(redirect)),
            ("queue", self.wire.with(queue(1, UdpDeny::Drop))),
            ("queues", self.wire.with(queue(4, UdpDeny::Unreachable))),
        ]
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.wire.subject.enter(work).unwrap()
    }

    /// A stranger gets in neither by TCP nor by UDP.
    fn is_closed(&self, family: Family, when: &str) {
        let wire = &self.wire;
        send(&wire.stranger, wire.at(family, APP_UDP), "stranger");
        // Verdicts come in the order of the packets, so the datagram is lost by the time of this answer.
        let answer = ask(&wire.stranger, wire.at(family, APP));
        assert_eq!(answer, REFUSED, "{when}: tcp {family}");
        send(&wire.subject, wire.at(family, APP_UDP), "own");
        assert_eq!(wire.receive(), "own", "{when}: udp {family}");
        ping(&wire.stranger, wire.at(family, APP).ip());
    }
}

fn names<'a>(steps: impl Iterator<Item = &'a podwall_deploy::Step>) -> Vec<String> {
    steps.map(ToString::to_string).collect()
}

#[test]
fn p19_every_prefix_from_one_mode_to_another_is_closed() {
    let name = "p19_every_prefix_from_one_mode_to_another_is_closed";
    for backend in backends(name) {
        let Some(closed) = Closed::lay(name) else {
            return;
        };
        for (from, old) in closed.wishes() {
            for (to, new) in closed.wishes() {
                let all = closed.inside(|| {
                    install_with(&old, &[backend]).unwrap();
                    plan(&new, &[backend]).unwrap().steps().len()
                });
                let switches = (from == "redirect") != (to == "redirect");
                assert_eq!(all, if switches { 6 } else { 4 }, "{from} to {to}");
                for count in 0..=all {
                    let when = format!("{backend}, {from} to {to}, after {count} of {all} steps");
                    closed.inside(|| {
                        install_with(&old, &[backend]).unwrap();
                        plan(&new, &[backend]).unwrap().apply_first(count).unwrap();
                        let is_done = count == all || from == to;
                        assert_eq!(check(&new).unwrap().as_wanted(), is_done, "{when}");
                    });
                    for family in Family::ALL {
                        closed.is_closed(family, &when);
                    }
                }
            }
        }
    }
}

#[test]
fn p19_every_prefix_of_a_first_installation_and_of_a_removal_is_closed() {
    let name = "p19_every_prefix_of_a_first_installation_and_of_a_removal";
    for backend in backends(name) {
        let Some(closed) = Closed::lay(name) else {
            return;
        };
        for (mode, wanted) in closed.wishes() {
            for count in 0..=4 {
                let install = || {
                    let plan = plan(&wanted, &[backend]).unwrap();
                    assert_eq!(plan.steps().len(), 4, "{mode}");
                    plan.apply_first(count).unwrap();
                    plan.steps().take(count).cloned().collect::<Vec<_>>()
                };
                let done = closed.inside(install);
                for family in Family::ALL {
                    let refuses = |one: &podwall_deploy::Step| {
                        one.family == family && one.table == Table::Filter
                    };
                    let when = format!("{backend}, {mode}, after {count} steps");
                    match done.iter().any(refuses) {
                        true => closed.is_closed(family, &when),
                        false => closed.wire.is_open(family, &when),
                    }
                }
                closed.inside(|| remove().unwrap());
                let take_away = || {
                    install_with(&wanted, &[backend]).unwrap();
                    let plan = remove_plan().unwrap();
                    assert_eq!(plan.steps().len(), 4, "{mode}");
                    plan.apply_first(count).unwrap();
                };
                closed.inside(take_away);
                for family in Family::ALL {
                    let when = format!("{backend}, {mode}, after {count} steps of removal");
                    // The last two are filter of IPv6 and filter of IPv4.
                    match (count, family) {
                        (0..=2, _) | (3, Family::Ipv4) => closed.is_closed(family, &when),
                        _ => closed.wire.is_open(family, &when),
                    }
                }
                closed.inside(|| remove().unwrap());
            }
        }
    }
}

/// The other mode's table goes before the own one comes, so that no verdict is on a port that nat changed.
#[test]
fn p19_the_order_of_the_steps_between_modes() {
    let name = "p19_the_order_of_the_steps_between_modes";
    let Some(closed) = Closed::lay(name) else {
        return;
    };
    let [(_, redirect), (_, queue), _] = closed.wishes();
    let steps = |old: &Wanted, new: &Wanted| {
        closed.inside(|| {
            install_with(old, &[Backend::Nft]).unwrap();
            names(plan(new, &[Backend::Nft]).unwrap().steps())
        })
    };
    assert_eq!(
        steps(&redirect, &queue),
        [
            "ipv4 filter",
            "ipv6 filter",
            "ipv4 nat",
            "ipv6 nat",
            "ipv4 mangle",
            "ipv6 mangle"
        ]
    );
    assert_eq!(
        steps(&queue, &redirect),
        [
            "ipv4 filter",
            "ipv6 filter",
            "ipv4 mangle",
            "ipv6 mangle",
            "ipv4 nat",
            "ipv6 nat"
        ]
    );
    // Killed halfway, both modes' tables may stand; a removal takes both.
    let removed = closed.inside(|| {
        let halfway = plan(&redirect, &[Backend::Nft]).unwrap();
        halfway.apply_first(3).unwrap();
        names(remove().unwrap().steps.iter())
    });
    assert_eq!(removed, ["ipv6 mangle", "ipv6 filter", "ipv4 filter"]);
    assert!(!closed.inside(|| check(&queue).unwrap().as_wanted()));
}

/// An application that listens on a port of the relay, old or new, is not reached through a half-made switch.
#[test]
fn p34_no_prefix_reaches_a_port_of_the_relay_directly() {
    let name = "p34_no_prefix_reaches_a_port_of_the_relay_directly";
    for backend in backends(name) {
        let Some(closed) = Closed::lay(name) else {
            return;
        };
        serve(&closed.wire.subject, common::wire::LISTEN, |_| {
            "relay".to_owned()
        });
        let [(_, redirect), (_, queue), _] = closed.wishes();
        // Mode redirect is whole with the last commit of a family, and ends with its first.
        let whole = |count, family| match family {
            Family::Ipv4 => count >= 5,
            Family::Ipv6 => count == 6,
        };
        let still = |count, family| match family {
            Family::Ipv4 => count == 0,
            Family::Ipv6 => count <= 1,
        };
        type Relayed<'a> = &'a dyn Fn(usize, Family) -> bool;
        let rows: [(_, _, Relayed<'_>); 2] =
            [(&queue, &redirect, &whole), (&redirect, &queue, &still)];
        for (old, new, is_relayed) in rows {
            for count in 0..=6 {
                closed.inside(|| {
                    install_with(old, &[backend]).unwrap();
                    plan(new, &[backend]).unwrap().apply_first(count).unwrap();
                });
                for family in Family::ALL {
                    let when = format!("{backend} {family}, after {count} steps");
                    let wire = &closed.wire;
                    let direct = ask(&wire.stranger, wire.at(family, common::wire::LISTEN));
                    assert_eq!(direct, REFUSED, "{when}");
                    let app = ask(&wire.stranger, wire.at(family, APP));
                    let expected = match is_relayed(count, family) {
                        true => Ok("relay".to_owned()),
                        false => REFUSED,
                    };
                    assert_eq!(app, expected, "{when}");
                }
            }
        }
    }
}
