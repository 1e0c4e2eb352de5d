//! Rules of others, made with the real programs in real network namespaces: refused by name where they would
//! defeat ours, moved behind ours where that is enough.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::backends::backends;
use common::wishes::{queue, wanted};
use common::{Namespace, dump, iptables, save, with_eth};
use podwall_deploy::{
    Backend, Difference, Family, RedirectError, UdpDeny, Wanted, check, install, install_with,
};

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
                for wanted in [wanted(), queue("15871:1", UdpDeny::Drop)] {
                    is_refused(&wanted, &[named, &family.to_string(), &holder.to_string()]);
                    assert_eq!(Backend::ORDER.map(dump), before);
                }
            }
        }
    }
}

/// That foreign rules stand in the way, which error and check name by all these words.
fn is_refused(wanted: &Wanted, words: &[&str]) {
    let error = install(wanted).unwrap_err();
    assert!(matches!(error, RedirectError::Foreign { .. }), "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text}: does not name {word}");
    }
    let differences = check(wanted).unwrap().differences;
    let foreign = |one: &Difference| matches!(one, Difference::Foreign(_));
    assert!(differences.iter().any(foreign), "{differences:?}");
}

/// Rules by which others would admit, pardon or hide, in mode queue.
const MARKS: [&str; 6] = [
    "-t raw -A PREROUTING -p udp --sport 53 -j CT --zone 1",
    "-t mangle -A PREROUTING -p tcp -j MARK --set-xmark 0x4000000/0x4000000",
    "-t mangle -A INPUT -p tcp -j MARK --set-xmark 0x1000000/0x1000000",
    "-t mangle -A PREROUTING -j CONNMARK --set-xmark 0x1000000/0x1000000",
    "-t mangle -A POSTROUTING -j CONNMARK --set-xmark 0x0/0xffffffff",
    "-t mangle -A PREROUTING -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
];

#[test]
fn p36_p37_marks_of_others_are_refused_by_name_in_mode_queue_only() {
    for holder in backends("p36_p37_marks_of_others_are_refused") {
        for (family, line) in Family::ALL.into_iter().flat_map(|f| MARKS.map(|l| (f, l))) {
            let Some(_pod) = Namespace::enter("p36_p37_marks_of_others") else {
                return;
            };
            iptables(holder, family, line);
            let queue = queue("15871:1", UdpDeny::Drop);
            let (_, rule) = line.split_once("-j ").unwrap();
            is_refused(&queue, &[rule, &family.to_string(), &holder.to_string()]);
            install(&wanted()).unwrap();
            assert!(check(&wanted()).unwrap().as_wanted());
        }
    }
}

#[test]
fn p36_whoever_stands_ahead_of_our_jumps_is_named_and_moved_behind() {
    for backend in backends("p36_whoever_stands_ahead_of_our_jumps") {
        let Some(_pod) = Namespace::enter("p36_whoever_stands_ahead_of_our_jumps") else {
            return;
        };
        with_eth();
        let queue = queue("15871:1", UdpDeny::Drop);
        install_with(&queue, &[backend]).unwrap();
        let ahead = [
            "-t filter -I INPUT -p tcp -j ACCEPT",
            "-t mangle -I INPUT -p udp -j ACCEPT",
            "-t mangle -I INPUT -p tcp -j NFQUEUE --queue-num 7",
        ];
        for line in ahead {
            iptables(backend, Family::Ipv6, line);
        }
        let differences = check(&queue).unwrap().differences;
        let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "ipv6 filter: foreign rule ahead of podwall's: -A INPUT -p tcp -j ACCEPT",
                "ipv6 mangle: foreign rule ahead of podwall's: -A INPUT -p tcp -j NFQUEUE --queue-num 7",
                "ipv6 mangle: foreign rule ahead of podwall's: -A INPUT -p udp -j ACCEPT",
            ]
        );
        install_with(&queue, &[backend]).unwrap();
        let text = save(backend, Family::Ipv6);
        let at = |rule: &str| {
            text.find(rule)
                .unwrap_or_else(|| panic!("no {rule}: {text}"))
        };
        assert!(at("-A INPUT -j PODWALL_QUEUE") < at("-A INPUT -p tcp -j NFQUEUE"));
        assert!(at("-A INPUT -j PODWALL_INPUT") < at("-A INPUT -p tcp -j ACCEPT"));
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
