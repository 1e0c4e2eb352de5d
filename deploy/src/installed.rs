//! From installed rules back to the flags that they were made from.
//!
//! May enter: parsed dumps. Deliberately absent: judging rules one by one ([`compare`](crate::compare)).
//! What is read here is a guess until the rules made from it are compared with those installed.

use std::net::IpAddr;

use crate::compare::Difference;
use crate::dump::{Dump, Rule};
use crate::mode::{Mode, Queue, Queues, Redirect, UdpDeny};
use crate::rules::{CANARY, INPUT, QUEUE, REDIRECT};
use crate::wanted::{Family, Transport, Wanted};

/// The wish that all these families seem to be made from; `None` where there is no such one.
pub(crate) fn wish<'a>(dumps: impl IntoIterator<Item = (Family, &'a Dump)>) -> Option<Wanted> {
    let mut whole: Option<Wanted> = None;
    for (family, dump) in dumps {
        let one = wish_of(family, dump)?;
        whole = Some(match whole {
            None => one,
            Some(other) => joined(other, one)?,
        });
    }
    whole
}

/// Two families' wishes as one, if they are of one making.
fn joined(first: Wanted, second: Wanted) -> Option<Wanted> {
    let mut mode = first.mode;
    if let (Mode::Redirect(one), Mode::Redirect(other)) = (&mut mode, &second.mode) {
        // A family without a node address holds no trace of the node's ports.
        if first.node_addresses.is_empty() {
            one.node_ports.clone_from(&other.node_ports);
        }
    }
    let nodes = first.node_addresses.into_iter();
    let nodes = nodes.chain(second.node_addresses);
    let whole = Wanted::new(mode, nodes).ok()?;
    whole.with_unguarded(first.unguarded).ok()
}

fn wish_of(family: Family, dump: &Dump) -> Option<Wanted> {
    let (redirect, queue) = (
        dump.table("nat").chain(REDIRECT),
        dump.table("mangle").chain(QUEUE),
    );
    let filter = dump.table("filter").chain(INPUT)?;
    let canary = dump.table("nat").chain(CANARY).unwrap_or_default();
    let (mode, nodes) = match (redirect, queue) {
        (Some(rules), None) => redirected(rules, canary)?,
        (None, Some(rules)) => (queued(rules, filter, family)?, Vec::new()),
        _ => return None,
    };
    let open = filter.iter().filter_map(unguarded);
    Wanted::new(mode, nodes).ok()?.with_unguarded(open).ok()
}

/// Mode redirect, and the node's addresses.
fn redirected(rules: &[Rule], canary: &[Rule]) -> Option<(Mode, Vec<IpAddr>)> {
    let port = |rule: &Rule, option: &str| rule.value(option)?.parse::<u16>().ok();
    let to = |rule: &Rule| port(rule, "--to-ports");
    let is = |rule: &&Rule, name: &str| rule.value("-p") == Some(name);
    let relay = rules
        .iter()
        .find(|rule| is(rule, "tcp") && to(rule).is_some())?;
    let canary = canary.iter().find_map(|rule| port(rule, "--dport"))?;
    // The port alone is rewritten.
    let listener = |rule: &Rule| {
        let to = rule.value("--to-destination")?.strip_prefix(':')?;
        to.parse::<u16>().ok()
    };
    let udp: Vec<(u16, u16)> = rules
        .iter()
        .filter(|rule| is(rule, "udp"))
        .filter_map(|rule| Some((port(rule, "--dport")?, listener(rule)?)))
        .collect();
    let exempt = || rules.iter().filter(|rule| rule.target() == Some("RETURN"));
    let address = |rule: &Rule| rule.value("-s")?.split('/').next()?.parse().ok();
    let first = udp.first().map_or(1, |(_, listener)| *listener);
    let mode = Redirect::new(to(relay)?, canary)
        .and_then(|mode| mode.with_node_ports(exempt().filter_map(|rule| port(rule, "--dport"))))
        .and_then(|mode| mode.with_udp_ports(udp.iter().map(|(port, _)| *port), first));
    Some((mode.ok()?.into(), exempt().filter_map(address).collect()))
}

