//! One run of the target `packet`: bytes as a packet of the queue, a panic where something does not hold.
//!
//! Deliberately absent: libFuzzer, as in `bodies.rs`. The module around this file provides `packet`, so that the
//! door-keeper's own tests run the same over the corpus.

use podwall_policy::flow::Protocol;

use super::packet::{Malformed, Opens, Packet, parse};

/// The queue's copy range: longer parts are the same work over again.
const COPIED: usize = 128;

/// Reads bytes as a packet, and as every packet cut shorter.
pub fn packet(bytes: &[u8]) {
    let bytes = bytes.get(..COPIED).unwrap_or(bytes);
    let whole = parse(bytes);
    match &whole {
        Ok(read) => hold(read),
        Err(why) => {
            let said = [why.to_string(), why.label().to_owned()];
            assert!(said.iter().all(|text| !text.is_empty()), "{why:?}");
        }
    }
    // What is cut off is missing, or was not needed: a shorter copy never reads as something else.
    for length in 0..bytes.len() {
        let part = parse(&bytes[..length]);
        assert!(
            part == whole || matches!(part, Err(Malformed::Short(_))),
            "{whole:?}, but its first {length} bytes {part:?}"
        );
    }
}

fn hold(read: &Packet) {
    let (source, destination) = (read.source.ip(), read.destination.ip());
    assert_eq!(source.is_ipv4(), destination.is_ipv4(), "{read:?}");
    assert_eq!(
        read.protocol == Protocol::Tcp,
        read.opens != Opens::Datagram,
        "{read:?}"
    );
}
