//! TCP sockets: listed, found, destroyed, and never another one instead.

use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use podwall_lab::wait_until;
use podwall_policy::flow::Protocol;
use podwall_proxy::kernel::{CanDestroy, Found, Listeners, Sockets, TcpSocket, TcpState, Tuple};
use socket2::{Domain, SockRef, Socket, Type};

use super::scene::{PORT, Pair, Scene, reversed, run, without_capabilities};
use crate::support::SOON;

/// Runs `work` with the sockets of `web`.
fn at_web<T: Send>(scene: &Scene, work: impl FnOnce(&mut Sockets) -> T + Send) -> T {
    let visit = || work(&mut Sockets::open().unwrap());
    scene.web.enter(visit).unwrap()
}

fn find(scene: &Scene, tuple: &Tuple) -> Option<TcpSocket> {
    at_web(scene, |sockets| sockets.find(tuple).unwrap())
}

fn connected(scene: &Scene) -> Vec<TcpSocket> {
    let mut all = Vec::new();
    at_web(scene, |sockets| {
        sockets.connected(&mut |socket| all.push(socket)).unwrap();
    });
    all
}

fn destroy(scene: &Scene, socket: &TcpSocket) -> Found {
    at_web(scene, |sockets| sockets.destroy(socket).unwrap())
}

fn said(end: &mut TcpStream) -> io::ErrorKind {
    end.read(&mut [0; 8]).expect_err("it lives").kind()
}

/// Destroys the server's end and holds what both ends then see.
fn is_cut(scene: &Scene, pair: &mut Pair, socket: &TcpSocket) {
    let tuple = pair.tuple();
    assert_eq!(destroy(scene, socket), Found::Yes);
    assert_eq!(said(&mut pair.server), io::ErrorKind::ConnectionAborted);
    assert_eq!(said(&mut pair.client), io::ErrorKind::ConnectionReset);
    assert_eq!(find(scene, &tuple), None);
    assert_eq!(destroy(scene, socket), Found::Gone);
}

/// A listener in `web` at this address alone.
fn listen_at(scene: &Scene, address: IpAddr) -> TcpListener {
    let listen = || TcpListener::bind((address, 0)).unwrap();
    scene.web.enter(listen).unwrap()
}

#[test]
fn a_connection_is_found_listed_and_cut() {
    let scene = Scene::set(false);
    let both = scene.listen(PORT);
    for address in scene.addresses() {
        // A socket of both families, where IPv4 is mapped, and one of this family alone.
        for listener in [&both, &listen_at(&scene, address)] {
            let mut pair = scene.connect(listener, address);
            let tuple = pair.tuple();
            let socket = find(&scene, &tuple).unwrap();
            assert_eq!(
                (socket.local, socket.remote, socket.state),
                (tuple.destination, tuple.source, TcpState::Established)
            );
            assert_eq!(connected(&scene), [socket]);
            pair.talk();
            is_cut(&scene, &mut pair, &socket);
            // Its listener goes on.
            scene.connect(listener, address).talk();
            assert!(wait_until(SOON, || connected(&scene).is_empty()));
        }
    }
}

#[test]
fn a_listener_survives_every_wish_to_destroy_what_is_not_there() {
    let scene = Scene::set(false);
    let listener = scene.listen(PORT);
    for address in scene.addresses() {
        let pair = scene.connect(&listener, address);
        let tuple = pair.tuple();
        let socket = find(&scene, &tuple).unwrap();
        SockRef::from(&pair.server)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(pair);
        assert_eq!(find(&scene, &tuple), None);
        assert_eq!(destroy(&scene, &socket), Found::Gone);
        // The same ends again are another socket.
        let again = scene.cart.enter(|| {
            let socket = Socket::new(Domain::for_address(tuple.source), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&tuple.source.into())?;
            socket.connect(&tuple.destination.into())?;
            io::Result::Ok(TcpStream::from(socket))
        });
        let client = again.unwrap().unwrap();
        let (server, _) = listener.accept().unwrap();
        assert_eq!(destroy(&scene, &socket), Found::Gone);
        Pair { client, server }.talk();
        scene.connect(&listener, address).talk();
    }
}

#[test]
fn only_a_connection_of_these_very_ends_is_found() {
    let scene = Scene::set(false);
    let listener = scene.listen(PORT);
    for address in scene.addresses() {
        let pair = scene.connect(&listener, address);
        let tuple = pair.tuple();
        let mut elsewhere = tuple;
        elsewhere.source.set_port(1);
        let mut nobody = tuple;
        nobody.destination.set_port(81);
        let udp = Tuple::new(Protocol::Udp, tuple.source, tuple.destination);
        for absent in [elsewhere, nobody, udp, reversed(&tuple)] {
            assert_eq!(find(&scene, &absent), None, "{absent:?}");
        }
    }
}

