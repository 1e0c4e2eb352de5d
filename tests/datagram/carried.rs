//! What is let in is carried whole, both ways, and the answer comes from where the client has asked.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use podwall_lab::{Pod, PodSpec, Signal};

use super::stage::{App, Client, DNS, MDNS, both, guarded, guarded_with, line, metric, start};
use crate::hairpin;
use crate::inside::run;
use crate::support::{CART_ONLY, SOON, Scene, podwall};

/// The address of a pod in the family of `to`.
fn own(pod: &Pod, to: SocketAddr) -> IpAddr {
    match to {
        SocketAddr::V4(_) => pod.v4().into(),
        SocketAddr::V6(_) => pod.v6().into(),
    }
}

#[test]
fn p02_each_port_and_family_reaches_its_application_and_the_answer_comes_back() {
    let scene = guarded_with(CART_ONLY, &["--drain-timeout", "1s"]);
    let mut clients = Vec::new();
    for port in [DNS, MDNS] {
        let app = App::listen(&scene.web, port);
        for to in both(&scene.web, port) {
            let client = Client::new(&scene.cart, to);
            client.say(b"a question");
            let (words, from) = app.hear();
            assert_eq!(words, b"a question");
            // P15, P33: the pod's own address of that family, never loopback.
            assert_eq!(from.ip(), to.ip());
            app.answer(b"the answer", from);
            // A connected socket takes nothing from any other address or port.
            assert_eq!(client.hear(), b"the answer", "{to}");
            clients.push((client, to));
        }
    }
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 4.0);
    scene.sidecar().process().signal(Signal::TERM).unwrap();
    scene.sidecar().process().wait(SOON).unwrap();
    for (client, to) in &clients {
        let line = line(&scene, "connection", client.address());
        let said = [
            ("mode", "redirect".into()),
            ("peer", "shop/cart".into()),
            ("destination", to.ip().to_string().into()),
            ("destination_port", to.port().into()),
            ("verdict", "allow".into()),
            ("reason", "rule".into()),
            ("policy", "shop/cart-only".into()),
            ("bytes_in", 10.into()),
            ("bytes_out", 10.into()),
            ("end", "stopped".into()),
        ];
        for (field, wanted) in said {
            let wanted: serde_json::Value = wanted;
            assert_eq!(line[field], wanted, "{field} of {line}");
        }
    }
}

/// One client port towards two ports and both families of the pod: four sessions, and no answer goes astray (P1).
#[test]
fn p01_one_source_port_towards_two_ports() {
    let scene = guarded(CART_ONLY);
    let _apps = [DNS, MDNS].map(|port| App::listen(&scene.web, port).echo());
    let mut clients = Vec::new();
    let unbound = scene.cart.place().enter(|| {
        for port in [DNS, MDNS] {
            for to in both(&scene.web, port) {
                let socket = socket2::Socket::new(
                    socket2::Domain::for_address(to),
                    socket2::Type::DGRAM,
                    None,
                );
                let socket = socket.unwrap();
                socket.set_reuse_address(true).unwrap();
                let source = SocketAddr::new(own(&scene.cart, to), 4000);
                socket.bind(&source.into()).unwrap();
                socket.connect(&to.into()).unwrap();
                socket.set_read_timeout(Some(SOON)).unwrap();
                clients.push(Client(socket.into()));
            }
        }
    });
    unbound.unwrap();
    for (number, client) in clients.iter().enumerate() {
        client.ask(format!("number {number}").as_bytes());
    }
    for client in &clients {
        assert!(client.has_heard_nothing());
    }
}

#[test]
fn the_largest_datagrams_are_carried_whole() {
    let scene = guarded(CART_ONLY);
    let _app = App::listen(&scene.web, DNS).echo();
    for (to, largest) in both(&scene.web, DNS).into_iter().zip([65_507, 65_527]) {
        let client = Client::new(&scene.cart, to);
        let words: Vec<u8> = (0..largest).map(|at: u32| (at / 7) as u8).collect();
        client.ask(&words);
        client.ask(b"");
        client.ask(b"a small one");
    }
}

/// The pod has two addresses of each family on its interface, and an application of its own on each: every client is
/// carried to the address that it asked, and answered from there.
#[test]
fn p02_each_address_of_a_pod_that_has_several_is_reached_and_answers_for_itself() {
    let mut scene = Scene::bare(CART_ONLY);
    let more: [IpAddr; 2] = [
        "10.210.7.7".parse().unwrap(),
        "fd10:210::77".parse().unwrap(),
    ];
    let several = PodSpec::new("shop", "several").label("app", "web");
    let several = more.iter().fold(several, |spec, one| spec.also(*one));
    scene.web = scene.lab.pod(several).unwrap();
    start(&mut scene, &podwall(), &["--drain-timeout", "1s"]);
    let second = more.map(|address| SocketAddr::new(address, DNS));
    let all: Vec<SocketAddr> = both(&scene.web, DNS).into_iter().chain(second).collect();
    let apps: Vec<App> = all
        .iter()
        .map(|to| App::listen_at(&scene.web, *to))
        .collect();
    let mut clients = Vec::new();
    for (to, app) in all.iter().zip(&apps) {
        let client = Client::new(&scene.cart, *to);
        client.say(b"a question");
        let (_, from) = app.hear();
        assert_eq!(from.ip(), to.ip());
        app.answer_in_kind(b"the answer", from);
        assert_eq!(client.hear(), b"the answer", "{to}");
        clients.push(client);
    }
    assert!(apps.iter().all(App::has_heard_nothing));
    scene.sidecar().process().signal(Signal::TERM).unwrap();
    scene.sidecar().process().wait(SOON).unwrap();
    for (client, to) in clients.iter().zip(&all) {
        let line = line(&scene, "connection", client.address());
        assert_eq!(line["destination"], to.ip().to_string(), "{line}");
    }
}

