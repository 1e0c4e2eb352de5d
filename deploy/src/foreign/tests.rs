//! Whole dumps, and which of their rules are named in which mode.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::mode::{Queue, Queues, Redirect, UdpDeny};

fn check(dump: &str, expected: &[&str]) {
    for mode in modes() {
        check_in(&mode, dump, expected);
    }
}

/// Both modes.
fn modes() -> [Mode; 2] {
    let queue = Queue {
        queues: Queues::new(1, 1).unwrap(),
        udp_deny: UdpDeny::Drop,
    };
    [Redirect::new(1, 2).unwrap().into(), queue.into()]
}

fn check_in(mode: &Mode, dump: &str, expected: &[&str]) {
    let found = foreign(mode, Backend::Nft, Family::Ipv4, &Dump::parse(dump));
    let lines: Vec<String> = found
        .iter()
        .map(|rule| format!("{}: {}", rule.table, rule.rule))
        .collect();
    assert_eq!(lines, expected, "{dump}");
}

#[test]
fn without_our_jump_every_rewriting_rule_came_first() {
    let dump = "*nat\n-A PREROUTING -p tcp -j REDIRECT --to-ports 1\n-A PREROUTING -j LOG\n\
                -A PREROUTING -j DNAT --to-destination 10.0.0.1\n\
                -A PREROUTING -d 10.0.0.0/8 -j NETMAP --to 10.1.0.0/16\n\
                -A OUTPUT -p tcp -j REDIRECT --to-ports 2\nCOMMIT\n";
    check(
        dump,
        &[
            "nat: -A PREROUTING -p tcp -j REDIRECT --to-ports 1",
            "nat: -A PREROUTING -j DNAT --to-destination 10.0.0.1",
            "nat: -A PREROUTING -d 10.0.0.0/8 -j NETMAP --to 10.1.0.0/16",
        ],
    );
}

#[test]
fn only_what_is_ahead_of_our_jump_counts() {
    let dump = "*nat\n:PODWALL_REDIRECT - [0:0]\n-A PREROUTING -p udp -j REDIRECT --to-ports 1\n\
                -A PREROUTING ! -i lo -p tcp -j PODWALL_REDIRECT\n\
                -A PREROUTING -p tcp -j REDIRECT --to-ports 2\n\
                -A PODWALL_REDIRECT -p tcp -j REDIRECT --to-ports 3\nCOMMIT\n";
    check(
        dump,
        &["nat: -A PREROUTING -p udp -j REDIRECT --to-ports 1"],
    );
}

#[test]
fn jumps_are_followed_through_loops_and_named_with_what_they_lead_to() {
    let dump = "*nat\n:A - [0:0]\n:B - [0:0]\n:C - [0:0]\n-A PREROUTING -j C\n\
                -A PREROUTING -p tcp -j A\n-A PREROUTING -p udp -g B\n-A A -j B\n-A B -j A\n\
                -A B -p tcp -j DNAT --to-destination 10.0.0.1\n-A C -j RETURN\nCOMMIT\n";
    check(
        dump,
        &[
            "nat: -A PREROUTING -p tcp -j A",
            "nat: -A A -j B",
            "nat: -A B -p tcp -j DNAT --to-destination 10.0.0.1",
            "nat: -A PREROUTING -p udp -g B",
        ],
    );
}

#[test]
fn tproxy_always_counts() {
    let dump = "*mangle\n:DIVERT - [0:0]\n-A PREROUTING -j DIVERT\n-A DIVERT -p tcp -j TPROXY \
                --on-port 9\n-A INPUT -p tcp -j MARK --set-xmark 0x1/0x1\nCOMMIT\n";
    check(
        dump,
        &[
            "mangle: -A PREROUTING -j DIVERT",
            "mangle: -A DIVERT -p tcp -j TPROXY --on-port 9",
        ],
    );
}

#[test]
fn a_new_source_ahead_of_the_relay_counts() {
    let dump = "*nat\n:PODWALL_REDIRECT - [0:0]\n:HIDE - [0:0]\n\
                -A PREROUTING ! -i lo -p tcp -j PODWALL_REDIRECT\n-A INPUT -j HIDE\n\
                -A INPUT -p tcp -j SNAT --to-source 10.0.0.1\n-A INPUT -p tcp -j RETURN\n\
                -A HIDE -p tcp -j NETMAP --to 10.1.0.0/16\n\
                -A POSTROUTING -j SNAT --to-source 10.0.0.2\nCOMMIT\n";
    check(
        dump,
        &[
            "nat: -A INPUT -j HIDE",
            "nat: -A HIDE -p tcp -j NETMAP --to 10.1.0.0/16",
            "nat: -A INPUT -p tcp -j SNAT --to-source 10.0.0.1",
        ],
    );
}

#[test]
fn p36_p37_marks_of_others_count_in_mode_queue_only() {
    let dump = "*raw\n-A PREROUTING -p udp -m udp --sport 53 -j CT --zone 1\n-A PREROUTING -j CT --notrack\n\
                -A OUTPUT -p udp -m udp --dport 53 -j CT --zone 1\nCOMMIT\n\
                *mangle\n:PODWALL_QUEUE - [0:0]\n:M - [0:0]\n\
                -A PREROUTING -j MARK --set-xmark 0x1000000/0x1000000\n\
                -A PREROUTING -j MARK --set-xmark 0x539/0xffffffff\n\
                -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff\n\
                -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffff --ctmask 0xffff\n\
                -A PREROUTING -j CONNMARK --set-xmark 0x1000000/0x1000000\n\
                -A INPUT -j M\n-A INPUT -j PODWALL_QUEUE\n\
                -A INPUT -j MARK --set-xmark 0x1000000/0x1000000\n\
                -A M -j MARK --set-xmark 0xf000000/0xf000000\n\
                -A OUTPUT -j CONNMARK --set-xmark 0x0/0xffffffff\n\
                -A PODWALL_QUEUE -j MARK --set-xmark 0x1000000/0x1000000\nCOMMIT\n\
                *filter\n-A INPUT -j MARK --set-xmark 0x1000000/0x1000000\nCOMMIT\n";
    let [redirect, queue] = modes();
    check_in(&redirect, dump, &[]);
    check_in(
        &queue,
        dump,
        &[
            "raw: -A PREROUTING -p udp -m udp --sport 53 -j CT --zone 1",
            "mangle: -A PREROUTING -j MARK --set-xmark 0x1000000/0x1000000",
            "mangle: -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
            "mangle: -A INPUT -j M",
            "mangle: -A M -j MARK --set-xmark 0xf000000/0xf000000",
            "filter: -A INPUT -j MARK --set-xmark 0x1000000/0x1000000",
            "mangle: -A OUTPUT -j CONNMARK --set-xmark 0x0/0xffffffff",
            "mangle: -A PREROUTING -j CONNMARK --set-xmark 0x1000000/0x1000000",
        ],
    );
}
