//! Peers, ranges and ports.

use podwall_policy::flow::Protocol;
use podwall_policy::selector::Selector;
use podwall_policy::spec::{Namespaces, PeerSpec, Peers, PortSpec, Ports};

use super::{check_found, policy};

/// The peer, and what is found odd.
#[track_caller]
fn peer(peer: &str) -> (PeerSpec, Vec<String>) {
    let (policy, found) = policy(&format!("{{ingress: [{{from: [{peer}]}}]}}"));
    match &policy.ingress.unwrap()[0].peers {
        Peers::OneOf(peers) => (peers[0].clone(), found),
        Peers::Any => panic!("{peer} is read as anybody"),
    }
}

/// The port, and what is found odd.
#[track_caller]
fn port(port: &str) -> (PortSpec, Vec<String>) {
    let (policy, found) = policy(&format!("{{ingress: [{{ports: [{port}]}}]}}"));
    match &policy.ingress.unwrap()[0].ports {
        Ports::OneOf(ports) => (ports[0].clone(), found),
        Ports::Any => panic!("{port} is read as any port"),
    }
}

#[track_caller]
fn range(text: &str) -> (Protocol, u16, u16) {
    match port(text) {
        (
            PortSpec::Range {
                protocol,
                first,
                last,
            },
            found,
        ) if found.is_empty() => (protocol, first, last),
        other => panic!("{text} is read as {other:?}"),
    }
}

#[test]
fn s21_to_s25_selector_peers() {
    let all = Selector::everything;
    let own = |pods| PeerSpec::Pods {
        namespaces: Namespaces::Own,
        pods,
    };
    let matching = |namespaces, pods| PeerSpec::Pods {
        namespaces: Namespaces::Matching(namespaces),
        pods,
    };
    for (text, wanted) in [
        ("{podSelector: {}}", own(all())),
        ("{podSelector: {}, namespaceSelector: null}", own(all())),
        ("{namespaceSelector: {}}", matching(all(), all())),
        (
            "{namespaceSelector: {}, podSelector: {}, ipBlock: null}",
            matching(all(), all()),
        ),
    ] {
        assert_eq!(peer(text), (wanted, vec![]), "{text}");
    }
}

#[test]
fn s28_and_s29_a_peer_that_says_nothing_or_too_much_matches_nothing() {
    for (text, words) in [
        ("{}", "a peer without a field matches nothing"),
        (
            "{podSelector: null}",
            "a peer without a field matches nothing",
        ),
        ("null", "a peer without a field matches nothing"),
        ("everybody", "\"everybody\" is no mapping"),
        ("[]", "a list is no mapping"),
        (
            "{nodeSelector: {}}",
            "unknown field, so this peer cannot be understood",
        ),
        (
            "{namespaceSelector: {}, podSelecter: {}}",
            "did you mean `podSelector`?",
        ),
        (
            "{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}",
            "ipBlock beside a selector matches nothing",
        ),
        (
            "{ipBlock: {cidr: 10.0.0.0/8}, namespaceSelector: {}}",
            "ipBlock beside a selector matches nothing",
        ),
    ] {
        let (read, found) = peer(text);
        assert_eq!(read, PeerSpec::Broken, "{text}");
        check_found(&found, &[words]);
        assert!(
            found[0].starts_with("error: NetworkPolicy shop/p: spec.ingress[0].from[0]"),
            "{found:?}"
        );
    }
}

#[test]
fn s38_a_selector_that_cannot_be_read_breaks_its_peer() {
    for text in [
        "{podSelector: {matchLabels: {app: true}}}",
        "{namespaceSelector: {matchLabels: {app: 1.10}}, podSelector: {}}",
        "{podSelector: {matchlabels: {app: web}}}",
    ] {
        assert_eq!(peer(text).0, PeerSpec::Broken, "{text}");
    }
}

#[test]
fn s41_to_s45_ranges_as_sloppy_as_the_server_stores_them() {
    for (block, wanted, words) in [
        ("{cidr: 10.0.0.0/8}", "10.0.0.0/8", &[][..]),
        ("{cidr: 10.0.0.0/8, except: []}", "10.0.0.0/8", &[]),
        (
            "{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}",
            "10.0.0.0/8 except 10.1.0.0/16",
            &[],
        ),
        ("{cidr: \"fd00::/8\"}", "fd00::/8", &[]),
        (
            "{cidr: 10.0.0.5/24}",
            "10.0.0.0/24",
            &["\"10.0.0.5/24\" has host bits set, which are ignored; write 10.0.0.0/24"],
        ),
        (
            "{cidr: 010.0.0.0/8}",
            "10.0.0.0/8",
            &["has leading zeros and is read as decimal; write 10.0.0.0/8"],
        ),
        (
            "{cidr: \"::ffff:10.0.0.0/104\"}",
            "10.0.0.0/8",
            &["is a v4-mapped range and is read as IPv4"],
        ),
        (
            "{cidr: 10.0.0.0/8, except: [11.0.0.0/8]}",
            "10.0.0.0/8 except 11.0.0.0/8",
            &["11.0.0.0/8 is no part of 10.0.0.0/8"],
        ),
        (
            "{cidr: 10.0.0.0/8, except: [10.0.0.0/8]}",
            "10.0.0.0/8 except 10.0.0.0/8",
            &["is no part of"],
        ),
        (
            "{cidr: 10.0.0.0/8, except: [10.1.2.3/16]}",
            "10.0.0.0/8 except 10.1.0.0/16",
            &["except[0]: \"10.1.2.3/16\" has host bits"],
        ),
    ] {
        let (read, found) = peer(&format!("{{ipBlock: {block}}}"));
        let PeerSpec::Block(read) = read else {
            panic!("{block} is read as {read:?}");
        };
        assert_eq!(read.to_string(), wanted, "{block}");
        check_found(&found, words);
        assert!(
            found.iter().all(|one| one.starts_with("warning: ")),
            "{found:?}"
        );
    }
}

