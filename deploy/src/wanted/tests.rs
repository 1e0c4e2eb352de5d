#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::mode::{Queue, Queues, Redirect, UdpDeny};

fn mode() -> Redirect {
    Redirect::new(15006, 15007).unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn node_addresses_are_canonical_sorted_and_single() {
    let given = addresses(&[
        "fd00::1",
        "10.0.0.2",
        "::ffff:10.0.0.1",
        "10.0.0.1",
        "fd00::1",
    ]);
    let wanted = Wanted::new(mode(), given).unwrap();
    assert_eq!(
        wanted.node_addresses,
        addresses(&["10.0.0.1", "10.0.0.2", "fd00::1"])
    );
    assert_eq!(
        wanted.nodes(Family::Ipv6).collect::<Vec<_>>(),
        addresses(&["fd00::1"])
    );
}

#[test]
fn what_cannot_be_a_node_is_refused_by_name() {
    let rows = [
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
    ];
    for (address, word) in rows {
        let error = Wanted::new(mode(), addresses(&[address]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{address}: {error}");
    }
}

#[test]
fn s66_any_spelling_of_an_own_address_is_host_network() {
    let rows = [
        (&["10.0.0.1"], "10.0.0.1", true),
        (&["10.0.0.1"], "::ffff:10.0.0.1", true),
        (&["fd00::1"], "fd00::1", true),
        (&["fd00::1"], "10.0.0.1", false),
    ];
    for (nodes, own, refused) in rows {
        let wanted = Wanted::new(mode(), addresses(nodes)).unwrap();
        let answer = refuse_host_network(&wanted, &addresses(&[own]));
        assert_eq!(answer.is_err(), refused, "{nodes:?} {own}");
    }
}

#[test]
fn p2_a_udp_port_is_judged_or_left_to_everybody_never_both() {
    let judged = mode().with_udp_ports([53, 54], 15874).unwrap();
    let judged = Wanted::new(judged, []).unwrap();
    for (port, word) in [(54, "--unguarded-port"), (15875, "15875"), (0, "65535")] {
        let udp = [(Transport::Udp, port)];
        let error = judged.clone().with_unguarded(udp).unwrap_err();
        assert_eq!(error.fault(), crate::Fault::Usage, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    for port in [54, 15875] {
        let sctp = [(Transport::Sctp, port)];
        assert!(judged.clone().with_unguarded(sctp).is_ok(), "{port}");
        let queue = Queue {
            queues: Queues::new(1, 1).unwrap(),
            udp_deny: UdpDeny::Drop,
        };
        let queue = Wanted::new(queue, []).unwrap();
        assert!(queue.with_unguarded([(Transport::Udp, port)]).is_ok());
    }
}
