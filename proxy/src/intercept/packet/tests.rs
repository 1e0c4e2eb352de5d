#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use proptest::prelude::*;

use super::*;

mod building;
/// What the fuzz target runs, over what it has found so far.
#[path = "../../../../fuzz/src/packets.rs"]
mod packets;

use crate::intercept::packet;
use building::{AUTHENTICATION, Built, DESTINATION, FRAGMENT, Next, ROUTING, any_packet, tcp};

const V4: [&str; 2] = ["10.0.0.7:41000", "10.0.0.9:8080"];
const V6: [&str; 2] = ["[fd00::7]:41000", "[fd00::9]:8080"];

fn between(ends: [&str; 2], next: Next) -> Built {
    let [source, destination] = ends.map(|end| end.parse().unwrap());
    Built::new(source, destination, next)
}

/// A packet as the table writes it: ends, protocol, what it is to its flow; or the label of what is wrong.
fn said(bytes: &[u8]) -> String {
    match parse(bytes) {
        Ok(read) => format!(
            "{} {} -> {} {:?}",
            read.protocol, read.source, read.destination, read.opens
        ),
        Err(why) => why.label().to_owned(),
    }
}

#[test]
fn tcp_flags_say_who_may_open() {
    for (flags, opens) in [
        ("S", Opens::Syn),
        ("SEC", Opens::Syn),
        // Impossible ones are judged like the first packet, which is the stricter way.
        ("SF", Opens::Syn),
        ("SR", Opens::Syn),
        ("SPU", Opens::Syn),
        ("SA", Opens::MidStream),
        ("A", Opens::MidStream),
        ("PA", Opens::MidStream),
        ("R", Opens::MidStream),
        ("RA", Opens::MidStream),
        ("FA", Opens::MidStream),
        ("", Opens::MidStream),
    ] {
        for ends in [V4, V6] {
            let read = parse(&between(ends, tcp(flags)).bytes()).unwrap();
            assert_eq!(read.opens, opens, "flags {flags:?} of {ends:?}");
            assert_eq!(read.protocol, Protocol::Tcp);
        }
    }
}

#[test]
fn s61_three_protocols_are_read_and_no_other() {
    let v6 = "[fd00::7]:41000 -> [fd00::9]:8080";
    let v4 = "10.0.0.7:41000 -> 10.0.0.9:8080";
    for (number, word, opens) in [
        (6, Some("TCP"), "MidStream"),
        (17, Some("UDP"), "Datagram"),
        (132, Some("SCTP"), "Datagram"),
        // ICMP, IPv4 in IP, ESP, no next header, ICMPv6, UDP-Lite.
        (1, None, ""),
        (4, None, ""),
        (50, None, ""),
        (59, None, ""),
        (58, None, ""),
        (136, None, ""),
    ] {
        for (ends, spelled) in [(V4, v4), (V6, v6)] {
            let want = match word {
                Some(word) => format!("{word} {spelled} {opens}"),
                None => "unsupported_protocol".to_owned(),
            };
            let bytes = between(ends, Next(number, 0)).bytes();
            assert_eq!(said(&bytes), want, "protocol {number}");
        }
    }
    assert_eq!(
        parse(&between(V4, Next(50, 0)).bytes()),
        Err(Malformed::UnsupportedProtocol(50))
    );
    // What is an extension in IPv6 is a protocol in IPv4.
    for number in [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION] {
        let bytes = between(V4, Next(number, 0)).bytes();
        assert_eq!(said(&bytes), "unsupported_protocol", "protocol {number}");
    }
}

