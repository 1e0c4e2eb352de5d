//! UDP in mode redirect where no flag names a port: what strangers send is dropped, since static rules do not know the
//! policy; what the pod itself asks for is answered (S6, S60). Ports that are named: `tests/datagram.rs`.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use podwall_lab::{Place, wait_until};

use crate::inside::run;
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::both;

const PORT: u16 = 53;

fn bind(place: &Place, to: IpAddr, port: u16) -> UdpSocket {
    let socket = place.enter(|| UdpSocket::bind((to, port)).unwrap());
    let socket = socket.unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

fn send(place: &Place, to: SocketAddr, text: &str) {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    let socket = bind(place, any, 0);
    socket.send_to(text.as_bytes(), to).unwrap();
}

fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    (text, from)
}

/// Datagrams dropped so far in a family.
fn dropped(scene: &Scene, v4: bool) -> u64 {
    let program = if v4 { "iptables" } else { "ip6tables" };
    let saved = run(&scene.web, &format!("{program}-nft-save -c"));
    let mut lines = saved.lines();
    let line = lines.find(|line| line.ends_with("-p udp -j DROP")).unwrap();
    let count = line.trim_start_matches('[').split(':').next().unwrap();
    count.parse().unwrap()
}

#[test]
fn s60_strangers_datagrams_are_dropped_and_the_nodes_arrive() {
    let scene = Scene::guarded(CART_ONLY);
    for to in both(&scene.web, PORT) {
        let service = bind(&scene.web, to.ip(), PORT);
        for (count, from) in [&scene.cart, &scene.rogue, &scene.stranger]
            .into_iter()
            .enumerate()
        {
            send(from, to, "stranger");
            let wanted = count as u64 + 1;
            let counted = wait_until(SOON, || dropped(&scene, to.is_ipv4()) == wanted);
            assert!(counted, "{} of {wanted}", dropped(&scene, to.is_ipv4()));
        }
        send(scene.lab.node(), to, "node");
        assert_eq!(receive(&service).0, "node", "{to}");
    }
    assert!(scene.sidecar().log().is_empty(), "nothing was redirected");
}

#[test]
fn s06_answers_to_the_pods_own_datagrams_come_in() {
    let scene = Scene::guarded(CART_ONLY);
    // As a resolver is asked, by a pod that policy would not let in.
    for (here, there) in both(&scene.web, 0)
        .into_iter()
        .zip(both(&scene.rogue, PORT))
    {
        let resolver = bind(&scene.rogue, there.ip(), PORT);
        let resolving = bind(&scene.web, here.ip(), 0);
        for question in ["web.shop?", "cart.shop?"] {
            resolving.send_to(question.as_bytes(), there).unwrap();
            let (heard, from) = receive(&resolver);
            assert_eq!(heard, question);
            resolver.send_to(b"an answer", from).unwrap();
            assert_eq!(receive(&resolving), ("an answer".to_owned(), there));
        }
        // The same resolver finds no other port of the pod open.
        let before = dropped(&scene, here.is_ipv4());
        let service = bind(&scene.web, here.ip(), PORT);
        let port = service.local_addr().unwrap();
        resolver.send_to(b"unasked", port).unwrap();
        let counted = || dropped(&scene, here.is_ipv4()) == before + 1;
        assert!(wait_until(SOON, counted));
        send(scene.lab.node(), port, "node");
        assert_eq!(receive(&service).0, "node");
    }
}
