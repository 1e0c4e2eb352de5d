//! The rules, installed with the real programs into real network namespaces, without packets.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::net::IpAddr;

use common::backends::backends;
use common::{Namespace, ip, iptables, restore, save};
use podwall_deploy::{
    Backend, Difference, Family, Redirect, RedirectError, Wanted, check, gateways, install,
    install_with, own_addresses, plan, remove,
};

fn wanted() -> Wanted {
    let nodes = ["10.1.0.1", "fd00::1", "::ffff:10.1.0.9"];
    Wanted::new(
        Redirect::new(15006, 15007).unwrap(),
        nodes.map(|node| node.parse::<IpAddr>().unwrap()),
    )
    .unwrap()
}

/// Both families of a back end, as text.
fn dump(backend: Backend) -> String {
    Family::ALL.map(|family| save(backend, family)).concat()
}

/// Gives the pod an interface with a v4 and a v6 address.
fn with_eth() {
    ip("link add eth0 type veth peer name other");
    ip("addr add 10.1.0.5/24 dev eth0");
    ip("addr add fd00::5/64 dev eth0 nodad");
    ip("link set eth0 up");
}

#[test]
fn p19_twenty_reruns_give_the_same_dump() {
    for backend in backends("p19_twenty_reruns_give_the_same_dump") {
        let Some(_pod) = Namespace::enter("p19_twenty_reruns_give_the_same_dump") else {
            return;
        };
        with_eth();
        install_with(&wanted(), &[backend]).unwrap();
        let first = dump(backend);
        assert!(first.contains("PODWALL_REDIRECT"), "{first}");
        for _ in 0..20 {
            let report = install_with(&wanted(), &[backend]).unwrap();
            assert_eq!(report.warnings, Vec::<String>::new());
            assert_eq!(dump(backend), first);
        }
        assert!(check(&wanted()).unwrap().as_wanted());
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
        }
        let before = dump(backend);
        install_with(&wanted(), &[backend]).unwrap();
        assert_ne!(dump(backend), before);
        let removed = remove().unwrap();
        assert_eq!(dump(backend), before);
        let order: Vec<String> = removed.steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            order,
            ["ipv6 nat", "ipv4 nat", "ipv6 filter", "ipv4 filter"]
        );
        assert_eq!(remove().unwrap().steps, []);
        let differences = check(&wanted()).unwrap().differences;
        assert!(!differences.is_empty());
    }
}

/// Takes away or changes each rule alone: check must see each, and install must mend what is ours.
#[test]
fn p19_check_sees_every_single_change() {
    for backend in backends("p19_check_sees_every_single_change") {
        let Some(_pod) = Namespace::enter("p19_check_sees_every_single_change") else {
            return;
        };
        with_eth();
        install_with(&wanted(), &[backend]).unwrap();
        let good = dump(backend);
        for family in Family::ALL {
            for Change { table, line, undo } in changes(&save(backend, family)) {
                restore(backend, family, &format!("*{table}\n{line}\nCOMMIT\n"));
                let differences = check(&wanted()).unwrap().differences;
                assert!(
                    !differences.is_empty(),
                    "{backend} {family} {table}: not seen: {line}"
                );
                if let Some(undo) = undo {
                    restore(backend, family, &format!("*{table}\n{undo}\nCOMMIT\n"));
                } else {
                    install_with(&wanted(), &[backend]).unwrap();
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
fn p19_other_flags_replace_the_old_rules() {
    for backend in backends("p19_other_flags_replace_the_old_rules") {
        let Some(_pod) = Namespace::enter("p19_other_flags_replace_the_old_rules") else {
            return;
        };
        with_eth();
        let other = Wanted::new(
            Redirect::new(25006, 25007).unwrap(),
            ["10.1.0.2".parse().unwrap()],
        )
        .unwrap();
        install_with(&other, &[backend]).unwrap();
        let clean = dump(backend);
        install_with(&wanted(), &[backend]).unwrap();
        assert!(!check(&other).unwrap().as_wanted());
        install_with(&other, &[backend]).unwrap();
        assert_eq!(dump(backend), clean);
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
fn foreign_rules_in_filter_move_behind_ours() {
    for backend in backends("foreign_rules_in_filter_move_behind_ours") {
        let Some(_pod) = Namespace::enter("foreign_rules_in_filter_move_behind_ours") else {
            return;
        };
        with_eth();
        install_with(&wanted(), &[backend]).unwrap();
        iptables(
            backend,
            Family::Ipv6,
            "-I INPUT -p tcp --dport 22 -j ACCEPT",
        );
        let differences = check(&wanted()).unwrap().differences;
        assert_eq!(
            differences
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["ipv6 filter: foreign rule ahead of podwall's: \
              -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"]
        );
        install_with(&wanted(), &[backend]).unwrap();
        let dump = save(backend, Family::Ipv6);
        assert!(
            dump.find("-A INPUT -j PODWALL_INPUT") < dump.find("--dport 22"),
            "{dump}"
        );
    }
}

/// Each row: the foreign rules, and what the error must name.
const FOREIGN: &[(&[&str], &str)] = &[
    (
        &["-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 99"],
        "--to-ports 99",
    ),
    (
        &["-t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 98"],
        "--to-ports 98",
    ),
    (
        &[
            "-t nat -N ISTIO",
            "-t nat -A ISTIO -p tcp -j REDIRECT",
            "-t nat -A PREROUTING -j ISTIO",
        ],
        "-A PREROUTING -j ISTIO",
    ),
    (
        &["-t mangle -A PREROUTING -p tcp -j TPROXY --on-port 97"],
        "--on-port 97",
    ),
];

#[test]
fn foreign_nat_and_tproxy_are_refused_by_name_before_any_change() {
    for holder in backends("foreign_nat_and_tproxy_are_refused_by_name_before_any_change") {
        for family in Family::ALL {
            for (lines, named) in FOREIGN {
                let Some(_pod) = Namespace::enter("foreign_nat_is_refused") else {
                    return;
                };
                for line in *lines {
                    iptables(holder, family, line);
                }
                let before = Backend::ORDER.map(dump);
                let error = install(&wanted()).unwrap_err();
                assert!(matches!(error, RedirectError::Foreign { .. }), "{error}");
                let text = error.to_string();
                for word in [*named, &family.to_string(), &holder.to_string()] {
                    assert!(text.contains(word), "{text}: does not name {word}");
                }
                assert_eq!(Backend::ORDER.map(dump), before);
                let report = check(&wanted()).unwrap();
                assert!(
                    report
                        .differences
                        .iter()
                        .any(|d| matches!(d, Difference::Foreign(_)))
                );
            }
        }
    }
}

#[test]
fn foreign_nat_behind_ours_is_no_matter() {
    let Some(_pod) = Namespace::enter("foreign_nat_behind_ours_is_no_matter") else {
        return;
    };
    install(&wanted()).unwrap();
    iptables(
        Backend::Nft,
        Family::Ipv4,
        "-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 99",
    );
    assert!(check(&wanted()).unwrap().as_wanted());
    install(&wanted()).unwrap();
    iptables(
        Backend::Nft,
        Family::Ipv4,
        "-t nat -I PREROUTING -p tcp -j REDIRECT --to-ports 98",
    );
    let error = install(&wanted()).unwrap_err().to_string();
    assert!(
        error.contains("--to-ports 98") && !error.contains("--to-ports 99"),
        "{error}"
    );
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