#[test]
fn the_v4_header_is_as_long_as_it_says() {
    let plain = "TCP 10.0.0.7:41000 -> 10.0.0.9:8080 Syn";
    for words in 0..=10 {
        let bytes = between(V4, tcp("S")).options(words).bytes();
        assert_eq!(said(&bytes), plain, "{words} words of options");
    }
    let good = between(V4, tcp("S")).bytes();
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        said(&bytes)
    };
    assert_eq!(changed(0, &[0x44]), "ipv4_length");
    assert_eq!(changed(2, &19_u16.to_be_bytes()), "ipv4_length");
    assert_eq!(changed(2, &20_u16.to_be_bytes()), "tcp_short");
    assert_eq!(changed(2, &33_u16.to_be_bytes()), "tcp_short");
    assert_eq!(changed(2, &34_u16.to_be_bytes()), plain);
    // Longer than what was copied, and longer than the field can say.
    assert_eq!(changed(2, &9000_u16.to_be_bytes()), plain);
    assert_eq!(changed(2, &0_u16.to_be_bytes()), plain);
    assert_eq!(changed(0, &[0x00]), "ip_version");
    assert_eq!(changed(0, &[0x55]), "ip_version");
    assert_eq!(changed(0, &[0xf5]), "ip_version");
}

#[test]
fn v6_extensions_are_passed_over() {
    let ok = "UDP [fd00::7]:41000 -> [fd00::9]:8080 Datagram";
    for (extensions, want) in [
        (&[] as &[(u8, usize)], ok),
        (&[(HOP_BY_HOP, 8)], ok),
        (&[(HOP_BY_HOP, 24), (DESTINATION, 16)], ok),
        (&[(ROUTING, 24)], ok),
        (&[(FRAGMENT, 8)], ok),
        (&[(AUTHENTICATION, 24)], ok),
        (&[(AUTHENTICATION, 12)], ok),
        (
            &[
                (HOP_BY_HOP, 8),
                (DESTINATION, 8),
                (ROUTING, 8),
                (FRAGMENT, 8),
                (AUTHENTICATION, 16),
                (DESTINATION, 8),
            ],
            ok,
        ),
        (&[(DESTINATION, 8); 6], ok),
        (&[(DESTINATION, 8); 7], "too_many_extensions"),
        (&[(DESTINATION, 8); 9], "too_many_extensions"),
        (&[(DESTINATION, 8), (HOP_BY_HOP, 8)], "hop_by_hop_not_first"),
        (&[(HOP_BY_HOP, 8), (HOP_BY_HOP, 8)], "hop_by_hop_not_first"),
    ] {
        let mut built = between(V6, Next(17, 0));
        for (number, length) in extensions {
            built = built.extension(*number, *length);
        }
        assert_eq!(said(&built.bytes()), want, "{extensions:?}");
    }
}

#[test]
fn a_routing_header_must_be_used_up() {
    let mut bytes = between(V6, tcp("S")).extension(ROUTING, 8).bytes();
    bytes[40 + 3] = 1;
    assert_eq!(parse(&bytes), Err(Malformed::SegmentsLeft));
}

#[test]
fn only_a_first_fragment_is_read() {
    let v4 = "TCP 10.0.0.7:41000 -> 10.0.0.9:8080 Syn";
    let v6 = "TCP [fd00::7]:41000 -> [fd00::9]:8080 Syn";
    for (offset, more, first) in [
        (0, false, true),
        (0, true, true),
        (1, true, false),
        (185, false, false),
        (0x1fff, true, false),
    ] {
        for (ends, spelled) in [(V4, v4), (V6, v6)] {
            let bytes = between(ends, tcp("S")).fragment(offset, more).bytes();
            let want = if first { spelled } else { "fragment_not_first" };
            assert_eq!(said(&bytes), want, "offset {offset}, more {more}");
        }
    }
    // Too small for TCP's flags: eight bytes of it are the least that a router may leave.
    for (ends, cut) in [(V4, 20 + 8), (V6, 40 + 8 + 8)] {
        let mut built = between(ends, tcp("S")).fragment(0, true);
        built.total = Some(cut);
        assert_eq!(said(&built.bytes()), "tcp_short", "{ends:?}");
        assert_eq!(said(&built.bytes()[..cut]), "tcp_short", "{ends:?}");
    }
}

