//! The rules of both modes, word for word, and what must be true of them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use expect_test::{Expect, expect};

use super::*;
use crate::mode::{ADMITTED, OWN, Queue, Queues, REFUSED, Redirect, UdpDeny};
use crate::wanted::Transport;

fn wanted() -> Wanted {
    with(mode())
}

fn mode() -> Redirect {
    Redirect::new(15006, 15007).unwrap()
}

fn with(mode: impl Into<Mode>) -> Wanted {
    let nodes = ["10.1.0.1", "fd00::1"].map(|node| node.parse::<IpAddr>().unwrap());
    Wanted::new(mode, nodes).unwrap()
}

fn check(family: Family, expected: &Expect) {
    expected.assert_eq(&rules(&wanted(), family));
}

#[test]
fn the_rules_of_ipv4() {
    check(
        Family::Ipv4,
        &expect![[r#"
        *filter
        :PODWALL_SPOOFED - [0:0]
        :PODWALL_INPUT - [0:0]
        -I INPUT 1 -j PODWALL_INPUT
        -A PODWALL_SPOOFED -j DROP
        -A PODWALL_INPUT -i lo -j ACCEPT
        -A PODWALL_INPUT ! -i lo -m addrtype --src-type LOCAL -j PODWALL_SPOOFED
        -A PODWALL_INPUT -s 127.0.0.0/8 ! -i lo -j PODWALL_SPOOFED
        -A PODWALL_INPUT -p icmp -j ACCEPT
        -A PODWALL_INPUT -s 10.1.0.1/32 -j ACCEPT
        -A PODWALL_INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
        -A PODWALL_INPUT -p tcp -m tcp --dport 15006 -m conntrack --ctstate DNAT -j ACCEPT
        -A PODWALL_INPUT -p tcp -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -p udp -j DROP
        -A PODWALL_INPUT -p sctp -j DROP
        COMMIT
        *nat
        :PODWALL_REDIRECT - [0:0]
        :PODWALL_CANARY - [0:0]
        -I PREROUTING 1 ! -i lo -j PODWALL_REDIRECT
        -I OUTPUT 1 -j PODWALL_CANARY
        -A PODWALL_REDIRECT -s 10.1.0.1/32 -j RETURN
        -A PODWALL_REDIRECT -p tcp -j REDIRECT --to-ports 15006
        -A PODWALL_CANARY -d 127.0.0.1/32 -o lo -p tcp -m tcp --dport 15007 -j REDIRECT --to-ports 15006
        COMMIT
    "#]],
    );
}

#[test]
fn the_rules_of_ipv6() {
    check(
        Family::Ipv6,
        &expect![[r#"
        *filter
        :PODWALL_SPOOFED - [0:0]
        :PODWALL_INPUT - [0:0]
        -I INPUT 1 -j PODWALL_INPUT
        -A PODWALL_SPOOFED -j DROP
        -A PODWALL_INPUT -i lo -j ACCEPT
        -A PODWALL_INPUT ! -i lo -m addrtype --src-type LOCAL -j PODWALL_SPOOFED
        -A PODWALL_INPUT -s ::1/128 ! -i lo -j PODWALL_SPOOFED
        -A PODWALL_INPUT -p ipv6-icmp -j ACCEPT
        -A PODWALL_INPUT -s fd00::1/128 -j ACCEPT
        -A PODWALL_INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
        -A PODWALL_INPUT -p tcp -m tcp --dport 15006 -m conntrack --ctstate DNAT -j ACCEPT
        -A PODWALL_INPUT -p tcp -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -p udp -j DROP
        -A PODWALL_INPUT -p sctp -j DROP
        COMMIT
        *nat
        :PODWALL_REDIRECT - [0:0]
        :PODWALL_CANARY - [0:0]
        -I PREROUTING 1 ! -i lo -j PODWALL_REDIRECT
        -I OUTPUT 1 -j PODWALL_CANARY
        -A PODWALL_REDIRECT -s fd00::1/128 -j RETURN
        -A PODWALL_REDIRECT -p tcp -j REDIRECT --to-ports 15006
        -A PODWALL_CANARY -d ::1/128 -o lo -p tcp -m tcp --dport 15007 -j REDIRECT --to-ports 15006
        COMMIT
    "#]],
    );
}

#[test]
fn p11_s65_strict_rules_let_the_node_past_on_its_ports_only() {
    let strict = with(mode().with_node_ports([15008, 80]).unwrap());
    let of_node = |family: Family, node: &str| -> String {
        let text = rules(&strict, family);
        let lines = text.lines().filter(|line| line.contains(node));
        lines.map(|line| format!("{line}\n")).collect()
    };
    expect![[r#"
        -A PODWALL_INPUT -s 10.1.0.1/32 -p tcp -m tcp --dport 80 -j ACCEPT
        -A PODWALL_INPUT -s 10.1.0.1/32 -p tcp -m tcp --dport 15008 -j ACCEPT
        -A PODWALL_REDIRECT -s 10.1.0.1/32 -p tcp -m tcp --dport 80 -j RETURN
        -A PODWALL_REDIRECT -s 10.1.0.1/32 -p tcp -m tcp --dport 15008 -j RETURN
    "#]]
    .assert_eq(&of_node(Family::Ipv4, "10.1.0.1"));
    expect![[r#"
        -A PODWALL_INPUT -s fd00::1/128 -p tcp -m tcp --dport 80 -j ACCEPT
        -A PODWALL_INPUT -s fd00::1/128 -p tcp -m tcp --dport 15008 -j ACCEPT
        -A PODWALL_REDIRECT -s fd00::1/128 -p tcp -m tcp --dport 80 -j RETURN
        -A PODWALL_REDIRECT -s fd00::1/128 -p tcp -m tcp --dport 15008 -j RETURN
    "#]]
    .assert_eq(&of_node(Family::Ipv6, "fd00::1"));
    // All the rest is as without the option.
    for family in Family::ALL {
        let rest = |wanted: &Wanted| -> Vec<String> {
            let text = rules(wanted, family);
            let nodes = ["10.1.0.1/32", "fd00::1/128"];
            let others = text
                .lines()
                .filter(|line| !nodes.iter().any(|node| line.contains(node)));
            others.map(str::to_owned).collect()
        };
        assert_eq!(rest(&strict), rest(&wanted()));
    }
}

#[test]
fn s60_ports_left_to_everybody_are_accepted_before_the_drop_and_nothing_else_changes() {
    let ports = [
        (Transport::Sctp, 3868),
        (Transport::Udp, 53),
        (Transport::Udp, 53),
    ];
    let open = wanted().with_unguarded(ports).unwrap();
    for family in Family::ALL {
        let (with, without) = (rules(&open, family), rules(&wanted(), family));
        let added: Vec<&str> = with
            .lines()
            .filter(|line| !without.contains(line))
            .collect();
        assert_eq!(
            added,
            [
                "-A PODWALL_INPUT -p udp -m udp --dport 53 -j ACCEPT",
                "-A PODWALL_INPUT -p sctp -m sctp --dport 3868 -j ACCEPT",
            ]
        );
        let at = |rule: &str| with.lines().position(|line| line.ends_with(rule)).unwrap();
        assert!(at("-j PODWALL_SPOOFED") < at("--dport 53 -j ACCEPT"));
        assert!(at("--dport 3868 -j ACCEPT") < at("-p udp -j DROP"));
    }
}

#[test]
fn p2_each_udp_port_goes_to_its_own_listener_and_nothing_else_changes() {
    let judged = with(mode().with_udp_ports([5353, 53], 15874).unwrap());
    for family in Family::ALL {
        let (with, without) = (rules(&judged, family), rules(&wanted(), family));
        let lines = with.lines().filter(|line| !without.contains(line));
        let added: String = lines.map(|line| format!("{line}\n")).collect();
        expect![[r#"
            -A PODWALL_INPUT -p udp -m udp --dport 15874 -m conntrack --ctstate DNAT -j ACCEPT
            -A PODWALL_INPUT -p udp -m udp --dport 15875 -m conntrack --ctstate DNAT -j ACCEPT
            -A PODWALL_REDIRECT -p udp -m udp --dport 53 -m addrtype --dst-type LOCAL -j DNAT --to-destination :15874
            -A PODWALL_REDIRECT -p udp -m udp --dport 5353 -m addrtype --dst-type LOCAL -j DNAT --to-destination :15875
        "#]]
        .assert_eq(&added);
        let at = |rule: &str| with.lines().position(|line| line.contains(rule)).unwrap();
        assert!(at("-j PODWALL_SPOOFED") < at("--dport 15874 -m"));
        assert!(at("--dport 15875 -m") < at("-p udp -j DROP"));
        assert!(at("-j RETURN") < at("--dport 53 -m addrtype"));
        assert!(at("--to-destination :15875") < at("-A PODWALL_CANARY"));
    }
}

#[test]
fn p40_the_canary_is_the_last_line_of_the_nat_payload() {
    for family in Family::ALL {
        let text = rules(&with(mode().with_udp_ports([53], 15874).unwrap()), family);
        let last = text.lines().rev().nth(1).unwrap();
        assert!(
            last.contains("PODWALL_CANARY") && last.contains("--dport 15007"),
            "{last}"
        );
    }
}

#[test]
fn a_trial_holds_every_kind_of_rule_and_hooks_none() {
    for wanted in [wanted(), with(queue(1, UdpDeny::Drop))] {
        for (family, table) in Family::ALL
            .into_iter()
            .flat_map(|f| tables(&wanted).map(|t| (f, t)))
        {
            let (trial, clearance) = probe(&wanted, family, table);
            assert!(
                !trial.contains("-I ") && !clearance.contains("-A "),
                "{trial}{clearance}"
            );
            assert!(
                trial.lines().all(|line| !line.contains("-j PODWALL")),
                "{trial}"
            );
            let content = content(&wanted, family, table);
            let rules: usize = content.chains.iter().map(|chain| chain.rules.len()).sum();
            assert_eq!(trial.matches("-A PODWALL_PROBE").count(), rules, "{trial}");
        }
    }
}

fn queue(count: u16, udp_deny: UdpDeny) -> Queue {
    let queues = Queues::new(15871, count).unwrap();
    Queue { queues, udp_deny }
}

#[test]
fn p36_p37_p38_the_rules_of_mode_queue() {
    expect![[r#"
        *filter
        :PODWALL_SPOOFED - [0:0]
        :PODWALL_INPUT - [0:0]
        -I INPUT 1 -j PODWALL_INPUT
        -A PODWALL_SPOOFED -j DROP
        -A PODWALL_INPUT -i lo -j ACCEPT
        -A PODWALL_INPUT ! -i lo -m addrtype --src-type LOCAL -j PODWALL_SPOOFED
        -A PODWALL_INPUT -s 127.0.0.0/8 ! -i lo -j PODWALL_SPOOFED
        -A PODWALL_INPUT -p icmp -j ACCEPT
        -A PODWALL_INPUT -p tcp -m connmark --mark 0x2000000/0x2000000 -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -p udp -m connmark --mark 0x2000000/0x2000000 -j DROP
        -A PODWALL_INPUT -p sctp -m connmark --mark 0x2000000/0x2000000 -j DROP
        -A PODWALL_INPUT -p tcp -m conntrack --ctstate INVALID -j DROP
        -A PODWALL_INPUT -p udp -m conntrack --ctstate INVALID -j DROP
        -A PODWALL_INPUT -p sctp -m conntrack --ctstate INVALID -j DROP
        -A PODWALL_INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m mark ! --mark 0x1000000/0x1000000 -m conntrack --ctstate ESTABLISHED -j DROP
        -A PODWALL_INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m mark ! --mark 0x1000000/0x1000000 -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
        -A PODWALL_INPUT -m mark --mark 0x1000000/0x1000000 -m connmark ! --mark 0x1000000/0x1000000 -j CONNMARK --set-xmark 0x1000000/0x1000000
        -A PODWALL_INPUT -m mark --mark 0x1000000/0x1000000 -j ACCEPT
        -A PODWALL_INPUT -p tcp -m mark --mark 0x4000000/0x4000000 -j ACCEPT
        -A PODWALL_INPUT -p tcp -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -p udp -j DROP
        -A PODWALL_INPUT -p sctp -j DROP
        COMMIT
        *mangle
        :PODWALL_QUEUE - [0:0]
        -I INPUT 1 -j PODWALL_QUEUE
        -A PODWALL_QUEUE ! -i lo -j MARK --set-xmark 0x0/0x7000000
        -A PODWALL_QUEUE -i lo -j RETURN
        -A PODWALL_QUEUE -m addrtype --src-type LOCAL -j RETURN
        -A PODWALL_QUEUE -s 127.0.0.0/8 -j RETURN
        -A PODWALL_QUEUE -p icmp -j RETURN
        -A PODWALL_QUEUE -m conntrack --ctstate INVALID -j RETURN
        -A PODWALL_QUEUE -m connmark --mark 0x2000000/0x2000000 -j MARK --set-xmark 0x2000000/0x2000000
        -A PODWALL_QUEUE -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j NFQUEUE --queue-num 15871
        -A PODWALL_QUEUE -m mark ! --mark 0x2000000/0x2000000 -m conntrack --ctstate ESTABLISHED -j RETURN
        -A PODWALL_QUEUE -p tcp -m mark --mark 0x2000000/0x2000000 -j RETURN
        -A PODWALL_QUEUE -p udp -m mark --mark 0x2000000/0x2000000 -j NFQUEUE --queue-num 15871
        -A PODWALL_QUEUE -p sctp -m mark --mark 0x2000000/0x2000000 -j NFQUEUE --queue-num 15871
        -A PODWALL_QUEUE -m connmark --mark 0x1000000/0x1000000 -j MARK --set-xmark 0x1000000/0x1000000
        -A PODWALL_QUEUE -m connmark --mark 0x1000000/0x1000000 -j RETURN
        -A PODWALL_QUEUE -p tcp -j NFQUEUE --queue-num 15871
        -A PODWALL_QUEUE -p udp -j NFQUEUE --queue-num 15871
        -A PODWALL_QUEUE -p sctp -j NFQUEUE --queue-num 15871
        COMMIT
    "#]]
    .assert_eq(&rules(&with(queue(1, UdpDeny::Drop)), Family::Ipv4));
    expect![[r#"
        *filter
        :PODWALL_SPOOFED - [0:0]
        :PODWALL_INPUT - [0:0]
        -I INPUT 1 -j PODWALL_INPUT
        -A PODWALL_SPOOFED -j DROP
        -A PODWALL_INPUT -i lo -j ACCEPT
        -A PODWALL_INPUT ! -i lo -m addrtype --src-type LOCAL -j PODWALL_SPOOFED
        -A PODWALL_INPUT -s ::1/128 ! -i lo -j PODWALL_SPOOFED
        -A PODWALL_INPUT -p ipv6-icmp -j ACCEPT
        -A PODWALL_INPUT -p tcp -m connmark --mark 0x2000000/0x2000000 -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -p udp -m connmark --mark 0x2000000/0x2000000 -j DROP
        -A PODWALL_INPUT -p sctp -m connmark --mark 0x2000000/0x2000000 -j DROP
        -A PODWALL_INPUT -p tcp -m conntrack --ctstate INVALID -j DROP
        -A PODWALL_INPUT -p udp -m conntrack --ctstate INVALID -j DROP
        -A PODWALL_INPUT -p sctp -m conntrack --ctstate INVALID -j DROP
        -A PODWALL_INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m mark ! --mark 0x1000000/0x1000000 -m conntrack --ctstate ESTABLISHED -j DROP
        -A PODWALL_INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m mark ! --mark 0x1000000/0x1000000 -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
        -A PODWALL_INPUT -m mark --mark 0x1000000/0x1000000 -m connmark ! --mark 0x1000000/0x1000000 -j CONNMARK --set-xmark 0x1000000/0x1000000
        -A PODWALL_INPUT -m mark --mark 0x1000000/0x1000000 -j ACCEPT
        -A PODWALL_INPUT -p tcp -m mark --mark 0x4000000/0x4000000 -j ACCEPT
        -A PODWALL_INPUT -p tcp -j REJECT --reject-with tcp-reset
        -A PODWALL_INPUT -p udp -j REJECT --reject-with icmp6-port-unreachable
        -A PODWALL_INPUT -p sctp -j DROP
        COMMIT
        *mangle
        :PODWALL_QUEUE - [0:0]
        -I INPUT 1 -j PODWALL_QUEUE
        -A PODWALL_QUEUE ! -i lo -j MARK --set-xmark 0x0/0x7000000
        -A PODWALL_QUEUE -i lo -j RETURN
        -A PODWALL_QUEUE -m addrtype --src-type LOCAL -j RETURN
        -A PODWALL_QUEUE -s ::1/128 -j RETURN
        -A PODWALL_QUEUE -p ipv6-icmp -j RETURN
        -A PODWALL_QUEUE -m conntrack --ctstate INVALID -j RETURN
        -A PODWALL_QUEUE -m connmark --mark 0x2000000/0x2000000 -j MARK --set-xmark 0x2000000/0x2000000
        -A PODWALL_QUEUE -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j NFQUEUE --queue-balance 15871:15874
        -A PODWALL_QUEUE -m mark ! --mark 0x2000000/0x2000000 -m conntrack --ctstate ESTABLISHED -j RETURN
        -A PODWALL_QUEUE -p tcp -m mark --mark 0x2000000/0x2000000 -j RETURN
        -A PODWALL_QUEUE -p udp -m mark --mark 0x2000000/0x2000000 -j NFQUEUE --queue-balance 15871:15874
        -A PODWALL_QUEUE -p sctp -m mark --mark 0x2000000/0x2000000 -j NFQUEUE --queue-balance 15871:15874
        -A PODWALL_QUEUE -m connmark --mark 0x1000000/0x1000000 -j MARK --set-xmark 0x1000000/0x1000000
        -A PODWALL_QUEUE -m connmark --mark 0x1000000/0x1000000 -j RETURN
        -A PODWALL_QUEUE -p tcp -j NFQUEUE --queue-balance 15871:15874
        -A PODWALL_QUEUE -p udp -j NFQUEUE --queue-balance 15871:15874
        -A PODWALL_QUEUE -p sctp -j NFQUEUE --queue-balance 15871:15874
        COMMIT
    "#]]
    .assert_eq(&rules(&with(queue(4, UdpDeny::Unreachable)), Family::Ipv6));
}

#[test]
fn p36_no_rule_of_mode_queue_touches_another_bit_or_passes_by() {
    let open = [(Transport::Udp, 53)];
    let wanted = with(queue(4, UdpDeny::Drop)).with_unguarded(open).unwrap();
    for family in Family::ALL {
        let text = rules(&wanted, family);
        assert!(
            !text.contains("bypass") && !text.contains("fanout"),
            "{text}"
        );
        assert!(
            !text.contains("10.1.0.1") && !text.contains("fd00"),
            "{text}"
        );
        for line in text.lines().filter(|line| line.contains("mark ")) {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                if word.ends_with("mark") && word.starts_with("--") {
                    let (value, mask) = words.next().unwrap().split_once('/').unwrap();
                    assert!(value == mask || value == "0x0", "{line}");
                    let mask = u32::from_str_radix(&mask[2..], 16).unwrap();
                    assert_eq!(mask & !(ADMITTED | REFUSED | OWN), 0, "{line}");
                }
            }
        }
        let added = text.lines().filter(|line| line.contains("--dport 53"));
        assert_eq!(
            added.collect::<Vec<_>>(),
            [
                "-A PODWALL_INPUT -p udp -m udp --dport 53 -j ACCEPT",
                "-A PODWALL_QUEUE -p udp -m udp --dport 53 -j RETURN",
            ]
        );
    }
}
