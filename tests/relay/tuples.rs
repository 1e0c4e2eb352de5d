//! P1: all ports of the pod lead to one port of the relay, and yet a client may use one source port for several.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use podwall_lab::Place;
use socket2::{Domain, Socket, Type};

use crate::inside::tcp_counter;
use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{App, Ending, Pair, both, ending};

/// The client's one source port, outside of the kernel's own choice.
const SOURCE: u16 = 20_001;
/// The pod's two ports.
const PORTS: [u16; 2] = [7000, 7001];
const ROUNDS: usize = 5;

fn from_the_port(place: &Place, to: SocketAddr) -> TcpStream {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let connect = || -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(any, SOURCE).into())?;
        socket.connect_timeout(&to.into(), SOON)?;
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(SOON))?;
        Ok(socket.into())
    };
    let stream = place.enter(connect).unwrap();
    stream.unwrap_or_else(|error| panic!("from port {SOURCE} to {to}: {error}"))
}

fn open(place: &Place, to: SocketAddr, app: &App) -> Pair {
    let client = from_the_port(place, to);
    let mut pair = Pair {
        client,
        app: app.accept(),
    };
    pair.greet();
    pair
}

/// Repeated SYNs are counted by the kernel at their sender: the client, and the relay towards the application.
fn repeated_syns(scene: &Scene) -> [u64; 2] {
    [&scene.cart, &scene.web].map(|pod| tcp_counter(pod, "TCPSynRetrans"))
}

#[test]
fn p01_one_source_port_to_two_ports_of_the_pod_one_after_the_other() {
    let scene = Scene::guarded(CART_ONLY);
    let apps = PORTS.map(|port| App::listen(&scene.web, port));
    let before = repeated_syns(&scene);
    for family in 0..2 {
        for round in 0..ROUNDS {
            let at = round % 2;
            let to = PORTS.map(|port| both(&scene.web, port)[family]);
            let Pair { mut client, app } = open(&scene.cart, to[at], &apps[at]);
            // The server closes first, so the relay's side of the client's port waits out TIME_WAIT.
            drop(app);
            assert_eq!(ending(&mut client), Ending::End);
            drop(client);
            let next = open(&scene.cart, to[1 - at], &apps[1 - at]);
            drop(next.app);
            let mut client = next.client;
            assert_eq!(ending(&mut client), Ending::End);
        }
    }
    assert_eq!(repeated_syns(&scene), before, "a handshake stalled");
}

#[test]
fn p01_one_source_port_to_two_ports_of_the_pod_at_a_time() {
    let scene = Scene::guarded(CART_ONLY);
    let apps = PORTS.map(|port| App::listen(&scene.web, port));
    let before = repeated_syns(&scene);
    for family in 0..2 {
        let to = PORTS.map(|port| both(&scene.web, port)[family]);
        let mut first = open(&scene.cart, to[0], &apps[0]);
        let mut second = open(&scene.cart, to[1], &apps[1]);
        first.greet();
        second.greet();
        drop(first);
        second.greet();
        let log = scene.sidecar().log().len();
        drop(second);
        // Each is told with the port that it asked for, however the kernel spelled the source.
        scene.line(log, &scene.cart, PORTS[1]);
    }
    assert_eq!(repeated_syns(&scene), before, "a handshake stalled");
}