#[test]
fn s45_a_mapped_address_on_the_wire_is_nobody() {
    let (mapped, plain) = ("[::ffff:10.0.0.7]:41000", "[fd00::7]:41000");
    for (source, destination, refused) in [
        (mapped, "[fd00::9]:80", true),
        (plain, "[::ffff:10.0.0.9]:80", true),
        (mapped, "[::ffff:10.0.0.9]:80", true),
        (plain, "[fd00::9]:80", false),
        // Deprecated and of no meaning, but no pod's spelling: it stays what it is.
        ("[::10.0.0.7]:41000", "[fd00::9]:80", false),
        ("[64:ff9b::10.0.0.7]:41000", "[fd00::9]:80", false),
    ] {
        let read = parse(&between([source, destination], tcp("S")).bytes());
        if refused {
            assert_eq!(read, Err(Malformed::MappedAddress), "{source}");
        } else {
            let read = read.unwrap();
            assert_eq!(read.source.socket(), source.parse::<SocketAddr>().unwrap());
        }
    }
}

#[test]
fn what_is_cut_off_has_a_name() {
    assert_eq!(said(&[]), "ip_short");
    let v4 = between(V4, tcp("S")).options(2).bytes();
    let v6 = between(V6, Next(132, 0))
        .extension(HOP_BY_HOP, 8)
        .extension(DESTINATION, 16)
        .extension(AUTHENTICATION, 16);
    let v6 = v6.bytes();
    let of_v4: &[(usize, &str)] = &[(28, "ipv4_short"), (42, "tcp_short")];
    let of_v6: &[(usize, &str)] = &[
        (40, "ipv6_short"),
        (48, "hop_by_hop_short"),
        (64, "destination_options_short"),
        (80, "authentication_short"),
        (84, "sctp_short"),
    ];
    for (bytes, steps) in [(&v4, of_v4), (&v6, of_v6)] {
        let mut from = 1;
        for (to, label) in steps {
            for length in from..*to {
                assert_eq!(said(&bytes[..length]), *label, "{length} bytes");
            }
            from = *to;
        }
        assert!(parse(&bytes[..from]).is_ok(), "{from} bytes");
    }
}

#[test]
fn labels_are_distinct_and_hold_nothing_of_the_sender() {
    use std::collections::BTreeSet;
    let headers = [
        Header::Ip,
        Header::V4,
        Header::V6,
        Header::HopByHop,
        Header::DestinationOptions,
        Header::Routing,
        Header::Fragment,
        Header::Authentication,
        Header::Tcp,
        Header::Udp,
        Header::Sctp,
    ];
    let others = [
        Malformed::Version(5),
        Malformed::V4Length,
        Malformed::MappedAddress,
        Malformed::TooManyExtensions,
        Malformed::HopByHopNotFirst,
        Malformed::SegmentsLeft,
        Malformed::NonFirstFragment,
        Malformed::UnsupportedProtocol(1),
    ];
    let all: Vec<Malformed> = headers
        .map(Malformed::Short)
        .into_iter()
        .chain(others)
        .collect();
    let labels: BTreeSet<&str> = all.iter().map(|why| why.label()).collect();
    assert_eq!(labels.len(), all.len(), "{labels:?}");
    assert_eq!(
        Malformed::UnsupportedProtocol(1).label(),
        Malformed::UnsupportedProtocol(2).label()
    );
}

#[test]
fn corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/packet");
    let inputs: Vec<_> = fs::read_dir(corpus).unwrap().map(Result::unwrap).collect();
    assert!(inputs.len() >= 10, "only {} inputs", inputs.len());
    for input in inputs {
        let bytes = fs::read(input.path()).unwrap();
        let name = input.file_name().into_string().unwrap();
        packets::packet(&bytes);
        // The name says what it is: `ok-...`, or the label.
        let said = parse(&bytes).map_or_else(Malformed::label, |_| "ok");
        assert!(name.starts_with(said), "{name} is {said}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        packets::packet(&bytes);
    }

    /// Arbitrary bytes seldom get past the first header; these do.
    #[test]
    fn spoiled_packets_are_read_or_refused(
        built in any_packet(),
        spoiled in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = built.bytes();
        for (at, byte) in spoiled {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        packets::packet(&bytes);
    }

    #[test]
    fn what_was_built_is_read(built in any_packet()) {
        let bytes = built.bytes();
        packets::packet(&bytes);
        prop_assert_eq!(parse(&bytes), Ok(built.expected()), "{:02x?}", bytes);
    }
}
