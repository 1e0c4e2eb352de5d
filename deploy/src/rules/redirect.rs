//! The rules of mode redirect: `filter` refuses, `nat` opens.
//!
//! May enter: the wish. Deliberately absent: the rules of the other mode.
//!
//! Whatever reaches filter INPUT and was not let in by one of its accepts is reset (TCP) or dropped (UDP,
//! SCTP), whatever conntrack says of it; but for the UDP and SCTP ports that the wish leaves to
//! everybody. Other protocols are not touched. Table `nat` turns every TCP connection towards the relay,
//! and each UDP port of the wish towards its own listener. A listener is not told where a datagram was sent
//! to but by its header, so of UDP the port alone is changed (REDIRECT would put the interface's first address
//! in place of another of the pod's), and only of what was sent to an address of the pod: no group, no broadcast.
//!
//! A stranger who aims at the relay's own port on the pod's first address is refused by `filter`:
//! the redirect changes nothing about its destination, so conntrack does not call it DNAT (P34). Of UDP
//! a listener's port is never one that is redirected, so the same holds.

use std::net::IpAddr;

use super::{CANARY, Chain, Content, Hook, REDIRECT, refusing, unguarded};
use crate::mode::Redirect;
use crate::wanted::{Family, Wanted};

/// The half that refuses.
pub(super) fn filter(wanted: &Wanted, mode: &Redirect, family: Family) -> Content {
    let node = exempt(wanted, mode, family).map(|one| format!("{one} -j ACCEPT"));
    let mut rules: Vec<String> = node.collect();
    rules.extend([
        "-m conntrack --ctstate ESTABLISHED -j ACCEPT".to_owned(),
        format!(
            "-p tcp -m tcp --dport {} -m conntrack --ctstate DNAT -j ACCEPT",
            mode.listen_port
        ),
    ]);
    // As with TCP: who aims at a listener's own port was not redirected.
    rules.extend(mode.udp_ports.iter().map(|one| {
        format!(
            "-p udp -m udp --dport {} -m conntrack --ctstate DNAT -j ACCEPT",
            one.listen
        )
    }));
    rules.extend(unguarded(wanted, "ACCEPT"));
    rules.extend([
        "-p tcp -j REJECT --reject-with tcp-reset".to_owned(),
        "-p udp -j DROP".to_owned(),
        "-p sctp -j DROP".to_owned(),
    ]);
    refusing(family, rules)
}

/// The half that redirects.
pub(super) fn nat(wanted: &Wanted, mode: &Redirect, family: Family) -> Content {
    let to_relay = format!("-j REDIRECT --to-ports {}", mode.listen_port);
    let loopback = match family {
        Family::Ipv4 => "127.0.0.1/32",
        Family::Ipv6 => "::1/128",
    };
    let node = exempt(wanted, mode, family).map(|one| format!("{one} -j RETURN"));
    let mut redirect: Vec<String> = node.collect();
    redirect.push(format!("-p tcp {to_relay}"));
    redirect.extend(mode.udp_ports.iter().map(|one| {
        format!(
            "-p udp -m udp --dport {} -m addrtype --dst-type LOCAL -j DNAT --to-destination :{}",
            one.port, one.listen
        )
    }));
    let canary = format!(
        "-d {loopback} -o lo -p tcp -m tcp --dport {} {to_relay}",
        mode.canary_port
    );
    Content {
        // The canary is last: whoever meets it knows that everything before it was committed.
        chains: vec![
            Chain {
                name: REDIRECT,
                rules: redirect,
            },
            Chain {
                name: CANARY,
                rules: vec![canary],
            },
        ],
        hooks: vec![
            Hook {
                base: "PREROUTING",
                rule: format!("! -i lo -j {REDIRECT}"),
            },
            Hook {
                base: "OUTPUT",
                rule: format!("-j {CANARY}"),
            },
        ],
    }
}

/// What of the node goes past the relay, as matches of a rule: all of it, or its TCP to some ports.
fn exempt(wanted: &Wanted, mode: &Redirect, family: Family) -> impl Iterator<Item = String> {
    wanted.nodes(family).flat_map(|node| {
        let source = format!("-s {}", host(node));
        match &mode.node_ports[..] {
            [] => vec![source],
            ports => ports
                .iter()
                .map(|port| format!("{source} -p tcp -m tcp --dport {port}"))
                .collect(),
        }
    })
}

/// An address with the prefix length of a single host, as the save programs print it.
fn host(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 32 } else { 128 };
    format!("{address}/{length}")
}
