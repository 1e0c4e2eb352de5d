#![allow(clippy::unwrap_used)]

use super::*;
use crate::kernel::wire::messages;

fn ends(source: &str, destination: &str) -> [SocketAddr; 2] {
    [source, destination].map(|end| end.parse().unwrap())
}

#[test]
fn what_is_written_is_read() {
    for [source, destination] in [
        ends("10.0.0.7:41000", "10.0.0.9:80"),
        ends("[fd00::7]:41000", "[fd00::9]:80"),
        ends("[fe80::7]:1", "[ff02::fb]:65535"),
    ] {
        for protocol in Protocol::ALL {
            let tuple = Tuple::new(protocol, source, destination);
            let mut request = Request::new(0x0101, 0, &[]);
            tuple.write(&mut request, 1);
            let bytes = request.numbered(0);
            let message = messages(&bytes).next().unwrap().unwrap();
            let value = attribute(message.body, 1).unwrap();
            assert_eq!(Tuple::read(value), Some(tuple));
        }
    }
}

#[test]
fn s45_one_spelling_and_no_scope() {
    let [mapped, scoped] = ends("[::ffff:10.0.0.7]:1", "[fe80::9%3]:2");
    let tuple = Tuple::new(Protocol::Tcp, mapped, scoped);
    let [plain, unscoped] = ends("10.0.0.7:1", "[fe80::9]:2");
    assert_eq!((tuple.source, tuple.destination), (plain, unscoped));
}

#[test]
fn other_protocols_and_halves_are_no_flow() {
    let written = |number: u8, port: bool, address: &[u8]| {
        let mut request = Request::new(0, 0, &[]);
        request.nested(1, |tuple| {
            tuple.nested(IP, |ip| {
                ip.attribute(V4_SOURCE, &[10, 0, 0, 7]);
                ip.attribute(V4_DESTINATION, address);
            });
            tuple.nested(PROTO, |proto| {
                proto.attribute(NUMBER, &[number]);
                proto.attribute(SOURCE_PORT, &[0, 1]);
                if port {
                    proto.attribute(DESTINATION_PORT, &[0, 2]);
                }
            });
        });
        let bytes = request.numbered(0);
        let message = messages(&bytes).next().unwrap().unwrap();
        Tuple::read(attribute(message.body, 1).unwrap()).map(|tuple| tuple.protocol)
    };
    let whole = &[10, 0, 0, 9];
    assert_eq!(written(6, true, whole), Some(Protocol::Tcp));
    assert_eq!(written(17, true, whole), Some(Protocol::Udp));
    assert_eq!(written(132, true, whole), Some(Protocol::Sctp));
    // ICMP, ICMPv6, GRE, UDP-Lite.
    for number in [1, 58, 47, 136] {
        assert_eq!(written(number, true, whole), None, "{number}");
    }
    assert_eq!(written(6, false, whole), None);
    assert_eq!(written(6, true, &[10, 0, 0]), None);
    assert_eq!(written(6, true, &[]), None);
}
