//! The kernel's words, and errors of ports that were closed, on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::intercept::datagram::{DatagramDoor, LARGEST, on};

#[test]
fn each_kind_of_error_has_its_word() {
    let icmp = |origin: u8, kind: u8, code: u8| (origin, kind, code, 0);
    let rows = [
        (icmp(libc::SO_EE_ORIGIN_ICMP, 3, 3), "port_unreachable"),
        (icmp(libc::SO_EE_ORIGIN_ICMP6, 1, 4), "port_unreachable"),
        (icmp(libc::SO_EE_ORIGIN_ICMP, 3, 4), "too_big"),
        (icmp(libc::SO_EE_ORIGIN_ICMP6, 2, 0), "too_big"),
        ((libc::SO_EE_ORIGIN_LOCAL, 0, 0, libc::EMSGSIZE), "too_big"),
        (icmp(libc::SO_EE_ORIGIN_ICMP, 3, 1), "unreachable"),
        (icmp(libc::SO_EE_ORIGIN_ICMP, 3, 13), "unreachable"),
        (icmp(libc::SO_EE_ORIGIN_ICMP6, 1, 0), "unreachable"),
        (icmp(libc::SO_EE_ORIGIN_ICMP, 11, 0), "other"),
        (icmp(libc::SO_EE_ORIGIN_ICMP6, 3, 3), "other"),
        ((libc::SO_EE_ORIGIN_LOCAL, 0, 0, libc::ENOMEM), "other"),
    ];
    for ((ee_origin, ee_type, ee_code, errno), label) in rows {
        let error = libc::sock_extended_err {
            ee_errno: errno as u32,
            ee_origin,
            ee_type,
            ee_code,
            ee_pad: 0,
            ee_info: 0,
            ee_data: 0,
        };
        assert_eq!(ClientError::of(&error).label(), label, "{error:?}");
    }
}

fn client(door: &DatagramDoor, own: &str) -> UdpSocket {
    let client = UdpSocket::bind((own, 0)).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let port = door.address().unwrap().port();
    client.connect((own, port)).unwrap();
    client
}

/// A client whose port is closed costs no other client a datagram, in neither direction.
#[test]
fn a_port_that_was_closed_is_told_and_harms_nobody_else() {
    let dual = || DatagramDoor::bind(53, 0).unwrap();
    let (socket, is_dual) = on((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
    let old = DatagramDoor {
        socket,
        port: 53,
        is_dual,
    };
    for (door, own) in [(dual(), "127.0.0.1"), (dual(), "::1"), (old, "127.0.0.1")] {
        let mut buffer = vec![0; LARGEST];
        let (leaving, staying) = (client(&door, own), client(&door, own));
        leaving.send(b"question").unwrap();
        let left = door.receive(&mut buffer).unwrap().unwrap();
        drop(leaving);
        for round in 0..3 {
            // Loopback has brought the error back when the call returns.
            door.answer(b"too late", left.from, left.to).unwrap();
            staying.send(b"question").unwrap();
            let came = door.receive(&mut buffer).unwrap().expect("a question");
            assert_eq!(came.from, staying.local_addr().unwrap().into());
            door.answer(b"too late", left.from, left.to).unwrap();
            door.answer(b"answer", came.from, came.to).unwrap();
            let length = staying.recv(&mut buffer).expect("an answer");
            assert_eq!(&buffer[..length], b"answer", "{own} {round}");
        }
        for _ in 0..6 {
            assert_eq!(door.next_error(), Some(ClientError::PortUnreachable));
        }
        assert_eq!(door.next_error(), None);
        assert_eq!(door.receive(&mut buffer).unwrap(), None);
    }
}