#[test]
fn s41_a_range_or_exception_that_cannot_be_read_breaks_its_peer() {
    for (block, place) in [
        ("{}", "ipBlock.cidr: no range is named"),
        ("{cidr: null}", "ipBlock.cidr: no range is named"),
        (
            "{cidr: 10.0.0.1}",
            "ipBlock.cidr: \"10.0.0.1\" is no CIDR; write ADDRESS/PREFIX",
        ),
        ("{cidr: 10}", "ipBlock.cidr: the number 10 is no text"),
        (
            "{cidr: 10.0.0.0/8, except: [ten]}",
            "ipBlock.except[0]: \"ten\" is no CIDR",
        ),
        (
            "{cidr: 10.0.0.0/8, except: [null]}",
            "ipBlock.except[0]: no range is named",
        ),
        (
            "{cidr: 10.0.0.0/8, except: 10.1.0.0/16}",
            "ipBlock.except: \"10.1.0.0/16\" is no list",
        ),
        (
            "{cidr: 10.0.0.0/8, excepts: [10.1.0.0/16]}",
            "ipBlock.excepts: unknown field",
        ),
        ("[]", "ipBlock: a list is no mapping"),
    ] {
        let (read, found) = peer(&format!("{{ipBlock: {block}}}"));
        assert_eq!(read, PeerSpec::Broken, "{block}");
        check_found(&found, &[place]);
    }
}

#[test]
fn s49_to_s57_ports() {
    for (text, wanted) in [
        ("{port: 80}", (Protocol::Tcp, 80, 80)),
        ("{port: 53, protocol: null}", (Protocol::Tcp, 53, 53)),
        ("{port: 53, protocol: UDP}", (Protocol::Udp, 53, 53)),
        ("{protocol: SCTP}", (Protocol::Sctp, 0, 65535)),
        ("{}", (Protocol::Tcp, 0, 65535)),
        ("{port: 80, endPort: 80}", (Protocol::Tcp, 80, 80)),
        ("{port: 1, endPort: 65535}", (Protocol::Tcp, 1, 65535)),
    ] {
        assert_eq!(range(text), wanted, "{text}");
    }
    let named = PortSpec::Named {
        protocol: Protocol::Udp,
        name: "dns-udp".into(),
    };
    assert_eq!(port("{port: dns-udp, protocol: UDP}"), (named, vec![]));
}

#[test]
fn s50_s51_and_s57_a_port_that_cannot_be_read_matches_nothing() {
    for (text, words) in [
        ("{port: 0}", "port: the number 0 is no port number"),
        ("{port: 65536}", "the number 65536 is no port number"),
        ("{port: -1}", "the number -1 is no port number"),
        ("{port: 80.5}", "the number 80.5 is no port number"),
        ("{port: true}", "the truth value true is no port number"),
        ("{port: [80]}", "a list is no port number"),
        (
            "{port: \"80\"}",
            "\"80\" is no port name; write 80 without quotes",
        ),
        ("{port: HTTP}", "\"HTTP\" is no port name"),
        ("{port: a-name-too-long-}", "is no port name"),
        ("{port: \"\"}", "\"\" is no port name"),
        (
            "{protocol: tcp}",
            "protocol: \"tcp\" is no protocol of NetworkPolicy; write TCP, UDP or SCTP",
        ),
        ("{protocol: ICMP}", "\"ICMP\" is no protocol"),
        ("{protocol: 6}", "the number 6 is no text"),
        (
            "{endPort: 90}",
            "endPort: endPort without port matches nothing",
        ),
        ("{port: 80, endPort: 79}", "endPort: 79 is below port 80"),
        ("{port: 80, endPort: \"90\"}", "\"90\" is no port number"),
        (
            "{port: http, endPort: 90}",
            "endPort beside a named port matches nothing",
        ),
        (
            "{prot: UDP, port: 53}",
            "unknown field, so this port cannot be understood",
        ),
        ("null", "an empty item is no port"),
        ("80", "the number 80 is no mapping"),
    ] {
        let (read, found) = port(text);
        assert_eq!(read, PortSpec::Broken, "{text}");
        check_found(&found, &[words]);
        assert!(
            found[0].starts_with("error: NetworkPolicy shop/p: spec.ingress[0].ports[0]"),
            "{found:?}"
        );
    }
}
