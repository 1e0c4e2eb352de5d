//! What a change takes for a flow that came in, and what it leaves alone.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use podwall_lab::{Place, Signal, skipped};
use socket2::{Domain, Socket, Type};

use super::stage::{
    CUT, DATAGRAMS, FRIENDS_ONLY, REFUSED, Stage, becomes_ready, clients, entries, launch, line,
};
use crate::datagrams;
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, App, Pair, both, patient};

#[test]
fn p28_a_connection_is_cut_though_its_listener_is_gone() {
    let mut stage = Stage::set(CART_ONLY);
    let once = App::listen(&stage.scene.web, ONCE);
    let to = both(&stage.scene.web, ONCE);
    let pairs: Vec<Pair> = to.map(|to| Pair::open(&stage.scene.cart, to, &once)).into();
    drop(once);
    stage.cuts_all_but_friends(pairs);
}

/// The port of an application that listens for one client.
const ONCE: u16 = 7100;

#[test]
fn s06_the_pods_own_connection_goes_on_though_loopback_listens_on_its_port() {
    let mut stage = Stage::set(CART_ONLY);
    let app = App::listen(&stage.scene.cart, APP);
    let mut pairs = Vec::new();
    let mut listeners = Vec::new();
    for to in both(&stage.scene.cart, APP) {
        let (client, listener) = stage.scene.web.place().enter(|| outward(to)).unwrap();
        listeners.push(listener);
        let peer = app.accept();
        pairs.push(Pair { client, app: peer });
    }
    let cut = stage.open(&stage.scene.cart);
    stage.cuts_all_but_friends(cut);
    pairs.iter_mut().for_each(Pair::greet);
}

/// A connection to `to` from a port on which loopback listens already.
fn outward(to: SocketAddr) -> (TcpStream, TcpListener) {
    let (loopback, any): (IpAddr, IpAddr) = match to {
        SocketAddr::V4(_) => ([127, 0, 0, 1].into(), [0; 4].into()),
        SocketAddr::V6(_) => ([0, 0, 0, 0, 0, 0, 0, 1].into(), [0_u16; 8].into()),
    };
    let socket = |at: SocketAddr| {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&at.into()).unwrap();
        socket
    };
    let connecting = socket((any, 0).into());
    let port = connecting.local_addr().unwrap().as_socket().unwrap().port();
    connecting.connect_timeout(&to.into(), SOON).unwrap();
    let listening = socket((loopback, port).into());
    listening.listen(1).unwrap();
    (connecting.into(), listening.into())
}

#[test]
fn a_port_that_is_left_to_everybody_stays_so_through_changes_and_restarts() {
    let unguarded = format!("{DATAGRAMS}/UDP");
    let shared = ["--unguarded-port", unguarded.as_str()];
    let mut stage = Stage::set_with(FRIENDS_ONLY, &shared, &[]);
    let streams = stage.streams(&stage.scene.rogue, true);
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", CART_ONLY));
    stage
        .scene
        .change(|lab| lab.relabel("shop", "rogue", &[("app", "other")]));
    streams.iter().for_each(|stream| stage.comes_in(stream));
    let process = stage.scene.sidecar().process();
    process.signal(Signal::KILL).unwrap();
    process.wait(SOON).unwrap();
    streams.iter().for_each(|stream| stage.comes_in(stream));
    launch(&mut stage.scene, &shared, &[]);
    becomes_ready(&stage.scene);
    stage
        .scene
        .change(|lab| lab.relabel("shop", "rogue", &[("app", "another")]));
    streams.iter().for_each(|stream| stage.comes_in(stream));
    assert!(marked(&stage.scene.web).is_empty());
}

/// The sources of the entries that are marked refused.
fn marked(place: &Place) -> Vec<SocketAddr> {
    let refused = entries(place, |entry| entry.mark & REFUSED != 0);
    refused.iter().map(|entry| entry.tuple.source).collect()
}

#[test]
fn p37_what_was_refused_comes_in_again_where_established_connections_are_kept() {
    let mut stage = Stage::set(CART_ONLY);
    let streams: Vec<datagrams::Client> = stage.streams(&stage.scene.cart, true);
    let friend = stage.streams(&stage.friend, true);
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", FRIENDS_ONLY));
    let refused = || marked(&stage.scene.web).len() == streams.len();
    assert!(podwall_lab::wait_until(SOON, refused));
    stage.stay_out(&streams, &friend[0]);
    let process = stage.scene.sidecar().process();
    process.signal(Signal::KILL).unwrap();
    process.wait(SOON).unwrap();
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "cart-only", CART_ONLY).unwrap();
    launch(&mut stage.scene, &[], &["--keep-established"]);
    becomes_ready(&stage.scene);
    streams
        .iter()
        .for_each(|stream| stage.comes_in_again(stream));
}

/// A socket of Multipath TCP, which servers in Go listen with unless told otherwise.
fn multipath(at: SocketAddr) -> std::io::Result<Socket> {
    const MPTCP: i32 = 262;
    Socket::new(Domain::for_address(at), Type::STREAM, Some(MPTCP.into()))
}

/// A connection over each family to a listener of Multipath TCP.
fn to_multipath(stage: &Stage, port: u16, client_is_multipath: bool) -> Vec<Pair> {
    let open = |to: SocketAddr| {
        let listen = || {
            let socket = multipath(to)?;
            socket.bind(&to.into())?;
            socket.listen(8)?;
            std::io::Result::Ok(socket)
        };
        let listener = stage.scene.web.enter(listen).unwrap().expect("a listener");
        let connect = || {
            let socket = match client_is_multipath {
                true => multipath(to)?,
                false => Socket::new(Domain::for_address(to), Type::STREAM, None)?,
            };
            socket.connect_timeout(&to.into(), SOON)?;
            std::io::Result::Ok(socket)
        };
        let client = stage.scene.cart.enter(connect).unwrap().expect("let in");
        let app = listener.accept().unwrap().0;
        let mut pair = Pair {
            client: patient(client.into()),
            app: patient(app.into()),
        };
        pair.greet();
        pair
    };
    both(&stage.scene.web, port).map(open).into()
}

/// A client of plain TCP is cut like every other. Where both ends speak Multipath TCP, of which the kernel destroys only the
/// path, no byte gets through any more.
#[test]
fn p28_a_connection_of_a_multipath_listener_is_cut() {
    let kernel = multipath(([127, 0, 0, 1], 0).into()).err();
    let missing = kernel.map(|error| format!("no Multipath TCP: {error}"));
    if skipped("p28_a_connection_of_a_multipath_listener", missing) {
        return;
    }
    let mut stage = Stage::set(CART_ONLY);
    let plain = to_multipath(&stage, ONCE, false);
    let mut multipath = to_multipath(&stage, ONCE + 1, true);
    let mut friend = stage.open(&stage.friend);
    stage.cuts_all_but_friends(plain);
    for source in clients(&multipath) {
        let end = line(&stage.scene, "connection", source);
        assert_eq!(end["end"], "revoked", "{end}");
    }
    for Pair { client, app } in &mut multipath {
        let _lost_or_refused = client.write(b"more");
        friend.iter_mut().for_each(Pair::greet);
        app.set_read_timeout(Some(CUT)).unwrap();
        let heard = app.read(&mut [0; 8]).map_err(|error| error.kind());
        assert!(!matches!(heard, Ok(1..)), "{heard:?}");
    }
}
