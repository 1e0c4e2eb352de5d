//! The wanted content of the tables, as text.
//!
//! May enter: [`Wanted`] and a [`Family`]. Deliberately absent: what is installed now, programs.
//!
//! Table `filter` refuses: whatever reaches INPUT and was not let in by one of its accepts is
//! reset (TCP) or dropped (UDP, SCTP), whatever conntrack says of it; but for the UDP and SCTP ports that
//! the wish leaves to everybody. Other protocols are not touched. Table `nat` opens: it turns every TCP
//! connection towards the relay, and each UDP port of the wish towards its own listener. So `filter`
//! without `nat` is a closed pod.
//!
//! A stranger who aims at the relay's own port on the pod's first address is refused by `filter`:
//! the redirect changes nothing about its destination, so conntrack does not call it DNAT (P34). Of UDP
//! a listener's port is never one that is redirected, so the same holds.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::plan::Table;
use crate::wanted::{Family, Wanted};

/// Every chain of podwall begins like this, and nobody else's may.
pub(crate) const PREFIX: &str = "PODWALL_";

/// The unhooked chain with which a back end is tried.
pub(crate) const PROBE: &str = "PODWALL_PROBE";

/// Where forged sources end; the counter of its one rule is their number.
const SPOOFED: &str = "PODWALL_SPOOFED";

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

/// What one table shall hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Content {
    pub(crate) chains: Vec<Chain>,
    pub(crate) hooks: Vec<Hook>,
}

/// What `table` of `family` shall hold.
pub(crate) fn content(wanted: &Wanted, family: Family, table: Table) -> Content {
    match table {
        Table::Filter => filter(wanted, family),
        Table::Nat => nat(wanted, family),
    }
}

fn filter(wanted: &Wanted, family: Family) -> Content {
    let (icmp, loopback) = match family {
        Family::Ipv4 => ("icmp", "127.0.0.0/8"),
        Family::Ipv6 => ("ipv6-icmp", "::1/128"),
    };
    let mut input = vec![
        "-i lo -j ACCEPT".to_owned(),
        // An own or loopback source that did not come from lo is forged. addrtype asks the
        // routing table per packet, so it also knows addresses that were added later.
        format!("! -i lo -m addrtype --src-type LOCAL -j {SPOOFED}"),
        format!("-s {loopback} ! -i lo -j {SPOOFED}"),
        format!("-p {icmp} -j ACCEPT"),
    ];
    let node = exempt(wanted, family).map(|one| format!("{one} -j ACCEPT"));
    input.extend(node);
    input.extend([
        "-m conntrack --ctstate ESTABLISHED -j ACCEPT".to_owned(),
        format!(
            "-p tcp -m tcp --dport {} -m conntrack --ctstate DNAT -j ACCEPT",
            wanted.listen_port
        ),
    ]);
    // As with TCP: who aims at a listener's own port was not redirected.
    input.extend(wanted.udp_ports.iter().map(|one| {
        format!(
            "-p udp -m udp --dport {} -m conntrack --ctstate DNAT -j ACCEPT",
            one.listen
        )
    }));
    input.extend(unguarded(wanted));
    input.extend([
        "-p tcp -j REJECT --reject-with tcp-reset".to_owned(),
        "-p udp -j DROP".to_owned(),
        "-p sctp -j DROP".to_owned(),
    ]);
    Content {
        chains: vec![
            Chain {
                name: SPOOFED,
                rules: vec!["-j DROP".to_owned()],
            },
            Chain {
                name: "PODWALL_INPUT",
                rules: input,
            },
        ],
        hooks: vec![Hook {
            base: "INPUT",
            rule: "-j PODWALL_INPUT".to_owned(),
        }],
    }
}

fn nat(wanted: &Wanted, family: Family) -> Content {
    let to_relay = format!("-j REDIRECT --to-ports {}", wanted.listen_port);
    let loopback = match family {
        Family::Ipv4 => "127.0.0.1/32",
        Family::Ipv6 => "::1/128",
    };
    let node = exempt(wanted, family).map(|one| format!("{one} -j RETURN"));
    let mut redirect: Vec<String> = node.collect();
    redirect.push(format!("-p tcp {to_relay}"));
    redirect.extend(wanted.udp_ports.iter().map(|one| {
        format!(
            "-p udp -m udp --dport {} -j REDIRECT --to-ports {}",
            one.port, one.listen
        )
    }));
    let canary = format!(
        "-d {loopback} -o lo -p tcp -m tcp --dport {} {to_relay}",
        wanted.canary_port
    );
    Content {
        // The canary is last: whoever meets it knows that everything before it was committed.
        chains: vec![
            Chain {
                name: "PODWALL_REDIRECT",
                rules: redirect,
            },
            Chain {
                name: "PODWALL_CANARY",
                rules: vec![canary],
            },
        ],
        hooks: vec![
            Hook {
                base: "PREROUTING",
                rule: "! -i lo -j PODWALL_REDIRECT".to_owned(),
            },
            Hook {
                base: "OUTPUT",
                rule: "-j PODWALL_CANARY".to_owned(),
            },
        ],
    }
}

/// What of the node goes past the relay, as matches of a rule: all of it, or its TCP to some ports.
fn exempt(wanted: &Wanted, family: Family) -> impl Iterator<Item = String> + '_ {
    wanted.nodes(family).flat_map(|node| {
        let source = format!("-s {}", host(node));
        match &wanted.node_ports[..] {
            [] => vec![source],
            ports => ports
                .iter()
                .map(|port| format!("{source} -p tcp -m tcp --dport {port}"))
                .collect(),
        }
    })
}

/// What is left to everybody, a rule each.
fn unguarded(wanted: &Wanted) -> impl Iterator<Item = String> + '_ {
    wanted.unguarded.iter().map(|(protocol, port)| {
        let name = protocol.name();
        format!("-p {name} -m {name} --dport {port} -j ACCEPT")
    })
}

/// An address with the prefix length of a single host, as the save programs print it.
fn host(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 32 } else { 128 };
    format!("{address}/{length}")
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

/// The rules of one family as text: what `iptables-restore --noflush` would be fed in a namespace
/// that has none of ours, in the order in which the tables are committed.
#[must_use]
pub fn rules(wanted: &Wanted, family: Family) -> String {
    Table::ALL
        .map(|table| payload(table, &content(wanted, family, table), ""))
        .concat()
}

#[cfg(test)]
mod tests;
