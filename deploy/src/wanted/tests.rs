#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

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
    let wanted = Wanted::new(15006, 15007, given).unwrap();
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
        let error = Wanted::new(1, 2, addresses(&[address]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(word), "{address}: {error}");
        let built = Wanted {
            udp_ports: Vec::new(),
            unguarded: Vec::new(),
            listen_port: 1,
            canary_port: 2,
            node_addresses: addresses(&[address]),
            node_ports: Vec::new(),
        };
        assert!(built.canonical().is_err(), "{address}");
    }
}

#[test]
fn ports_are_checked() {
    for (listen, canary) in [(0, 1), (1, 0), (7, 7)] {
        let error = Wanted::new(listen, canary, []).unwrap_err();
        assert_eq!(error.fault(), crate::Fault::Usage, "{error}");
    }
}

#[test]
fn p11_s65_node_ports_are_sorted_single_and_never_zero() {
    let wanted = Wanted::new(1, 2, []).unwrap();
    assert_eq!(wanted.node_ports, [], "the node is let past everywhere");
    let strict = wanted.clone().with_node_ports([443, 80, 443]).unwrap();
    assert_eq!(strict.node_ports, [80, 443]);
    assert_eq!(strict.canonical().unwrap(), strict);
    let error = wanted.with_node_ports([80, 0]).unwrap_err();
    assert_eq!(error.fault(), crate::Fault::Usage);
    assert!(error.to_string().contains("--node-port"), "{error}");
    let built = Wanted {
        node_ports: vec![443, 0],
        ..strict
    };
    assert!(built.canonical().is_err());
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
        let wanted = Wanted::new(1, 2, addresses(nodes)).unwrap();
        let answer = refuse_host_network(&wanted, &addresses(&[own]));
        assert_eq!(answer.is_err(), refused, "{nodes:?} {own}");
    }
}

#[test]
fn p2_a_udp_port_is_judged_or_left_to_everybody_never_both() {
    let judged = Wanted::new(1, 2, [])
        .unwrap()
        .with_udp_ports([53, 54], 15874);
    let judged = judged.unwrap();
    assert_eq!(judged.canonical().unwrap(), judged);
    for (port, word) in [(54, "--unguarded-port"), (15875, "15875")] {
        let udp = [(Uncarried::Udp, port)];
        let error = judged.clone().with_unguarded(udp).unwrap_err();
        assert_eq!(error.fault(), crate::Fault::Usage, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        let open = Wanted::new(1, 2, []).unwrap().with_unguarded(udp).unwrap();
        assert!(open.with_udp_ports([53, 54], 15874).is_err(), "{port}");
        let sctp = [(Uncarried::Sctp, port)];
        assert!(judged.clone().with_unguarded(sctp).is_ok(), "{port}");
    }
}
