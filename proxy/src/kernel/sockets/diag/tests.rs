#![allow(clippy::unwrap_used)]

use super::*;

/// A socket as the kernel answers it, up to its cookie.
fn answered(family: u8, state: u8, ends: [([u8; 16], u16); 2]) -> Vec<u8> {
    let mut bytes = vec![family, state, 0, 0];
    bytes.extend(ends.iter().flat_map(|(_, port)| port.to_be_bytes()));
    bytes.extend(ends.iter().flat_map(|(address, _)| *address));
    bytes.extend(3_u32.to_ne_bytes());
    bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    bytes
}

fn v6(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

fn v4(text: &str) -> [u8; 16] {
    padded(text.parse().unwrap())
}

#[test]
fn s45_mapped_ends_are_read_and_asked_for_as_the_one_address() {
    let mapped = [(v6("::ffff:10.0.0.9"), 80), (v6("::ffff:10.0.0.7"), 41_000)];
    let plain = [(v4("10.0.0.9"), 80), (v4("10.0.0.7"), 41_000)];
    let mapped = TcpSocket::read(&answered(10, 1, mapped)).unwrap();
    assert_eq!(mapped, TcpSocket::read(&answered(2, 1, plain)).unwrap());
    assert_eq!(mapped.local.to_string(), "10.0.0.9:80");
    assert_eq!(mapped.remote.to_string(), "10.0.0.7:41000");
    assert_eq!(mapped.asked().bytes()[0], Family::Inet as u8);
}

#[test]
fn a_socket_is_asked_for_by_ends_interface_and_cookie() {
    let bytes = answered(10, 8, [(v6("fe80::9"), 80), (v6("fe80::7"), 41_000)]);
    let socket = TcpSocket::read(&bytes).unwrap();
    assert_eq!(socket.state, TcpState::CloseWait);
    let asked = socket.asked().bytes();
    assert_eq!(asked[..4], [10, TCP, 0, 0]);
    assert_eq!(asked[8..], bytes[4..]);
    assert_eq!(asked.len(), 56);
}

#[test]
fn what_is_cut_off_or_unknown_is_no_socket() {
    let ends = [(v4("10.0.0.9"), 80), (v4("10.0.0.7"), 41_000)];
    let good = answered(2, 1, ends);
    for cut in 0..good.len() {
        assert_eq!(TcpSocket::read(&good[..cut]), None, "{cut}");
    }
    assert_eq!(TcpSocket::read(&answered(1, 1, ends)), None);
    for state in [0, 13, 255] {
        assert_eq!(TcpSocket::read(&answered(2, state, ends)), None, "{state}");
    }
}

#[test]
fn connected_are_all_states_but_three() {
    for bit in 1..=12 {
        let state = TcpState::read(bit).unwrap();
        let left_out = matches!(
            state,
            TcpState::Listen | TcpState::Close | TcpState::TimeWait
        );
        let asked = States::CONNECTED.0 & (1 << bit) != 0;
        assert_eq!(asked, !left_out, "{state:?}");
    }
}

#[test]
fn a_cookie_is_two_numbers_the_lower_first() {
    let Cookie(bytes) = Cookie::from(0x0102_0304_0506_0708);
    assert_eq!(bytes[..4], 0x0506_0708_u32.to_ne_bytes());
    assert_eq!(bytes[4..], 0x0102_0304_u32.to_ne_bytes());
    assert_ne!(Cookie::from(1), Cookie::ANY);
}
