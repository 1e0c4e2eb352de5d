//! UDP: one datagram for every pair, at the same time. An answer, a refusal, or podwall's own word that it was denied.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use podwall_lab::wait_until;
use serde_json::Value;

use super::{Row, Seen};
use crate::conformance::table::{Ask, Family};
use crate::conformance::town::{Resident, Town};
use crate::support::SOON;

/// Source ports of one question, from here on; each datagram has one of its own.
const FIRST: u16 = 20_000;

/// A datagram under way.
struct Sent<'a> {
    from: &'a Resident,
    to: &'a Resident,
    family: Family,
    socket: UdpSocket,
    seen: Option<Seen>,
}

pub fn ask(town: &Town, ask: &Ask) -> Vec<Row> {
    // A port is not used twice, so that no earlier denial is taken for this one, nor keeps it from having its line.
    let mut port = FIRST + town.questions.next() * 1000;
    let mut all = Vec::new();
    for from in &town.residents {
        for to in &town.residents {
            for family in &ask.families {
                port += 1;
                let socket = send(from, port, (to.address(*family), ask.port).into());
                all.push(Sent {
                    from,
                    to,
                    family: *family,
                    socket,
                    seen: None,
                });
            }
        }
    }
    let _ = wait_until(SOON, || {
        look(town, ask.port, &mut all);
        all.iter().all(|sent| sent.seen.is_some())
    });
    let rows = all.into_iter().map(|sent| {
        // An answer after podwall's word would be the worst of all.
        let seen = match (received(&sent.socket), sent.seen) {
            (Some(late), Some(Seen::Dropped)) => late,
            (_, seen) => seen.unwrap_or_else(|| Seen::Other("no answer".to_owned())),
        };
        Row {
            from: sent.from.name.clone(),
            to: sent.to.name.clone(),
            family: sent.family,
            seen,
        }
    });
    rows.collect()
}

fn send(from: &Resident, port: u16, to: SocketAddr) -> UdpSocket {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    let open = || {
        let socket = UdpSocket::bind((any, port))?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        socket.send(b"who is there?")?;
        Ok::<_, std::io::Error>(socket)
    };
    from.pod
        .enter(open)
        .unwrap()
        .expect("a datagram on its way")
}

fn look(town: &Town, port: u16, all: &mut [Sent<'_>]) {
    for sent in all.iter_mut().filter(|sent| sent.seen.is_none()) {
        sent.seen = received(&sent.socket);
    }
    if all.iter().all(|sent| sent.seen.is_some()) {
        return;
    }
    for guard in &town.residents {
        let denied = denied(guard, "UDP", port);
        let waiting = all.iter_mut().filter(|sent| sent.seen.is_none());
        for sent in waiting.filter(|sent| sent.to.name == guard.name) {
            let own = sent.socket.local_addr().expect("an address");
            if denied.contains(&(own.ip(), own.port())) {
                sent.seen = Some(Seen::Dropped);
            }
        }
    }
}

fn received(socket: &UdpSocket) -> Option<Seen> {
    let mut buffer = [0; 64];
    match socket.recv(&mut buffer) {
        Ok(length) => {
            let text = String::from_utf8_lossy(&buffer[..length]);
            Some(Seen::Served(text.into_owned()))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(Seen::Refused),
        Err(error) => Some(Seen::Other(error.to_string())),
    }
}

/// Whom podwall says that it has denied on this port, by address and source port.
pub fn denied(guard: &Resident, protocol: &str, port: u16) -> BTreeSet<(IpAddr, u16)> {
    let lines = guard.sidecar().log().into_iter();
    let denials = lines.filter(|line| {
        line["verdict"] == "deny"
            && line["protocol"] == protocol
            && line["destination_port"] == port
    });
    denials.filter_map(|line| source(&line)).collect()
}

fn source(line: &Value) -> Option<(IpAddr, u16)> {
    let port = u16::try_from(line["source_port"].as_u64()?).ok()?;
    Some((line["source"].as_str()?.parse().ok()?, port))
}