/// A pod that calls itself through somebody who rewrites both addresses, as a node does for its Services.
#[test]
fn s68_a_pod_that_comes_back_to_itself_by_its_node_is_let_in() {
    let scene = guarded(CART_ONLY);
    let _app = App::listen(&scene.web, DNS).echo();
    for service in hairpin::service(&scene, "udp", DNS) {
        Client::new(&scene.web, service).ask(b"to myself");
    }
}

/// Loopback and the pod's own addresses from inside never meet podwall.
#[test]
fn s68_the_pods_own_datagrams_to_itself_pass() {
    let scene = guarded(CART_ONLY);
    let _app = App::listen(&scene.web, DNS).echo();
    let loopback = ["127.0.0.1:53", "[::1]:53"].map(|one| one.parse().unwrap());
    for to in both(&scene.web, DNS).into_iter().chain(loopback) {
        Client::new(&scene.web, to).ask(b"inside");
    }
    assert!(scene.sidecar().log().is_empty());
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 0.0);
}

/// The kernel keeps the pair of ports for the session's answers: what the application itself sends between the same two
/// leaves from another port, as the honest limits say. Towards another port of that very client it does not.
#[test]
fn the_pods_own_datagram_between_the_ends_of_a_session_leaves_from_another_port() {
    let scene = guarded(CART_ONLY);
    let app = App::listen(&scene.web, DNS);
    for to in both(&scene.web, DNS) {
        let [in_session, other] = [4000, 4001].map(|port| {
            let at = SocketAddr::new(own(&scene.cart, to), port);
            let socket = scene.cart.place().enter(|| UdpSocket::bind(at).unwrap());
            let socket = socket.unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket
        });
        let hear = |socket: &UdpSocket| {
            let mut buffer = [0; 64];
            let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
            assert_eq!(from.ip(), to.ip());
            (buffer[..length].to_vec(), from.port())
        };
        in_session.send_to(b"a question", to).unwrap();
        let (_, leg) = app.hear();
        app.answer(b"the answer", leg);
        assert_eq!(hear(&in_session), (b"the answer".to_vec(), DNS));
        for client in [&in_session, &other] {
            app.answer(b"of my own", client.local_addr().unwrap());
        }
        let (words, port) = hear(&in_session);
        assert_eq!(words, b"of my own");
        assert_ne!(port, DNS, "towards {to}");
        assert_eq!(hear(&other), (b"of my own".to_vec(), DNS), "{to}");
        // The session goes on.
        app.answer(b"once more", leg);
        assert_eq!(hear(&in_session), (b"once more".to_vec(), DNS));
    }
}

#[test]
fn p20_a_pod_without_ipv6_is_served_over_ipv4() {
    let mut scene = Scene::bare(CART_ONLY);
    let spec = PodSpec::new("shop", "old").label("app", "web").v4_only();
    scene.web = scene.lab.pod(spec).unwrap();
    let off = "net/ipv6/conf/all/disable_ipv6";
    scene.web.place().sysctl(off, "1").unwrap();
    start(&mut scene, &podwall(), &[]);
    let at = (scene.web.v4(), DNS).into();
    let app = App::listen_at(&scene.web, at);
    let client = Client::new(&scene.cart, at);
    client.say(b"a question");
    let (_, from) = app.hear();
    assert_eq!(from.ip(), at.ip());
    app.answer_in_kind(b"the answer", from);
    assert_eq!(client.hear(), b"the answer");
}

/// A link-local address means nothing without its interface, on both legs.
#[test]
fn a_link_local_client_is_answered_from_the_link_local_address() {
    let scene = guarded("");
    let _app = App::listen(&scene.web, DNS).echo();
    let own = run(&scene.web, "ip -6 -o addr show dev eth0 scope link");
    let own = own
        .split_whitespace()
        .find_map(|word| word.strip_suffix("/64"));
    let own: Ipv6Addr = own.expect("a link-local address").parse().unwrap();
    let interface = run(&scene.cart, "ip -o link show dev eth0");
    let interface: u32 = interface.split(':').next().unwrap().parse().unwrap();
    let to = SocketAddrV6::new(own, DNS, 0, interface).into();
    Client::new(&scene.cart, to).ask(b"on this link");
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 1.0);
}
