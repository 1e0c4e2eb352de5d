#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::rules;

fn redirect() -> Redirect {
    let mode = Redirect::new(15006, 15007).unwrap();
    mode.with_udp_ports([5353, 53], 15874).unwrap()
}

fn queue(queues: &str, udp_deny: UdpDeny) -> Queue {
    let queues = queues.parse().unwrap();
    Queue { queues, udp_deny }
}

fn with(mode: impl Into<Mode>, nodes: &[&str]) -> Wanted {
    let nodes = nodes.iter().map(|node| node.parse().unwrap());
    let open = [(Transport::Sctp, 3868), (Transport::Udp, 123)];
    Wanted::new(mode, nodes)
        .unwrap()
        .with_unguarded(open)
        .unwrap()
}

/// What a save program would print of a wish.
fn dump(wanted: &Wanted, family: Family) -> Dump {
    Dump::parse(&rules::rules(wanted, family).replace("-I INPUT 1", "-A INPUT"))
}

fn read(wanted: &Wanted) -> Option<Wanted> {
    let dumps = Family::ALL.map(|family| (family, dump(wanted, family)));
    wish(dumps.iter().map(|(family, dump)| (*family, dump)))
}

#[test]
fn what_is_installed_is_read_back() {
    let strict = redirect().with_node_ports([80, 443]).unwrap();
    for wanted in [
        with(redirect(), &["10.1.0.1", "10.1.0.2", "fd00::1"]),
        with(strict.clone(), &["10.1.0.1"]),
        with(strict, &["fd00::1"]),
        with(queue("15871:1", UdpDeny::Drop), &[]),
        with(queue("5:64", UdpDeny::Unreachable), &[]),
    ] {
        assert_eq!(read(&wanted), Some(wanted));
    }
}

#[test]
fn halves_and_both_modes_at_once_are_no_wish() {
    let wanted = with(queue("5:2", UdpDeny::Drop), &[]);
    let text = rules::rules(&wanted, Family::Ipv4);
    let (filter, mangle) = text.split_once("*mangle").unwrap();
    let both = text.clone() + &rules::rules(&with(redirect(), &[]), Family::Ipv4);
    for text in [filter, &format!("*mangle{mangle}"), &both, ""] {
        let dump = Dump::parse(text);
        assert_eq!(wish([(Family::Ipv4, &dump)]), None, "{text}");
    }
    assert_eq!(wish([]), None);
}

#[test]
fn differing_flags_are_named_with_both_values() {
    let node = with(redirect(), &["10.1.0.1"]);
    let bare = Redirect::new(15006, 15007).unwrap();
    let rows = [
        (
            &with(queue("5:2", UdpDeny::Drop), &[]),
            &with(queue("15871:1", UdpDeny::Unreachable), &[]),
            &[
                "installed --queues 5:2, wanted --queues 15871:1",
                "installed --udp-deny drop, wanted --udp-deny unreachable",
            ][..],
        ),
        (
            &node,
            &with(queue("15871:1", UdpDeny::Drop), &[]),
            &["installed --mode redirect, wanted --mode queue"],
        ),
        (
            &node,
            &with(bare.with_node_ports([80]).unwrap(), &[]),
            &[
                "installed --node-address 10.1.0.1, wanted --node-address none",
                "installed --node-port all, wanted --node-port 80",
                "installed --udp-port 53,5353, wanted --udp-port none",
            ],
        ),
        (
            &node,
            &node.clone().with_unguarded([]).unwrap(),
            &["installed --unguarded-port 123/UDP,3868/SCTP, wanted --unguarded-port none"],
        ),
    ];
    for (installed, wanted, expected) in rows {
        let found = flags(installed, wanted);
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(lines, expected);
    }
}
