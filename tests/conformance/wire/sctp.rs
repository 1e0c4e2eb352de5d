//! SCTP without a stack: one INIT for every pair. It comes through to an ear behind the filter, or it is dropped.

use podwall_lab::{Mode, wait_until};

use super::datagram::denied;
use super::{Row, Seen};
use crate::conformance::servers::raw;
use crate::conformance::table::{Ask, Family};
use crate::conformance::town::{Resident, Town};
use crate::support::SOON;

/// Source ports of one question, from here on; each packet has one of its own.
const FIRST: u16 = 20_000;

struct Sent<'a> {
    from: &'a Resident,
    to: &'a Resident,
    family: Family,
    port: u16,
    seen: Option<Seen>,
}

pub fn ask(town: &Town, ask: &Ask) -> Vec<Row> {
    let before: Vec<u64> = town.residents.iter().map(dropped).collect();
    // An ear remembers, so that no question uses the ports of another.
    let mut port = FIRST + town.questions.next() * 1000;
    let mut all = Vec::new();
    for from in &town.residents {
        for to in &town.residents {
            for family in &ask.families {
                port += 1;
                send(from, to, *family, port, ask.port);
                all.push(Sent {
                    from,
                    to,
                    family: *family,
                    port,
                    seen: None,
                });
            }
        }
    }
    let _ = wait_until(SOON, || {
        look(town, ask, &before, &mut all);
        all.iter().all(|sent| sent.seen.is_some())
    });
    let rows = all.into_iter().map(|sent| {
        let late = came_through(&sent, ask.port);
        let seen = late.or(sent.seen);
        Row {
            from: sent.from.name.clone(),
            to: sent.to.name.clone(),
            family: sent.family,
            seen: seen.unwrap_or_else(|| Seen::Other("lost".to_owned())),
        }
    });
    rows.collect()
}

fn look(town: &Town, ask: &Ask, before: &[u64], all: &mut [Sent<'_>]) {
    for sent in all.iter_mut().filter(|sent| sent.seen.is_none()) {
        sent.seen = came_through(sent, ask.port);
    }
    for (guard, before) in town.residents.iter().zip(before) {
        let mine = all.iter_mut().filter(|sent| sent.to.name == guard.name);
        let waiting: Vec<&mut Sent<'_>> = mine.filter(|sent| sent.seen.is_none()).collect();
        if waiting.is_empty() {
            continue;
        }
        // Static rules know no single packet: when as many were dropped as are missing, they are those.
        let counted =
            town.mode == Some(Mode::Redirect) && dropped(guard) - before == waiting.len() as u64;
        let denied = denied(guard, "SCTP", ask.port);
        for sent in waiting {
            if counted || denied.contains(&(sent.from.address(sent.family), sent.port)) {
                sent.seen = Some(Seen::Dropped);
            }
        }
    }
}

fn came_through(sent: &Sent<'_>, port: u16) -> Option<Seen> {
    let from = sent.from.address(sent.family);
    let heard = sent.to.servers.heard(from, sent.port, port);
    heard.then(|| Seen::Served(sent.to.name.clone()))
}

/// How many SCTP packets the rules of mode redirect have dropped, over both families.
fn dropped(guard: &Resident) -> u64 {
    ["iptables-nft-save", "ip6tables-nft-save"]
        .map(|program| {
            let saved = guard.pod.command(program).arg("-c").run(SOON).unwrap();
            let line = saved
                .stdout
                .lines()
                .find(|line| line.ends_with("-p sctp -j DROP"));
            let count = line.and_then(|line| line.trim_start_matches('[').split(':').next());
            count.map_or(0, |count| count.parse().unwrap())
        })
        .iter()
        .sum()
}

fn send(from: &Resident, to: &Resident, family: Family, source_port: u16, port: u16) {
    let socket = raw(&from.pod, family == Family::V4);
    let packet = init(source_port, port);
    let sent = socket.send_to(&packet, (to.address(family), 0));
    assert_eq!(sent.expect("an INIT on its way"), packet.len());
}

/// RFC 9260, 3.1 and 3.3.2: a common header with verification tag 0, and one INIT chunk.
fn init(source_port: u16, port: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(source_port.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend([0; 8]);
    // INIT, no flags, 20 bytes long.
    packet.extend([1, 0, 0, 20]);
    // Initiate tag, window, one stream out and one in, first sequence number.
    for word in [0x1234_5678_u32, 0xffff, 0x0001_0001, 1] {
        packet.extend(word.to_be_bytes());
    }
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// The checksum of SCTP, bit by bit: a packet has 32 bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = sum & 1;
            sum = (sum >> 1) ^ (carry * 0x82f6_3b78);
        }
    }
    !sum
}

#[test]
fn the_checksum_is_that_of_rfc_3720() {
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
