#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use super::*;
use crate::dump::Dump;
use crate::mode::Redirect;

fn wanted() -> Wanted {
    let mode = Redirect::new(15006, 15007).unwrap();
    Wanted::new(mode, ["10.1.0.1".parse::<IpAddr>().unwrap()]).unwrap()
}

/// What a save program would print of the wanted rules, as far as the comparison looks.
fn installed(table: Table) -> String {
    let text = rules::payload(table, &rules::content(&wanted(), Family::Ipv4, table), "");
    text.lines()
        .map(|line| format!("{}\n", line.replace("-I ", "-A ").replace(" 1 ", " ")))
        .collect()
}

fn found(table: Table, dump: &str) -> Vec<String> {
    let dump = Dump::parse(dump);
    let found = differences(&wanted(), Family::Ipv4, table, dump.table(table.name()));
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn the_wanted_rules_have_no_difference() {
    for table in Table::ALL {
        assert_eq!(found(table, &installed(table)), Vec::<String>::new());
    }
}

#[test]
fn other_spellings_have_no_difference() {
    let dump = installed(Table::Filter)
        .replace("-p icmp", "-p 1")
        .replace("-s 10.1.0.1/32", "-s 10.1.0.1")
        .replace("-p sctp", "-p 132")
        .replace("-p tcp -m tcp --dport", "-p tcp --dport");
    assert_eq!(found(Table::Filter, &dump), Vec::<String>::new());
}

#[test]
fn an_empty_table_lacks_every_rule() {
    let missing = found(Table::Nat, "");
    assert_eq!(missing.len(), 5, "{missing:?}");
    assert!(
        missing.iter().all(|line| line.contains("missing")),
        "{missing:?}"
    );
}

#[test]
fn every_single_line_counts() {
    for table in Table::ALL {
        let dump = installed(table);
        for line in dump.lines().filter(|line| line.starts_with("-A ")) {
            let without = dump.replacen(&format!("{line}\n"), "", 1);
            assert_eq!(found(table, &without).len(), 1, "without {line}");
            let opener = line.rsplit_once(" -j").unwrap().0.to_owned() + " -j ACCEPT -p 99";
            let with = dump.replacen(line, &format!("{opener}\n{line}"), 1);
            assert_eq!(found(table, &with).len(), 1, "with {opener}");
        }
    }
}

#[test]
fn swapped_rules_are_a_difference() {
    let dump = installed(Table::Filter);
    let (accept, reject) = (
        "-j ACCEPT\n-A PODWALL_INPUT -p tcp -j REJECT",
        "-p udp -j DROP",
    );
    assert!(dump.contains(accept) && dump.contains(reject));
    let swapped = dump
        .replace("-p tcp -j REJECT --reject-with tcp-reset", "-p X")
        .replace(
            "-m conntrack --ctstate ESTABLISHED -j ACCEPT",
            "-p tcp -j REJECT --reject-with tcp-reset",
        )
        .replace("-p X", "-m conntrack --ctstate ESTABLISHED -j ACCEPT");
    assert!(!found(Table::Filter, &swapped).is_empty());
}

#[test]
fn others_ahead_double_jumps_and_old_chains_are_named() {
    let dump = installed(Table::Filter)
        .replacen(
            "-A INPUT",
            "-A INPUT -p tcp -j ACCEPT\n-A INPUT -p udp -j PODWALL_INPUT\n-A INPUT",
            1,
        )
        .replace("*filter", "*filter\n:PODWALL_OLD - [0:0]");
    assert_eq!(
        found(Table::Filter, &dump),
        [
            "ipv4 filter: foreign rule ahead of podwall's: -A INPUT -p tcp -j ACCEPT",
            "ipv4 filter: not wanted: -A INPUT -p udp -j PODWALL_INPUT",
            "ipv4 filter: chain PODWALL_OLD is not wanted",
        ]
    );
}
