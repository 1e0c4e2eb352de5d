//! One ingress or egress rule (S15 to S20).

use super::findings::{Findings, Reported};
use super::node::{Harm, Node};
use super::peer;
use super::port;
use crate::flow::Direction;
use crate::spec::{PeerSpec, Peers, PortSpec, Ports, Rule};

/// The rule at `at`. One that cannot be understood admits nobody.
pub(super) fn read(at: &Node<'_>, direction: Direction, out: &mut Findings) -> Rule {
    if at.is_missing() {
        let Reported = out.error(
            at,
            "an empty item is no rule, so it admits nobody",
            "write {} to admit everybody, or remove the hyphen",
        );
        return broken();
    }
    if at.map(out).is_err() {
        return broken();
    }
    let (peers, foreign) = match direction {
        Direction::Ingress => ("from", "to"),
        Direction::Egress => ("to", "from"),
    };
    let strange = at.unknown_fields(&[peers, "ports", foreign], Harm::Breaks("rule"), out)
        | has_foreign(&at.child(foreign), direction, peers, out);
    let read_peers = read_peers(&at.child(peers), out);
    let ports = read_ports(&at.child("ports"), out);
    Rule {
        peers: if strange { nobody() } else { read_peers },
        ports,
    }
}

/// A rule that admits nobody.
pub(super) fn broken() -> Rule {
    Rule {
        peers: nobody(),
        ports: Ports::Any,
    }
}

fn nobody() -> Peers {
    Peers::OneOf(vec![PeerSpec::Broken])
}

/// `to` in an ingress rule or `from` in an egress rule: dropping it would admit everybody.
fn has_foreign(at: &Node<'_>, direction: Direction, peers: &str, out: &mut Findings) -> bool {
    if at.is_missing() {
        return false;
    }
    let message = format!(
        "an {} rule has no such field, so it admits nobody",
        direction.label()
    );
    let Reported = out.error(at, message, format!("write `{peers}`"));
    true
}

fn read_peers(at: &Node<'_>, out: &mut Findings) -> Peers {
    match at.items(out) {
        Err(Reported) => nobody(),
        Ok(items) if items.len() == 0 => Peers::Any,
        Ok(items) => Peers::OneOf(items.map(|item| peer::read(&item, out)).collect()),
    }
}

fn read_ports(at: &Node<'_>, out: &mut Findings) -> Ports {
    match at.items(out) {
        Err(Reported) => Ports::OneOf(vec![PortSpec::Broken]),
        Ok(items) if items.len() == 0 => Ports::Any,
        Ok(items) => Ports::OneOf(items.map(|item| port::read(&item, out)).collect()),
    }
}