#[test]
fn p38_the_pods_own_connection_is_found_by_its_replies() {
    let scene = Scene::set(false);
    let listen = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
    let listener = scene.cart.enter(listen).unwrap();
    let at = SocketAddr::new(scene.cart.v4().into(), PORT);
    let out = scene.web.enter(|| TcpStream::connect(at).unwrap()).unwrap();
    let _in = listener.accept().unwrap();
    let reply = Tuple::new(Protocol::Tcp, at, out.local_addr().unwrap());
    let socket = find(&scene, &reply).unwrap();
    assert_eq!(socket.remote, at);
    let ports = at_web(&scene, |sockets| sockets.listeners().unwrap());
    assert!(!ports.may_accept(socket.local), "{ports:?}");
}

#[test]
fn a_socket_bound_to_an_interface_is_found_and_cut() {
    let scene = Scene::set(false);
    for address in scene.addresses() {
        let listener = scene.web.enter(|| {
            let socket = Socket::new(Domain::for_address((address, 0).into()), Type::STREAM, None)?;
            socket.bind_device(Some(b"eth0"))?;
            socket.bind(&SocketAddr::new(address, 0).into())?;
            socket.listen(8)?;
            io::Result::Ok(TcpListener::from(socket))
        });
        let listener = listener.unwrap().unwrap();
        let mut pair = scene.connect(&listener, address);
        let socket = find(&scene, &pair.tuple()).unwrap();
        is_cut(&scene, &mut pair, &socket);
        scene.connect(&listener, address).talk();
    }
}

#[test]
fn a_half_open_connection_is_listed_and_cut() {
    let scene = Scene::set(false);
    let _listener = scene.listen(PORT);
    // The last packet of the handshake never arrives.
    for iptables in ["iptables-nft", "ip6tables-nft"] {
        run(&scene.web, iptables, "-w 5 -I INPUT -p tcp ! --syn -j DROP");
    }
    for address in scene.addresses() {
        let at = SocketAddr::new(address, PORT);
        let client = scene.cart.enter(|| {
            let socket = Socket::new(Domain::for_address(at), Type::STREAM, None).unwrap();
            socket.connect_timeout(&at.into(), SOON).unwrap();
            TcpStream::from(socket)
        });
        let client = client.unwrap();
        let tuple = Tuple::new(Protocol::Tcp, client.local_addr().unwrap(), at);
        let socket = find(&scene, &tuple).unwrap();
        assert_eq!(socket.state, TcpState::SynReceived);
        assert_eq!(connected(&scene), [socket]);
        assert_eq!(destroy(&scene, &socket), Found::Yes);
        assert_eq!(find(&scene, &tuple), None);
        assert_eq!(connected(&scene), []);
    }
}

#[test]
fn what_waits_after_its_end_is_not_connected() {
    let scene = Scene::set(false);
    let listener = scene.listen(PORT);
    for address in scene.addresses() {
        let Pair { client, server } = scene.connect(&listener, address);
        let [source, destination] = [client.local_addr(), client.peer_addr()];
        let tuple = Tuple::new(Protocol::Tcp, source.unwrap(), destination.unwrap());
        // Who says goodbye first waits.
        drop(server);
        drop(client);
        let waits = || find(&scene, &tuple).is_some_and(|one| one.state == TcpState::TimeWait);
        assert!(wait_until(SOON, waits), "{:?}", find(&scene, &tuple));
        assert_eq!(connected(&scene), []);
    }
}

#[test]
fn ports_are_listed_whoever_listens() {
    let scene = Scene::set(false);
    let both = scene.listen(PORT);
    let [v4, v6] = scene.addresses().map(|at| listen_at(&scene, at));
    let local = listen_at(&scene, Ipv4Addr::LOCALHOST.into());
    let _pair = scene.connect(&both, scene.web.v4().into());
    let expected: Listeners = [&both, &v4, &v6, &local]
        .map(|one| one.local_addr().unwrap())
        .into_iter()
        .collect();
    let ports = at_web(&scene, |sockets| sockets.listeners().unwrap());
    assert_eq!(ports, expected);
    // A listener on loopback hears nobody who comes in.
    let elsewhere = |one: &TcpListener| {
        let port = one.local_addr().unwrap().port();
        ports.may_accept(SocketAddr::new(scene.web.v4().into(), port))
    };
    assert!(!elsewhere(&local) && elsewhere(&both));
    drop([both, v4, v6, local]);
    let ports = at_web(&scene, |sockets| sockets.listeners().unwrap());
    assert_eq!(ports, Listeners::default());
}

#[test]
fn whether_connections_can_be_cut_is_known_beforehand() {
    let scene = Scene::set(false);
    let listener = scene.listen(PORT);
    let can = at_web(&scene, |sockets| sockets.can_destroy().unwrap());
    assert_eq!(can, CanDestroy::Yes);
    let mut pair = scene.connect(&listener, scene.web.v6().into());
    let tuple = pair.tuple();
    without_capabilities(&scene.web, || {
        let mut sockets = Sockets::open().unwrap();
        assert_eq!(sockets.can_destroy().unwrap(), CanDestroy::NotAllowed);
        let socket = sockets.find(&tuple).unwrap().unwrap();
        let refused = sockets.destroy(&socket).map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::PermissionDenied));
    });
    pair.talk();
    let ports = at_web(&scene, |sockets| sockets.listeners().unwrap());
    let only: Listeners = [listener.local_addr().unwrap()].into_iter().collect();
    assert_eq!(ports, only, "what was tried on is gone");
}
