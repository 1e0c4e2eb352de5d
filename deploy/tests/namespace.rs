//! The rules, installed with the real programs into real network namespaces, without packets.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::net::IpAddr;

use common::backends::backends;
use common::wishes::{queue, wanted, wishes, with};
use common::{Namespace, dump, ip, iptables, restore, save, with_eth};
use podwall_deploy::{
    Backend, Difference, Family, Redirect, RedirectError, UdpDeny, Wanted, check, gateways,
    install, install_with, own_addresses, plan, remove,
};

#[test]
fn p19_twenty_reruns_give_the_same_dump() {
    for backend in backends("p19_twenty_reruns_give_the_same_dump") {
        let Some(_pod) = Namespace::enter("p19_twenty_reruns_give_the_same_dump") else {
            return;
        };
        with_eth();
        for wanted in wishes() {
            install_with(&wanted, &[backend]).unwrap();
            let first = dump(backend);
            assert!(first.contains("PODWALL_INPUT"), "{first}");
            for _ in 0..20 {
                let report = install_with(&wanted, &[backend]).unwrap();
                assert_eq!(report.warnings, Vec::<String>::new());
                assert_eq!(dump(backend), first);
            }
            assert!(check(&wanted).unwrap().as_wanted());
        }
    }
}

#[test]
fn p19_removal_leaves_what_was_there_before() {
    for backend in backends("p19_removal_leaves_what_was_there_before") {
        let Some(_pod) = Namespace::enter("p19_removal_leaves_what_was_there_before") else {
            return;
        };
        with_eth();
        for family in Family::ALL {
            iptables(backend, family, "-t nat -N OTHERS");
            iptables(backend, family, "-t nat -A OUTPUT -p tcp -j OTHERS");
            iptables(backend, family, "-t filter -A INPUT -p gre -j DROP");
            iptables(backend, family, "-t mangle -A INPUT -p gre -j DROP");
        }
        let before = dump(backend);
        for (wanted, second) in wishes().into_iter().zip(["nat", "nat", "mangle", "mangle"]) {
            install_with(&wanted, &[backend]).unwrap();
            assert_ne!(dump(backend), before);
            let removed = remove().unwrap();
            assert_eq!(dump(backend), before);
            let order: Vec<String> = removed.steps.iter().map(ToString::to_string).collect();
            let expected = [
                format!("ipv6 {second}"),
                format!("ipv4 {second}"),
                "ipv6 filter".to_owned(),
                "ipv4 filter".to_owned(),
            ];
            assert_eq!(order, expected);
            assert_eq!(remove().unwrap().steps, []);
            assert!(!check(&wanted).unwrap().as_wanted());
        }
    }
}

/// Takes away or changes each rule alone: check must see each, and install must mend what is ours.
#[test]
fn p19_check_sees_every_single_change_of_mode_redirect() {
    let [_, with_options, ..] = wishes();
    sees_every_single_change("p19_check_sees_every_change_redirect", &with_options);
}

#[test]
fn p19_check_sees_every_single_change_of_mode_queue() {
    let queue = queue("15871:1", UdpDeny::Drop);
    sees_every_single_change("p19_check_sees_every_change_queue", &queue);
}

fn sees_every_single_change(name: &str, wanted: &Wanted) {
    for backend in backends(name) {
        let Some(_pod) = Namespace::enter(name) else {
            return;
        };
        with_eth();
        install_with(wanted, &[backend]).unwrap();
        let good = dump(backend);
        for family in Family::ALL {
            for Change { table, line, undo } in changes(&save(backend, family)) {
                restore(backend, family, &format!("*{table}\n{line}\nCOMMIT\n"));
                let differences = check(wanted).unwrap().differences;
                assert!(
                    !differences.is_empty(),
                    "{backend} {family} {table}: not seen: {line}"
                );
                if let Some(undo) = undo {
                    restore(backend, family, &format!("*{table}\n{undo}\nCOMMIT\n"));
                } else {
                    install_with(wanted, &[backend]).unwrap();
                }
                assert_eq!(
                    dump(backend),
                    good,
                    "{backend} {family} {table}: not mended: {line}"
                );
            }
        }
    }
}