/// Mode queue.
fn queued(rules: &[Rule], filter: &[Rule], family: Family) -> Option<Mode> {
    let one = |rule: &Rule| {
        let number = rule.value("--queue-num")?.parse().ok()?;
        Queues::new(number, 1).ok()
    };
    let several = |rule: &Rule| {
        let (first, last) = rule.value("--queue-balance")?.split_once(':')?;
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        Queues::new(first, last.checked_sub(first)?.checked_add(1)?).ok()
    };
    let unreachable = match family {
        Family::Ipv4 => "icmp-port-unreachable",
        Family::Ipv6 => "icmp6-port-unreachable",
    };
    let answers = |rule: &Rule| rule.value("--reject-with") == Some(unreachable);
    let queue = Queue {
        queues: rules
            .iter()
            .find_map(|rule| one(rule).or_else(|| several(rule)))?,
        udp_deny: match filter.iter().any(answers) {
            true => UdpDeny::Unreachable,
            false => UdpDeny::Drop,
        },
    };
    Some(queue.into())
}

/// A port that is left to everybody, if the rule of `filter` says so.
fn unguarded(rule: &Rule) -> Option<(Transport, u16)> {
    let transport = match rule.value("-p")? {
        "udp" => Transport::Udp,
        "sctp" => Transport::Sctp,
        _ => return None,
    };
    let is_open = rule.target() == Some("ACCEPT") && rule.value("--ctstate").is_none();
    let port = rule.value("--dport")?.parse().ok()?;
    is_open.then_some((transport, port))
}

/// Which flags differ, each with both values; only the mode where that differs already.
pub(crate) fn flags(installed: &Wanted, wanted: &Wanted) -> Vec<Difference> {
    let theirs = written(installed);
    let ours = written(wanted);
    let pairs = theirs.iter().zip(&ours);
    let differing = pairs.filter(|(one, other)| one.0 == other.0 && one.1 != other.1);
    let all = differing.map(|((flag, installed), (_, wanted))| Difference::Flag {
        flag,
        installed: installed.clone(),
        wanted: wanted.clone(),
    });
    match installed.mode.label() == wanted.mode.label() {
        true => all.collect(),
        false => all.take(1).collect(),
    }
}

/// The flags that leave a trace in the rules, in one order for each mode.
fn written(wanted: &Wanted) -> Vec<(&'static str, String)> {
    let mut flags = vec![("--mode", wanted.mode.label().to_owned())];
    match &wanted.mode {
        Mode::Redirect(mode) => {
            let udp = mode.udp_ports.iter().map(|one| one.port.to_string());
            let first = mode.udp_ports.first();
            flags.extend([
                ("--listen-port", mode.listen_port.to_string()),
                ("--canary-port", mode.canary_port.to_string()),
                ("--node-address", list(wanted.node_addresses.iter(), "none")),
                ("--node-port", list(mode.node_ports.iter(), "all")),
                ("--udp-port", list(udp, "none")),
            ]);
            flags.extend(first.map(|one| ("--udp-listen-port", one.listen.to_string())));
        }
        Mode::Queue(mode) => flags.extend([
            ("--queues", mode.queues.to_string()),
            ("--udp-deny", mode.udp_deny.label().to_owned()),
        ]),
    }
    let open = wanted.unguarded.iter();
    let open = open.map(|(transport, port)| format!("{port}/{}", transport.label()));
    flags.insert(1, ("--unguarded-port", list(open, "none")));
    flags
}

fn list<T: ToString>(items: impl Iterator<Item = T>, nothing: &str) -> String {
    match items.map(|item| item.to_string()).collect::<Vec<_>>() {
        items if items.is_empty() => nothing.to_owned(),
        items => items.join(","),
    }
}

#[cfg(test)]
mod tests;
