//! S6, S61, S62: what comes in for other reasons than somebody calling: replies, pings and errors. And what does not
//! come in at all: UDP that nobody asked for.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use podwall_lab::{Place, Sidecar};
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{CART_ONLY, SOON, Scene, podwall};
use crate::talk::{APP, App, Pair, both};

fn guarded(policies: &str) -> Scene {
    let mut scene = Scene::bare(policies);
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &podwall(), &[]);
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
    scene
}

fn udp(place: &Place, port: u16) -> UdpSocket {
    let bind = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
    let socket = place.enter(bind).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

/// As a socket of both families spells it.
fn spelled(address: IpAddr, port: u16) -> SocketAddr {
    match address {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped(), port).into(),
        IpAddr::V6(_) => (address, port).into(),
    }
}

fn hear(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
    let text = String::from_utf8_lossy(&buffer[..length]);
    (text.into_owned(), from)
}

/// One ICMP echo and its reply.
fn ping(place: &Place, to: IpAddr) {
    use std::io::Read;
    place.sysctl("net.ipv4.ping_group_range", "0 0").unwrap();
    let (domain, protocol, request, reply) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8, 0),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128, 129),
    };
    let open = || Socket::new(domain, Type::DGRAM, Some(protocol)).unwrap();
    let mut socket = place.enter(open).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    // Type, code, and what the kernel fills in: checksum and identifier. Then a sequence number.
    let echo = [request, 0, 0, 0, 0, 0, 0, 1];
    socket
        .send_to(&echo, &SocketAddr::new(to, 0).into())
        .unwrap();
    let mut answer = [0; 64];
    let length = socket.read(&mut answer);
    let length = length.unwrap_or_else(|error| panic!("ping {to}: {error}"));
    assert_eq!((answer[0], length), (reply, echo.len()), "ping {to}");
}

#[test]
fn s06_replies_to_the_pods_own_connections_pass() {
    let nobody = CART_ONLY.replace("app: cart", "app: nobody");
    let scene = guarded(&nobody);
    let server = App::listen(&scene.rogue, APP);
    for to in both(&scene.rogue, APP) {
        let mut pair = Pair::open(&scene.web, to, &server);
        pair.greet();
        let seen = pair.app.peer_addr().unwrap().ip().to_canonical();
        assert!(scene.web.addresses().contains(&seen), "as itself: {seen}");
    }
    assert!(scene.sidecar().log().is_empty(), "nobody was judged");
}

#[test]
fn s06_datagrams_that_answer_the_pods_own_pass_and_no_others() {
    let scene = guarded("");
    let (client, server) = (udp(&scene.web, 0), udp(&scene.rogue, 53));
    let stranger = udp(&scene.rogue, 54);
    let port = client.local_addr().unwrap().port();
    for (web, rogue) in scene.web.addresses().iter().zip(scene.rogue.addresses()) {
        client.send_to(b"question", spelled(*rogue, 53)).unwrap();
        let (question, from) = hear(&server);
        assert_eq!(question, "question");
        // The same pod, the right port of the asker, but not who was asked.
        stranger.send_to(b"poison", spelled(*web, port)).unwrap();
        ping(&scene.rogue, *web);
        server.send_to(b"answer", from).unwrap();
        assert_eq!(hear(&client).0, "answer");
    }
}

#[test]
fn inbound_udp_is_dropped_isolated_or_not_except_the_nodes() {
    for policies in ["", CART_ONLY] {
        let scene = guarded(policies);
        let app = udp(&scene.web, 53);
        let (cart, node) = (udp(&scene.cart, 0), udp(scene.lab.node(), 0));
        for web in scene.web.addresses() {
            cart.send_to(b"cart", spelled(*web, 53)).unwrap();
            // A ping has gone the same way, so what was sent before it is through or lost.
            ping(&scene.cart, *web);
            node.send_to(b"node", spelled(*web, 53)).unwrap();
            assert_eq!(hear(&app).0, "node");
        }
    }
}

#[test]
fn s61_ping_passes_both_ways_whatever_the_policies() {
    let nobody = CART_ONLY.replace("app: cart", "app: nobody");
    let scene = guarded(&nobody);
    for client in [&scene.cart, &scene.rogue, &scene.stranger] {
        for (web, other) in scene.web.addresses().iter().zip(client.addresses()) {
            ping(client, *web);
            ping(&scene.web, *other);
        }
    }
}

/// The errors that answer the pod's own packets reach it: nobody listens there.
#[test]
fn s62_errors_that_belong_to_the_pods_own_packets_pass() {
    let nobody = CART_ONLY.replace("app: cart", "app: nobody");
    let scene = guarded(&nobody);
    for address in scene.rogue.addresses() {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let ask = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect((*address, 9))?;
            socket.send(b"anybody?")?;
            Ok(socket)
        };
        let socket = scene.web.enter(ask).unwrap().unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let error = socket.recv(&mut [0; 8]).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{address}");
    }
}