/// A single edit of an installed rule.
struct Change {
    table: String,
    line: String,
    /// What takes it back; where there is nothing, install must.
    undo: Option<String>,
}

/// For each rule of a dump: its deletion, its doubling, and an opener before it or in its place.
fn changes(dump: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut table, mut place, mut last) = ("", 0, "");
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        }
        let Some(rule) = line.strip_prefix("-A ") else {
            continue;
        };
        let (chain, rest) = rule.split_once(' ').unwrap();
        place = if chain == last { place + 1 } else { 1 };
        last = chain;
        let opener = "-p tcp -m tcp --dport 80 -j ACCEPT";
        for (line, undo) in [
            (format!("-D {rule}"), None),
            (format!("-A {rule}"), None),
            (
                format!("-I {chain} {place} {opener}"),
                Some(format!("-D {chain} {opener}")),
            ),
            (
                format!("-R {chain} {place} {opener}"),
                Some(format!("-R {chain} {place} {rest}")),
            ),
        ] {
            changes.push(Change {
                table: table.to_owned(),
                line,
                undo,
            });
        }
    }
    assert!(changes.len() > 60, "{dump}");
    changes
}

#[test]
fn p19_other_flags_replace_the_old_rules_and_are_named_with_both_values() {
    for backend in backends("p19_other_flags_replace_the_old_rules") {
        let Some(_pod) = Namespace::enter("p19_other_flags_replace_the_old_rules") else {
            return;
        };
        with_eth();
        let redirect = Redirect::new(25006, 25007).unwrap();
        let other = Wanted::new(redirect, ["10.1.0.2".parse().unwrap()]).unwrap();
        let udp = |ports: &[u16], first: u16| {
            let mode = Redirect::new(15006, 15007).unwrap();
            with(mode.with_udp_ports(ports.iter().copied(), first).unwrap())
        };
        for (old, new, named) in [
            (
                wanted(),
                other.clone(),
                &[
                    "installed --listen-port 15006, wanted --listen-port 25006",
                    "installed --canary-port 15007, wanted --canary-port 25007",
                    "installed --node-address 10.1.0.1,10.1.0.9,fd00::1, wanted --node-address 10.1.0.2",
                ][..],
            ),
            (
                udp(&[53, 5353], 15874),
                udp(&[53], 15880),
                &[
                    "installed --udp-port 53,5353, wanted --udp-port 53",
                    "installed --udp-listen-port 15874, wanted --udp-listen-port 15880",
                ],
            ),
            (
                queue("5:2", UdpDeny::Drop),
                queue("15871:1", UdpDeny::Unreachable),
                &[
                    "installed --queues 5:2, wanted --queues 15871:1",
                    "installed --udp-deny drop, wanted --udp-deny unreachable",
                ],
            ),
            (
                wanted(),
                queue("15871:1", UdpDeny::Drop),
                &["installed --mode redirect, wanted --mode queue"],
            ),
            (
                queue("5:2", UdpDeny::Drop),
                other,
                &["installed --mode queue, wanted --mode redirect"],
            ),
        ] {
            remove().unwrap();
            install_with(&new, &[backend]).unwrap();
            let clean = dump(backend);
            install_with(&old, &[backend]).unwrap();
            let differences = check(&new).unwrap().differences;
            let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
            assert_eq!(lines, named, "{backend}");
            install_with(&new, &[backend]).unwrap();
            assert_eq!(dump(backend), clean, "{backend}");
        }
    }
}

