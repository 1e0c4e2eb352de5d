//! Rules that nft made in tables of its own, which no save program of iptables shows.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::Namespace;
use podwall_deploy::{Difference, Redirect, RedirectError, Wanted, check, install};

/// What is added, and what the error must name. The kernel of a small machine lacks some statements
/// of nft; these it has wherever iptables-nft works.
const NATIVE: [(&str, &str); 2] = [
    (
        "table ip x { chain i { type nat hook input priority 0; ip protocol tcp snat to 10.0.0.7; }; }",
        "snat to 10.0.0.7",
    ),
    (
        "table ip y { chain p { type nat hook prerouting priority -150; tcp dport 80 dnat to 10.0.0.7; }; }",
        "dnat to 10.0.0.7",
    ),
];

#[test]
fn foreign_nat_in_nfts_own_tables_is_refused_by_name_before_and_after() {
    for (ruleset, named) in NATIVE {
        let Some(_pod) = Namespace::enter("foreign_nat_in_nfts_own_tables") else {
            return;
        };
        install(&wanted()).unwrap();
        nft(ruleset);
        let error = install(&wanted()).unwrap_err();
        assert!(matches!(error, RedirectError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
        let differences = check(&wanted()).unwrap().differences;
        let foreign = |one: &Difference| matches!(one, Difference::Foreign(_));
        assert!(differences.iter().any(foreign), "{differences:?}");
    }
}

#[test]
fn what_leaves_the_pod_is_no_matter() {
    let Some(_pod) = Namespace::enter("what_leaves_the_pod_is_no_matter") else {
        return;
    };
    nft("table ip z { chain o { type nat hook postrouting priority 100; masquerade; }; }");
    install(&wanted()).unwrap();
    assert!(check(&wanted()).unwrap().as_wanted());
}

fn wanted() -> Wanted {
    Wanted::new(
        Redirect::new(15006, 15007).unwrap(),
        ["10.1.0.1".parse().unwrap()],
    )
    .unwrap()
}

fn nft(ruleset: &str) {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nft, of the Debian package nftables");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(ruleset.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "nft refused {ruleset}");
}
