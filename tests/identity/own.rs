//! S68: a pod's own traffic enters, and nobody else's that claims to be it. P18, S96: what address the application sees.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use podwall_lab::{Place, Pod, Sidecar, wait_until};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::support::{CART_ONLY, SOON, Scene, podwall};
use crate::talk::{APP, App, both, connect};

/// The application's UDP port.
const DATAGRAMS: u16 = 5300;

fn udp(place: &Place, at: SocketAddr) -> UdpSocket {
    let socket = place.enter(|| UdpSocket::bind(at)).unwrap();
    let socket = socket.unwrap_or_else(|error| panic!("bind {at}: {error}"));
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

fn any_port(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 0)
}

fn hear(socket: &UdpSocket) -> String {
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer).expect("a datagram");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// The pod's own addresses and loopback, as the pod itself may call them.
fn own(web: &Pod) -> [IpAddr; 4] {
    [
        web.v4().into(),
        web.v6().into(),
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
    ]
}

#[test]
fn s68_the_pods_own_traffic_enters_with_and_without_a_sidecar() {
    let nobody = CART_ONLY.replace("app: cart", "app: nobody");
    let mut scene = Scene::bare(&nobody);
    let app = App::listen(scene.web.place(), APP);
    let datagrams = udp(&scene.web, (Ipv6Addr::UNSPECIFIED, DATAGRAMS).into());
    let enters = |scene: &Scene, when: &str| {
        for address in own(&scene.web) {
            let client = connect(&scene.web, (address, APP).into());
            let client = client.unwrap_or_else(|error| panic!("{when}: {address}: {error}"));
            let seen = app.accept().peer_addr().unwrap();
            let from = client.local_addr().unwrap();
            assert_eq!(seen.ip().to_canonical(), from.ip(), "{when}");
            assert_eq!(seen.port(), from.port(), "nobody is in between");
            let unspecified: IpAddr = match address {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let sender = udp(&scene.web, any_port(unspecified));
            sender.send_to(b"own", (address, DATAGRAMS)).unwrap();
            assert_eq!(hear(&datagrams), "own", "{when}: {address}");
        }
    };
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    enters(&scene, "without a sidecar");
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    scene.sidecar = Some(sidecar);
    enters(&scene, "with a sidecar");
    assert_eq!(scene.sidecar().log(), Vec::<serde_json::Value>::new());
}

/// How many packets the rule for forged sources has met.
fn forged(web: &Place) -> u64 {
    let count = |program: &str| {
        let save = web.command(program).arg("-c").run(SOON).unwrap();
        let line = save
            .stdout
            .lines()
            .find(|line| line.ends_with("-A PODWALL_SPOOFED -j DROP"))?;
        let count = line.trim_start_matches('[').split(':').next()?;
        count.parse::<u64>().ok()
    };
    let found = |family: &str| {
        let saves = ["nft", "legacy"].map(|backend| count(&format!("{family}-{backend}-save")));
        let found = saves.into_iter().flatten().next();
        found.expect("the rule for forged sources")
    };
    found("iptables") + found("ip6tables")
}

/// Sends a connection attempt and a datagram from an address that is not the sender's.
fn forge(rogue: &Place, source: IpAddr, web: IpAddr) {
    let socket = |kind| -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(any_port(source)), kind, None)?;
        match source {
            IpAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
            IpAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
        }
        socket.set_nonblocking(true)?;
        socket.bind(&any_port(source).into())?;
        Ok(socket)
    };
    let send = || -> io::Result<()> {
        let stream = socket(Type::STREAM)?;
        let begun = stream.connect(&SocketAddr::new(web, APP).into());
        // The answer goes to the forged address.
        let begun = begun.map_err(|error| Errno::from_io_error(&error));
        assert_eq!(begun, Err(Some(Errno::INPROGRESS)), "from {source}");
        let target = SocketAddr::new(web, DATAGRAMS).into();
        socket(Type::DGRAM)?.send_to(b"forged", &target).map(drop)
    };
    rogue.enter(send).unwrap().expect("forged packets are sent");
}

/// The kernel's own filters for such sources are off in both pods, so it is podwall's rule that is seen at work.
#[test]
fn s68_a_forged_own_or_loopback_source_is_dropped() {
    // Nothing is isolated: what is dropped here is dropped for being forged.
    let mut scene = Scene::bare("");
    let app = App::listen(scene.web.place(), APP);
    let datagrams = udp(&scene.web, (Ipv6Addr::UNSPECIFIED, DATAGRAMS).into());
    for place in [scene.rogue.place(), scene.web.place()] {
        for name in ["route_localnet", "accept_local"] {
            place
                .sysctl(&format!("net.ipv4.conf.all.{name}"), "1")
                .unwrap();
        }
    }
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    scene.sidecar = Some(sidecar);
    let (v4, v6) = (IpAddr::from(scene.web.v4()), IpAddr::from(scene.web.v6()));
    for (source, web) in [(v4, v4), (v6, v6), (Ipv4Addr::LOCALHOST.into(), v4)] {
        let before = forged(&scene.web);
        forge(&scene.rogue, source, web);
        let met = || forged(&scene.web) >= before + 2;
        assert!(wait_until(SOON, met), "{source} is not taken for forged");
    }
    // What is not forged enters, and nothing came before it.
    for to in both(&scene.web, APP) {
        let client = connect(&scene.rogue, to).unwrap();
        let peer = app.accept().peer_addr().unwrap().ip().to_canonical();
        assert_eq!(peer, to.ip(), "through the relay");
        drop(client);
    }
    let node = udp(scene.lab.node(), any_port(Ipv4Addr::UNSPECIFIED.into()));
    node.send_to(b"node", (v4, DATAGRAMS)).unwrap();
    assert_eq!(hear(&datagrams), "node");
    let own: Vec<String> = scene
        .web
        .addresses()
        .iter()
        .map(IpAddr::to_string)
        .collect();
    let lines = scene.sidecar().log();
    let forged = |line: &serde_json::Value| {
        let source = line["source"].as_str().unwrap();
        own.iter().any(|one| one == source) || source.starts_with("127.")
    };
    assert!(!lines.iter().any(forged), "{lines:#?}");
}

#[test]
fn p18_s96_the_application_sees_the_pods_own_address_and_never_loopback() {
    let mut scene = Scene::bare(CART_ONLY);
    let app = App::listen(scene.web.place(), APP);
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    scene.sidecar = Some(sidecar);
    for to in both(&scene.web, APP) {
        let client = connect(&scene.cart, to).unwrap();
        let seen = app.accept().peer_addr().unwrap().ip().to_canonical();
        assert_eq!(seen, to.ip(), "the pod's own address of that family");
        assert!(!seen.is_loopback());
        // The client's own is what podwall itself goes by, and tells.
        let source = client.local_addr().unwrap();
        drop(client);
        let line = super::waiting::line_of(&scene, 0, source);
        assert_eq!(line["peer"], "shop/cart", "{line}");
    }
    let told = include_str!("../../README.md");
    assert!(
        told.contains("own address as its client"),
        "README does not say so"
    );
}
