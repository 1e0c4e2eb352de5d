//! One item of `ports` (S49 to S57, S60), and a container's port number.

use serde_json::Value;

use super::findings::{Findings, Reported};
use super::node::{self, Harm, Node};
use super::spelling;
use crate::flow::Protocol;
use crate::spec::PortSpec;

const FIELDS: [&str; 3] = ["protocol", "port", "endPort"];

/// The port at `at`; one that cannot be understood matches nothing.
pub(super) fn read(at: &Node<'_>, out: &mut Findings) -> PortSpec {
    port(at, out).unwrap_or(PortSpec::Broken)
}

fn port(at: &Node<'_>, out: &mut Findings) -> Result<PortSpec, Reported> {
    if at.is_missing() {
        return Err(out.error(
            at,
            "an empty item is no port",
            "write port, protocol or both",
        ));
    }
    at.map(out)?;
    if at.unknown_fields(&FIELDS, Harm::Breaks("port"), out) {
        return Err(Reported);
    }
    let protocol = protocol(&at.child("protocol"), out)?;
    let (port, end) = (at.child("port"), at.child("endPort"));
    match port.value() {
        Some(Value::String(name)) => named(&port, name, &end, protocol, out),
        Some(_) => {
            let first = number(&port, out)?;
            let last = last(first, &end, out)?;
            Ok(PortSpec::Range {
                protocol,
                first,
                last,
            })
        }
        None if end.is_missing() => Ok(PortSpec::Range {
            protocol,
            first: 0,
            last: u16::MAX,
        }),
        None => Err(out.error(
            &end,
            "endPort without port matches nothing",
            "write the first port as port",
        )),
    }
}

fn named(
    at: &Node<'_>,
    name: &str,
    end: &Node<'_>,
    protocol: Protocol,
    out: &mut Findings,
) -> Result<PortSpec, Reported> {
    if !end.is_missing() {
        let message = "endPort beside a named port matches nothing";
        return Err(out.error(end, message, "write port as a number, or remove endPort"));
    }
    if spelling::is_port_name(name) {
        return Ok(PortSpec::Named {
            protocol,
            name: name.into(),
        });
    }
    let message = format!("{:?} is no port name", node::short(name));
    let help = match name.parse::<u16>() {
        Ok(number) => format!("write {number} without quotes"),
        Err(_) => "write at most 15 lower-case letters, digits and hyphens, a letter among them"
            .to_owned(),
    };
    Err(out.error(at, message, help))
}

fn last(first: u16, end: &Node<'_>, out: &mut Findings) -> Result<u16, Reported> {
    if end.is_missing() {
        return Ok(first);
    }
    let last = number(end, out)?;
    if last < first {
        let message = format!("{last} is below port {first}, so the range is empty");
        return Err(out.error(end, message, format!("write {first} or more")));
    }
    Ok(last)
}

/// A protocol; TCP where it is missing (S49).
pub(super) fn protocol(at: &Node<'_>, out: &mut Findings) -> Result<Protocol, Reported> {
    let Some(word) = at.text(out)? else {
        return Ok(Protocol::Tcp);
    };
    word.parse().map_err(|_| {
        let message = format!("{:?} is no protocol of NetworkPolicy", node::short(word));
        out.error(at, message, "write TCP, UDP or SCTP")
    })
}

/// A port number, 1 to 65535.
pub(super) fn number(at: &Node<'_>, out: &mut Findings) -> Result<u16, Reported> {
    let number = at.value().and_then(Value::as_u64);
    match number.and_then(|number| u16::try_from(number).ok()) {
        Some(number) if number > 0 => Ok(number),
        _ => {
            let found = at.value().map_or_else(|| "nothing".to_owned(), node::shown);
            Err(out.error(
                at,
                format!("{found} is no port number"),
                "write a number from 1 to 65535, without quotes",
            ))
        }
    }
}
