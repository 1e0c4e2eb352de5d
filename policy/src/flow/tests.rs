#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use super::{Direction, Flow, MixedFamilies, Protocol, UnknownProtocol};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_peer_is_the_source_of_ingress_and_the_destination_of_egress() {
    for (direction, peer) in [
        (Direction::Ingress, "10.0.0.1"),
        (Direction::Egress, "10.0.0.2"),
    ] {
        let flow = Flow::between(direction, Protocol::Tcp, ip("10.0.0.1"), ip("10.0.0.2"), 80);
        assert_eq!(flow.unwrap().peer_address, Some(ip(peer)), "{direction:?}");
    }
}

#[test]
fn s45_mapped_addresses_become_v4() {
    let flow = Flow::between(
        Direction::Ingress,
        Protocol::Tcp,
        ip("::ffff:10.0.0.1"),
        ip("10.0.0.2"),
        80,
    );
    assert_eq!(flow.unwrap().peer_address, Some(ip("10.0.0.1")));
    let address = Some(ip("::ffff:10.0.0.1"));
    let flow = Flow::with_peer_address(Direction::Ingress, Protocol::Tcp, 80, address);
    assert_eq!(flow.peer_address, Some(ip("10.0.0.1")));
}

#[test]
fn mixed_families_are_refused_either_way_round() {
    for (source, destination) in [("10.0.0.1", "fd00::1"), ("fd00::1", "10.0.0.1")] {
        let (source_ip, destination_ip) = (ip(source), ip(destination));
        let flow = Flow::between(
            Direction::Egress,
            Protocol::Udp,
            source_ip,
            destination_ip,
            53,
        );
        assert_eq!(
            flow,
            Err(MixedFamilies {
                source_ip,
                destination_ip
            })
        );
    }
}

#[test]
fn protocols_read_as_they_print() {
    for protocol in Protocol::ALL {
        assert_eq!(protocol.to_string().parse(), Ok(protocol));
    }
    for wrong in ["tcp", "ICMP", "", "TCP "] {
        assert_eq!(
            wrong.parse::<Protocol>(),
            Err(UnknownProtocol(wrong.to_owned()))
        );
    }
}

#[test]
fn places_are_the_places_in_the_lists() {
    for (at, protocol) in Protocol::ALL.into_iter().enumerate() {
        assert_eq!(protocol.index(), at);
    }
    for (at, direction) in Direction::BOTH.into_iter().enumerate() {
        assert_eq!(direction.index(), at);
    }
}