#[test]
fn p19_leftovers_of_other_versions_go() {
    for backend in backends("p19_leftovers_of_other_versions_go") {
        let Some(_pod) = Namespace::enter("p19_leftovers_of_other_versions_go") else {
            return;
        };
        with_eth();
        install_with(&wanted(), &[backend]).unwrap();
        let clean = dump(backend);
        for family in Family::ALL {
            let text = "*filter\n:PODWALL_OLD - [0:0]\n:THEIRS - [0:0]\n-A PODWALL_OLD -j ACCEPT\n\
                        -A PODWALL_INPUT -j PODWALL_OLD\n-I INPUT 1 -p tcp -g PODWALL_OLD\n\
                        -A THEIRS -m comment --comment \"two words\" -j PODWALL_OLD\nCOMMIT\n";
            restore(backend, family, text);
            let differences = check(&wanted()).unwrap().differences;
            let leftover = |d: &Difference| matches!(d, Difference::Leftover { .. });
            assert!(differences.iter().any(leftover), "{differences:?}");
        }
        install_with(&wanted(), &[backend]).unwrap();
        let dump = dump(backend);
        assert_eq!(dump.replace(":THEIRS -\n", ""), clean, "{dump}");
    }
}

#[test]
fn rules_in_the_other_back_end_are_not_doubled() {
    if !backends("rules_in_the_other_back_end_are_not_doubled").contains(&Backend::Legacy) {
        return;
    }
    let Some(_pod) = Namespace::enter("rules_in_the_other_back_end_are_not_doubled") else {
        return;
    };
    install_with(&wanted(), &[Backend::Legacy]).unwrap();
    let error = install(&wanted()).unwrap_err();
    assert!(
        matches!(error, RedirectError::OtherBackend { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("--remove"), "{error}");
    assert!(check(&wanted()).unwrap().as_wanted());
    remove().unwrap();
    assert_eq!(install(&wanted()).unwrap().backend, Backend::Nft);
}

#[test]
fn s66_a_node_address_of_ours_is_refused_before_any_change() {
    let Some(_pod) = Namespace::enter("s66_a_node_address_of_ours_is_refused") else {
        return;
    };
    with_eth();
    for own in ["10.1.0.5", "fd00::5", "::ffff:10.1.0.5"] {
        let wanted =
            Wanted::new(Redirect::new(15006, 15007).unwrap(), [own.parse().unwrap()]).unwrap();
        let before = Backend::ORDER.map(dump);
        let error = install(&wanted).unwrap_err();
        assert!(
            matches!(error, RedirectError::HostNetwork { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("hostNetwork"), "{error}");
        assert_eq!(Backend::ORDER.map(dump), before);
        assert!(matches!(
            check(&wanted),
            Err(RedirectError::HostNetwork { .. })
        ));
    }
}

#[test]
fn p10_gateways_are_those_of_this_namespace() {
    let Some(_pod) = Namespace::enter("p10_gateways_are_those_of_this_namespace") else {
        return;
    };
    assert_eq!(gateways().unwrap(), Vec::<IpAddr>::new());
    with_eth();
    ip("route add default via 10.1.0.1");
    ip("-6 route add default via fd00::1");
    ip("route add 10.9.0.0/16 via 10.1.0.7");
    let expected: [IpAddr; 2] = ["10.1.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    assert_eq!(gateways().unwrap(), expected);
    let own = own_addresses().unwrap();
    assert!(own.contains(&"10.1.0.5".parse().unwrap()), "{own:?}");
}

#[test]
fn p20_a_trial_leaves_no_trace() {
    for backend in backends("p20_a_trial_leaves_no_trace") {
        let Some(_pod) = Namespace::enter("p20_a_trial_leaves_no_trace") else {
            return;
        };
        let plan = plan(&wanted(), &[backend]).unwrap();
        let steps: Vec<String> = plan.steps().map(ToString::to_string).collect();
        assert_eq!(
            steps,
            ["ipv4 filter", "ipv6 filter", "ipv4 nat", "ipv6 nat"]
        );
        assert!(!dump(backend).contains("PODWALL"), "{}", dump(backend));
    }
}
