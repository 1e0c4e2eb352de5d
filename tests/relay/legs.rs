//! The two legs of a connection: their socket options (P14), the application's view of its client and the local
//! ports that this costs (P15).

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use podwall_proxy::connection::DEAD_PEER;
use podwall_proxy::sys::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::{SockRef, Socket};

use crate::support::{CART_ONLY, Scene, Seen};
use crate::talk::{APP, App, Ending, Pair, both, ending, fate};

/// Another port of the application's.
const OTHER: u16 = 7001;

/// Copies of the TCP sockets of a process that have another end, with that end's address.
fn connected_sockets(pid: u32) -> Vec<(SocketAddr, Socket)> {
    let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let sockets = files.filter_map(|file| {
        let file = file.ok()?;
        let is_socket = fs::read_link(file.path()).ok()?;
        if !is_socket.to_string_lossy().starts_with("socket:") {
            return None;
        }
        let number = file.file_name().to_string_lossy().parse().ok()?;
        let copy: OwnedFd = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).unwrap();
        let peer = SockRef::from(&copy).peer_addr().ok()?.as_socket()?;
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Some((peer, copy.into()))
    });
    sockets.collect()
}

fn notices_a_dead_peer(leg: &str, socket: &Socket) {
    assert!(socket.keepalive().unwrap(), "{leg}");
    let keepalive = (
        socket.tcp_keepalive_time().unwrap(),
        socket.tcp_keepalive_interval().unwrap(),
    );
    assert_eq!(keepalive, (KEEPALIVE_IDLE, KEEPALIVE_INTERVAL), "{leg}");
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(DEAD_PEER), "{leg}");
    assert!(socket.tcp_nodelay().unwrap(), "{leg}");
    // Not the kernel's two hours and fifteen minutes.
    assert!(KEEPALIVE_IDLE + DEAD_PEER < Duration::from_secs(600));
}

#[test]
fn p14_both_legs_notice_a_dead_peer() {
    let scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    for to in both(&scene.web, APP) {
        let pair = Pair::open(&scene.cart, to, &app);
        let sockets = connected_sockets(scene.sidecar().process().pid());
        for (leg, peer) in [
            ("client", pair.client.local_addr().unwrap()),
            ("application", to),
        ] {
            let socket = sockets.iter().find(|(one, _)| *one == peer);
            let (_, socket) = socket.unwrap_or_else(|| panic!("no {leg} leg in {sockets:?}"));
            notices_a_dead_peer(leg, socket);
        }
    }
}

fn client_as_seen(pair: &Pair) -> IpAddr {
    pair.app.peer_addr().unwrap().ip().to_canonical()
}

/// An application that trusts 127.0.0.1 must not see strangers there.
#[test]
fn p15_the_application_sees_the_pods_own_address_and_never_loopback() {
    let scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    for to in both(&scene.web, APP) {
        let pair = Pair::open(&scene.cart, to, &app);
        assert_eq!(client_as_seen(&pair), to.ip());
        let asked = pair.app.local_addr().unwrap();
        let asked = SocketAddr::new(asked.ip().to_canonical(), asked.port());
        assert_eq!(asked, to, "what the client asked for");
    }
}

/// Opens until no local port is left, which must be after as many as there are.
fn exhaust(scene: &Scene, to: SocketAddr, app: &App, ports: usize) -> Vec<Pair> {
    let open = |_| Pair::open(&scene.cart, to, app);
    let pairs: Vec<Pair> = (0..ports).map(open).collect();
    let skip = scene.sidecar().log().len();
    assert_eq!(fate(&scene.cart, to), Ending::Reset, "one more to {to}");
    let line = scene.line(skip, &scene.cart, to.port());
    assert_eq!(line["end"], "no_local_port", "{line}");
    assert_eq!(line["verdict"], "allow", "{line}");
    pairs
}

/// Connections to one port compete for local ports; those to another port, and of the other family, do not.
#[test]
fn p15_without_a_local_port_newcomers_are_reset_and_others_go_on() {
    let scene = Scene::guarded(CART_ONLY);
    let apps = [APP, OTHER].map(|port| App::listen(&scene.web, port));
    let range = "net.ipv4.ip_local_port_range";
    scene.web.place().sysctl(range, "50000 50003").unwrap();
    let mut open = Vec::new();
    for (port, app) in [APP, OTHER].into_iter().zip(&apps) {
        for to in both(&scene.web, port) {
            open.extend(exhaust(&scene, to, app, 4));
        }
    }
    open.iter_mut().for_each(Pair::greet);
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page, "another port");
    let counted = scene.sidecar().metric("podwall_no_local_port_total");
    assert_eq!(counted.unwrap(), Some(4.0));
    // What ends by reset gives its port back at once.
    let Pair { client, mut app } = open.remove(0);
    SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    assert_eq!(ending(&mut app), Ending::Reset);
    let [to, _] = both(&scene.web, APP);
    Pair::open(&scene.cart, to, &apps[0]);
}
