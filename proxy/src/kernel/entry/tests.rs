#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use super::*;
use crate::kernel::wire::{Request, messages};

fn flow(protocol: Protocol) -> Tuple {
    let [source, destination]: [SocketAddr; 2] =
        ["10.0.0.7:41000", "10.0.0.9:80"].map(|end| end.parse().unwrap());
    Tuple::new(protocol, source, destination)
}

/// Reads an entry of `protocol` with what `more` adds.
fn entry(protocol: Protocol, more: impl FnOnce(&mut Request)) -> Option<Entry> {
    let mut request = Request::new(0x0100, 0, &[2, 0, 0, 0]);
    flow(protocol).write(&mut request, TUPLE);
    more(&mut request);
    let bytes = request.numbered(0);
    Entry::read(&messages(&bytes).next().unwrap().unwrap())
}

fn counted(request: &mut Request, kind: u16, packets: u64, bytes: u64) {
    request.nested(kind, |counters| {
        counters.attribute(PACKETS, &packets.to_be_bytes());
        counters.attribute(BYTES, &bytes.to_be_bytes());
    });
}

#[test]
fn absent_attributes_mean_no_mark_no_counters_and_no_reply() {
    let bare = Entry {
        tuple: flow(Protocol::Udp),
        mark: 0,
        counters: None,
        ended: false,
        replied: false,
    };
    assert_eq!(entry(Protocol::Udp, |_| {}), Some(bare));
}

#[test]
fn mark_status_and_counters() {
    let read = entry(Protocol::Sctp, |request| {
        request.attribute(STATUS, &0b1010_u32.to_be_bytes());
        request.attribute(MARK, &0x8000_0001_u32.to_be_bytes());
        counted(request, COUNTERS_ORIGINAL, 3, 1 << 40);
        counted(request, COUNTERS_REPLY, 2, 200);
    });
    let read = read.unwrap();
    assert_eq!((read.mark, read.replied), (0x8000_0001, true));
    let counters = read.counters.unwrap();
    assert_eq!(
        (counters.original.packets, counters.original.bytes),
        (3, 1 << 40)
    );
    assert_eq!((counters.reply.packets, counters.reply.bytes), (2, 200));
}

#[test]
fn one_direction_alone_is_no_account() {
    let read = entry(Protocol::Udp, |request| {
        counted(request, COUNTERS_ORIGINAL, 3, 4);
    });
    assert_eq!(read.unwrap().counters, None);
}

#[test]
fn tcp_is_over_in_time_wait_and_close() {
    for state in 0..=12 {
        let read = |protocol| {
            entry(protocol, |request| {
                request.nested(PROTOCOL_INFO, |info| {
                    info.nested(TCP, |tcp| tcp.attribute(TCP_STATE, &[state]));
                });
            })
        };
        let over = state == TIME_WAIT || state == CLOSE;
        assert_eq!(read(Protocol::Tcp).unwrap().ended, over, "state {state}");
        assert!(!read(Protocol::Udp).unwrap().ended, "state {state}");
    }
}

#[test]
fn a_field_of_the_wrong_size_makes_it_no_entry() {
    for kind in [MARK, STATUS] {
        let read = entry(Protocol::Udp, |request| request.attribute(kind, &[0, 1]));
        assert_eq!(read, None, "attribute {kind}");
    }
}
