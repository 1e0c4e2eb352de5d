//! P28, S82: what is open when the verdict turns. A connection ends at both ends, a flow of datagrams stops, and those of
//! others go on.

#![allow(clippy::print_stdout)]

use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use podwall_lab::Mode;
use serde_json::Value;

use super::alive::only_b;
use super::table::{BOTH, Change, Family, Step, policies};
use super::town::Town;
use crate::support::SOON;
use crate::talk::{App, Pair};

/// What is sent until it comes in, more than once.
const AGAIN: &[u8] = b"again";

/// Where the test's own application listens in x/a.
const TCP: u16 = 7000;

/// Lets x/b and x/c into x/a, on every port.
fn b_and_c() -> Step {
    policies(&[(
        "x",
        "b-and-c",
        "{ podSelector: { matchLabels: { pod: a } }, policyTypes: [Ingress], ingress: [{ from: [{ podSelector: \
         { matchExpressions: [{ key: pod, operator: In, values: [b, c] }] } }] }] }",
    )])
}

fn open(town: &Town, from: &str, family: Family, app: &App) -> Pair {
    let to = SocketAddr::new(town.get("x/a").address(family), TCP);
    let pair = Pair::open(&town.get(from).pod, to, app);
    // P18: whom the application sees.
    let (client, own) = (pair.client.local_addr().unwrap(), to.ip());
    let seen = pair.app.peer_addr().unwrap();
    match town.mode.unwrap() {
        Mode::Queue => assert_eq!(
            (seen.ip().to_canonical(), seen.port()),
            (client.ip(), client.port())
        ),
        Mode::Redirect => assert_eq!(seen.ip().to_canonical(), own),
    }
    pair
}

pub fn connections_are_cut(town: &mut Town) {
    let app = App::listen(&town.get("x/a").pod, TCP);
    for family in BOTH {
        town.begin(&b_and_c().changes);
        let mut kept = open(town, "x/b", family, &app);
        let mut cut = open(town, "x/c", family, &app);
        let began = Instant::now();
        town.change(&only_b().changes);
        is_cut(&mut cut.client, "client", family);
        is_cut(&mut cut.app, "application", family);
        println!("cut over {family:?} after {:.1?}", began.elapsed());
        kept.greet();
    }
    // The label of the peer, and not the policy.
    town.begin(&b_and_c().changes);
    let mut pair = open(town, "x/c", Family::V4, &app);
    town.change(&[Change::Pod("x/c", &[("pod", "other")])]);
    is_cut(&mut pair.client, "client, relabelled,", Family::V4);
}

fn is_cut(end: &mut TcpStream, whose: &str, family: Family) {
    let heard = end.read(&mut [0; 1]);
    let kind = heard.map_err(|error| error.kind());
    let cut = [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted];
    assert!(
        kind.is_err_and(|kind| cut.contains(&kind)),
        "{whose} over {family:?}: {kind:?}"
    );
}

/// UDP, also while the application goes on sending. That a datagram was dropped shows in that one sent after it, by
/// somebody who may, comes first.
pub fn datagrams_stop(town: &mut Town) {
    // One that the town's own servers have not: they have those of the same number over TCP and UDP.
    let port = super::town::SPARE;
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let app = town.get("x/a").pod.enter(|| UdpSocket::bind(any));
    let app = app.unwrap().unwrap();
    app.set_read_timeout(Some(SOON)).unwrap();
    for family in BOTH {
        town.begin(&b_and_c().changes);
        let to = SocketAddr::new(town.get("x/a").address(family), port);
        let [friend, turned] = ["x/b", "x/c"].map(|from| {
            let own = SocketAddr::new(town.get(from).address(family), 0);
            let socket = town.get(from).pod.enter(|| UdpSocket::bind(own));
            let socket = socket.unwrap().unwrap();
            socket.connect(to).unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket
        });
        let friends_end = said(&friend, &app, b"friend");
        let turned_end = said(&turned, &app, b"turned");
        for (socket, end) in [(&friend, friends_end), (&turned, turned_end)] {
            app.send_to(b"answer", end).unwrap();
            assert_eq!(socket.recv(&mut [0; 16]).unwrap(), 6, "{family:?}");
        }
        let skip = town.get("x/a").sidecar().log().len();
        town.change(&only_b().changes);
        // The flow is looked for and cut within a second; podwall says when that is done.
        let own = turned.local_addr().unwrap();
        let told = |line: &Value| line["kind"] == "revocation" && line["source_port"] == own.port();
        let guard = town.get("x/a").sidecar();
        guard.wait_log(skip, told, SOON).expect("a revocation");
        for _ in 0..3 {
            let _ = app.send_to(b"still here", turned_end);
            let _ = turned.send(b"turned");
            said(&friend, &app, b"friend");
        }
        // The same flow comes in again when the law turns back.
        let began = Instant::now();
        town.change(&b_and_c().changes);
        app.set_nonblocking(true).unwrap();
        let comes_in = podwall_lab::wait_until(SOON, || {
            turned.send(AGAIN).unwrap();
            app.recv_from(&mut [0; 16]).is_ok()
        });
        assert!(comes_in, "{family:?}");
        println!("back over {family:?} after {:.1?}", began.elapsed());
        app.set_nonblocking(false).unwrap();
    }
}

/// Sends a datagram, which must be the next that the application gets, but for those of [`AGAIN`] that were under way; gives
/// its sender as the application sees it.
fn said(from: &UdpSocket, app: &UdpSocket, words: &[u8]) -> SocketAddr {
    from.send(words).unwrap();
    let mut heard = [0; 16];
    loop {
        let (length, sender) = app.recv_from(&mut heard).expect("a datagram");
        if &heard[..length] != AGAIN {
            assert_eq!(&heard[..length], words);
            return sender;
        }
    }
}
