#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use expect_test::{Expect, expect};

use super::*;
use crate::dump::Dump;
use crate::mode::Redirect;

fn wanted() -> Wanted {
    let mode = Redirect::new(15006, 15007).unwrap();
    Wanted::new(mode, ["10.1.0.1".parse::<IpAddr>().unwrap()]).unwrap()
}

fn check_install(table: Table, dump: &str, expected: &Expect) {
    let step = install_step(
        &wanted(),
        Family::Ipv4,
        table,
        Dump::parse(dump).table(table.name()),
    );
    expected.assert_eq(&step.unwrap().payload);
}

#[test]
fn p19_the_first_installation() {
    check_install(
        Table::Nat,
        "",
        &expect![[r#"
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
fn p19_wrong_and_double_jumps_and_old_chains_go_in_the_same_commit() {
    let dump = "\
*nat
:PREROUTING ACCEPT [0:0]
:PODWALL_REDIRECT - [0:0]
:PODWALL_V0 - [0:0]
:THEIRS - [0:0]
-A PREROUTING -p tcp -j THEIRS
-A PREROUTING -i eth0 -p tcp -j PODWALL_REDIRECT
-A PREROUTING ! -i lo -p tcp -j PODWALL_REDIRECT
-A PREROUTING ! -i lo -p tcp -j PODWALL_REDIRECT
-A THEIRS -m comment --comment \"hello there\" -g PODWALL_V0
-A PODWALL_REDIRECT -p tcp -j PODWALL_V0
-A PODWALL_V0 -p tcp -j REDIRECT --to-ports 1
COMMIT
";
    check_install(
        Table::Nat,
        dump,
        &expect![[r#"
        *nat
        :PODWALL_REDIRECT - [0:0]
        :PODWALL_CANARY - [0:0]
        :PODWALL_V0 - [0:0]
        -D PREROUTING -i eth0 -p tcp -j PODWALL_REDIRECT
        -D PREROUTING ! -i lo -p tcp -j PODWALL_REDIRECT
        -D PREROUTING ! -i lo -p tcp -j PODWALL_REDIRECT
        -D THEIRS -m comment --comment "hello there" -g PODWALL_V0
        -X PODWALL_V0
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
fn p19_removal_takes_only_ours() {
    let dump = "\
*filter
:INPUT DROP [7:70]
:PODWALL_INPUT - [0:0]
-A INPUT -j PODWALL_INPUT
-A INPUT -p tcp --dport 22 -j ACCEPT
-A PODWALL_INPUT -j ACCEPT
COMMIT
";
    let step = remove_step(
        Family::Ipv4,
        Table::Filter,
        Dump::parse(dump).table("filter"),
    )
    .unwrap();
    expect![[r#"
        *filter
        :PODWALL_INPUT - [0:0]
        -D INPUT -j PODWALL_INPUT
        -X PODWALL_INPUT
        COMMIT
    "#]]
    .assert_eq(&step.payload);
    assert_eq!(
        remove_step(Family::Ipv4, Table::Nat, Dump::parse(dump).table("nat")),
        None
    );
}
