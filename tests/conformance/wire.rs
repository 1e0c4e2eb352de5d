//! Every pair of pods, asked on the wire: what the caller sees, beside what the table says it shall see.
//!
//! A plain connect is the probe, as upstream's is. What is denied is known by its own sign (a refusal, a reset, a line
//! of the access log, a counter), never by having waited for long enough.

mod datagram;
mod sctp;

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use podwall_lab::Mode;

use super::table::{Ask, Family, Protocol};
use super::town::{Resident, Town};
use crate::support::SOON;

/// What a caller saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// It was served, by the pod of that name; SCTP, of which there is no server: it came through to that pod.
    Served(String),
    /// The connect failed: connection refused.
    Refused,
    /// Connected, then reset.
    Reset,
    /// Denied without an answer, and podwall says so.
    Dropped,
    /// Nothing happened for as long as anybody would wait, or something else did.
    Other(String),
}

/// One answer.
#[derive(Debug)]
pub struct Row {
    pub from: String,
    pub to: String,
    pub family: Family,
    pub seen: Seen,
}

/// Asks every pair.
pub fn ask(town: &Town, ask: &Ask) -> Vec<Row> {
    match ask.protocol {
        Protocol::Tcp => tcp(town, ask),
        Protocol::Udp => datagram::ask(town, ask),
        Protocol::Sctp => sctp::ask(town, ask),
    }
}

/// The rows that are not as the table says, in words.
pub fn faults(town: &Town, wanted: &Ask) -> Vec<String> {
    let rows = ask(town, wanted);
    let pairs = town.residents.len() * town.residents.len();
    assert_eq!(
        rows.len(),
        pairs * wanted.families.len(),
        "rows are missing"
    );
    let mode = town.mode.expect("a guarded town");
    let wrong = |row: &Row| {
        let admitted = wanted.table.admits(&row.from, &row.to);
        let expected = expected(mode, wanted.protocol, row, admitted);
        let Row {
            from,
            to,
            family,
            seen,
        } = row;
        (*seen != expected).then(|| {
            format!("{wanted} over {family:?}: {from} -> {to}: expected {expected:?}, saw {seen:?}")
        })
    };
    rows.iter().filter_map(wrong).collect()
}

/// What a caller shall see. In mode queue it is upstream's answer everywhere. In mode redirect a TCP caller who is
/// denied connects and is then reset, and no SCTP comes in, since static rules do not know the policy.
fn expected(mode: Mode, protocol: Protocol, row: &Row, admitted: bool) -> Seen {
    let served = Seen::Served(row.to.clone());
    if row.from == row.to {
        return served;
    }
    match (protocol, mode) {
        (Protocol::Sctp, Mode::Redirect) => Seen::Dropped,
        _ if admitted => served,
        (Protocol::Tcp, Mode::Redirect) => Seen::Reset,
        (Protocol::Tcp, Mode::Queue) => Seen::Refused,
        (Protocol::Udp | Protocol::Sctp, _) => Seen::Dropped,
    }
}

fn tcp(town: &Town, ask: &Ask) -> Vec<Row> {
    thread::scope(|scope| {
        let callers: Vec<_> = town
            .residents
            .iter()
            .map(|caller| scope.spawn(move || calls(town, caller, ask)))
            .collect();
        let rows = callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap());
        rows.collect()
    })
}

/// One pod calls all, one after the other.
fn calls(town: &Town, caller: &Resident, ask: &Ask) -> Vec<Row> {
    let call = || {
        let mut rows = Vec::new();
        for callee in &town.residents {
            for family in &ask.families {
                rows.push(Row {
                    from: caller.name.clone(),
                    to: callee.name.clone(),
                    family: *family,
                    seen: connect((callee.address(*family), ask.port).into()),
                });
            }
        }
        rows
    };
    caller.pod.enter(call).expect("the caller's network")
}

/// Connects, and reads what the server says. A reset may come before the caller has noticed that it was connected.
pub fn connect(to: SocketAddr) -> Seen {
    words(TcpStream::connect_timeout(&to, SOON))
}

/// Reads what the server says, if there is a connection.
pub fn words(connected: io::Result<TcpStream>) -> Seen {
    let heard = connected.and_then(|mut stream| {
        let mut text = String::new();
        stream.set_read_timeout(Some(SOON))?;
        stream.read_to_string(&mut text).map(|_| text)
    });
    match heard {
        Ok(text) if !text.is_empty() => Seen::Served(text),
        Ok(_) => Seen::Other("closed without a word".to_owned()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Seen::Refused,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Seen::Reset,
        Err(error) => Seen::Other(error.to_string()),
    }
}
