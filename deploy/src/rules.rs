//! The wanted content of the tables, as text.
//!
//! May enter: [`Wanted`] and a [`Family`]. Deliberately absent: what is installed now, programs.
//!
//! Table `filter` refuses in both modes, and each mode has one more table that opens: `nat` in mode
//! redirect, `mangle` in mode queue. So `filter` alone is a closed pod. What each table says is in the
//! room of its mode.

mod queue;
mod redirect;

use std::fmt::Write as _;

use crate::mode::Mode;
use crate::plan::Table;
use crate::wanted::{Family, Wanted};

/// Every chain of podwall begins like this, and nobody else's may.
pub(crate) const PREFIX: &str = "PODWALL_";

/// The unhooked chain with which a back end is tried.
pub(crate) const PROBE: &str = "PODWALL_PROBE";

/// Where forged sources end; the counter of its one rule is their number.
pub(crate) const SPOOFED: &str = "PODWALL_SPOOFED";

/// Our chains: what `filter` refuses, what `nat` redirects, and what `mangle` queues.
pub(crate) const INPUT: &str = "PODWALL_INPUT";
pub(crate) const REDIRECT: &str = "PODWALL_REDIRECT";
pub(crate) const CANARY: &str = "PODWALL_CANARY";
pub(crate) const QUEUE: &str = "PODWALL_QUEUE";

/// One of our chains with its rules, each without `-A CHAIN`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) rules: Vec<String>,
}

/// A rule that must be the first of a base chain and leads into one of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hook {
    pub(crate) base: &'static str,
    pub(crate) rule: String,
}

/// What one table shall hold of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Content {
    pub(crate) chains: Vec<Chain>,
    pub(crate) hooks: Vec<Hook>,
}

impl Content {
    /// What no rule of ours shall stand in.
    const NOTHING: Self = Self {
        chains: Vec::new(),
        hooks: Vec::new(),
    };

    /// Whether no rule of ours shall stand here.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.chains.is_empty()
    }
}

/// What `table` of `family` shall hold.
pub(crate) fn content(wanted: &Wanted, family: Family, table: Table) -> Content {
    match (&wanted.mode, table) {
        (Mode::Redirect(mode), Table::Filter) => redirect::filter(wanted, mode, family),
        (Mode::Redirect(mode), Table::Nat) => redirect::nat(wanted, mode, family),
        (Mode::Queue(mode), Table::Filter) => queue::filter(wanted, *mode, family),
        (Mode::Queue(mode), Table::Mangle) => queue::mangle(wanted, *mode, family),
        (Mode::Redirect(_), Table::Mangle) | (Mode::Queue(_), Table::Nat) => Content::NOTHING,
    }
}

/// How `filter` begins and is hooked in both modes: what nobody's wish changes, then `rest`.
fn refusing(family: Family, rest: Vec<String>) -> Content {
    let loopback = loopback(family);
    let mut input = vec![
        "-i lo -j ACCEPT".to_owned(),
        // An own or loopback source that did not come from lo is forged. addrtype asks the
        // routing table per packet, so it also knows addresses that were added later.
        format!("! -i lo -m addrtype --src-type LOCAL -j {SPOOFED}"),
        format!("-s {loopback} ! -i lo -j {SPOOFED}"),
        format!("-p {} -j ACCEPT", icmp(family)),
    ];
    input.extend(rest);
    Content {
        chains: vec![
            Chain {
                name: SPOOFED,
                rules: vec!["-j DROP".to_owned()],
            },
            Chain {
                name: INPUT,
                rules: input,
            },
        ],
        hooks: vec![Hook {
            base: "INPUT",
            rule: format!("-j {INPUT}"),
        }],
    }
}

/// What is left to everybody, a rule each, with the target that it gets.
fn unguarded(wanted: &Wanted, target: &str) -> impl Iterator<Item = String> {
    wanted.unguarded.iter().map(move |(transport, port)| {
        let name = transport.name();
        format!("-p {name} -m {name} --dport {port} -j {target}")
    })
}

/// The protocol that no rule of ours touches (S61).
const fn icmp(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "icmp",
        Family::Ipv6 => "ipv6-icmp",
    }
}

/// The sources that can come from `lo` only.
const fn loopback(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "127.0.0.0/8",
        Family::Ipv6 => "::1/128",
    }
}

/// The restore text of one table; `before` is put between the chain declarations and the rules.
pub(crate) fn payload(table: Table, content: &Content, before: &str) -> String {
    let mut text = format!("*{table}\n");
    // Writing to a String cannot fail.
    for chain in &content.chains {
        let _ = writeln!(text, ":{} - [0:0]", chain.name);
    }
    text.push_str(before);
    for hook in &content.hooks {
        let _ = writeln!(text, "-I {} 1 {}", hook.base, hook.rule);
    }
    for chain in &content.chains {
        for rule in &chain.rules {
            let _ = writeln!(text, "-A {} {rule}", chain.name);
        }
    }
    text.push_str("COMMIT\n");
    text
}

/// Two restore texts that try whether a table takes our kind of rules: the first puts them all
/// into one chain that nothing leads to, the second takes that chain away.
pub(crate) fn probe(wanted: &Wanted, family: Family, table: Table) -> (String, String) {
    let content = content(wanted, family, table);
    let rules = content.chains.iter().flat_map(|chain| &chain.rules);
    // Jumps between our chains become plain drops: the trial has one chain only.
    let rules: String = rules
        .map(|rule| format!("-A {PROBE} {}\n", rule.replace(SPOOFED, "DROP")))
        .collect();
    (
        format!("*{table}\n:{PROBE} - [0:0]\n{rules}COMMIT\n"),
        format!("*{table}\n:{PROBE} - [0:0]\n-X {PROBE}\nCOMMIT\n"),
    )
}

/// The tables that hold rules of the mode, in the order in which they are committed.
pub(crate) const fn tables(wanted: &Wanted) -> [Table; 2] {
    match wanted.mode {
        Mode::Redirect(_) => [Table::Filter, Table::Nat],
        Mode::Queue(_) => [Table::Filter, Table::Mangle],
    }
}

/// The rules of one family as text: what `iptables-restore --noflush` would be fed in a namespace
/// that has none of ours, in the order in which the tables are committed.
#[must_use]
pub fn rules(wanted: &Wanted, family: Family) -> String {
    let tables = tables(wanted).into_iter();
    let texts = tables.map(|table| payload(table, &content(wanted, family, table), ""));
    texts.collect()
}

#[cfg(test)]
mod tests;
