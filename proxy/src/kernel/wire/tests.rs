use proptest::prelude::*;

use super::*;
use crate::kernel::entry::Entry;
use crate::kernel::sockets::TcpSocket;
use crate::kernel::tuple::Tuple;

fn sample() -> Vec<u8> {
    let mut request = Request::new(0x0101, ACK, &[2, 0, 0, 0]);
    request.nested(4, |outer| {
        outer.attribute(1, &[9]);
        outer.attribute(2, &[1, 2, 3, 4, 5]);
    });
    request.attribute(8, &7_u32.to_be_bytes());
    request.numbered(0xdead_beef)
}

#[test]
fn what_is_written_is_read() {
    let bytes = sample();
    assert_eq!(bytes.len() % ALIGN, 0);
    let read: Vec<_> = messages(&bytes).map(Result::unwrap).collect();
    let [message] = read[..] else {
        panic!("{read:?}");
    };
    assert_eq!(
        (message.kind, message.flags, message.sequence),
        (0x0101, REQUEST | ACK, 0xdead_beef)
    );
    assert_eq!(message.body[..4], [2, 0, 0, 0]);
    let found: Vec<_> = attributes(&message.body[4..]).collect();
    assert_eq!(found[1], (8, &[0_u8, 0, 0, 7][..]));
    let nested: Vec<_> = attributes(found[0].1).collect();
    assert_eq!(nested, [(1, &[9][..]), (2, &[1, 2, 3, 4, 5][..])]);
    assert_eq!(attribute(found[0].1, 2), Some(&[1, 2, 3, 4, 5][..]));
    assert_eq!(attribute(found[0].1, 3), None);
}

#[test]
fn several_messages_in_one_datagram_are_told_one_by_one() {
    let bytes = [sample(), sample(), sample()].concat();
    assert_eq!(messages(&bytes).filter(Result::is_ok).count(), 3);
}

#[test]
fn a_length_that_is_not_there_ends_the_reading() {
    let bytes = sample();
    for cut in 1..bytes.len() {
        let read: Vec<_> = messages(&bytes[..cut]).collect();
        assert!(matches!(read[..], [Err(Broken)]), "{cut}: {read:?}");
    }
    for length in [0_u32, 1, 15, 0xffff, u32::MAX] {
        let mut bytes = bytes.clone();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let read: Vec<_> = messages(&bytes).collect();
        assert!(matches!(read[..], [Err(Broken)]), "{length}: {read:?}");
    }
    for length in [0_u16, 3, 9, u16::MAX] {
        let value = [&length.to_ne_bytes()[..], &[1, 0, 1, 1, 1, 1]].concat();
        assert_eq!(attributes(&value).count(), 0, "{length}");
    }
}

#[test]
fn the_status_is_the_kernels_number() {
    let status = |body: &[u8]| {
        Message {
            kind: ERROR,
            flags: 0,
            sequence: 0,
            body,
        }
        .status()
    };
    assert_eq!(status(&(-2_i32).to_ne_bytes()), Some(-2));
    assert_eq!(status(&[0; 20]), Some(0));
    assert_eq!(status(&[0; 3]), None);
}

proptest! {
    /// Whatever the kernel might answer: nothing panics, and nothing is read past its end.
    #[test]
    fn any_bytes_are_read_or_left(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for message in messages(&bytes).flatten() {
            let _entry = Entry::read(&message);
        }
        let message = Message { kind: 0x0100, flags: 0, sequence: 0, body: &bytes };
        let _entry = Entry::read(&message);
        let _tuple = Tuple::read(&bytes);
        let _socket = TcpSocket::read(&bytes);
        prop_assert!(attributes(&bytes).map(|(_, value)| value.len()).sum::<usize>() <= bytes.len());
    }
}
