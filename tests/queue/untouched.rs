//! What podwall leaves alone: the node (S63), the pod itself (S68), ICMP and neighbour discovery (S61, S62), and what
//! forges the pod's own address, which it does not leave alone.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use podwall_lab::wait_until;
use serde_json::Value;

use super::packets::{Forger, ping};
use super::stage::{DATAGRAMS, FRIENDS_ONLY, Stage, line};
use crate::datagrams::{self, Client};
use crate::hairpin;
use crate::inside::run;
use crate::support::CART_ONLY;
use crate::talk::{APP, Ending, both, connect, connect_from, fate};

#[test]
fn s63_s64_the_node_enters_and_is_told_so() {
    let stage = Stage::set(FRIENDS_ONLY);
    let node = stage.scene.lab.node();
    let hosts: [IpAddr; 2] = [node.host_v4().into(), node.host_v6().into()];
    let gateways: [IpAddr; 2] = [node.v4().into(), node.v6().into()];
    for (at, to) in both(&stage.scene.web, APP).into_iter().enumerate() {
        for source in [hosts[at], gateways[at]] {
            let client = connect_from(node, source, to).expect("the node's probe");
            let own = client.local_addr().unwrap();
            drop((stage.app.accept(), client));
            let line = line(&stage.scene, "connection", own);
            let told = ["mode", "verdict", "reason"].map(|field| &line[field]);
            let wanted = ["queue", "allow", "node"].map(Value::from);
            assert_eq!(told, wanted.each_ref(), "{line}");
        }
        let to = SocketAddr::new(to.ip(), DATAGRAMS);
        let source = SocketAddr::new(gateways[at], 0);
        stage.comes_in(&Client::from(node, source, to));
    }
}

#[test]
fn s68_the_pod_reaches_itself_and_nobody_is_asked() {
    let mut stage = Stage::set(FRIENDS_ONLY);
    let enters = |stage: &Stage| {
        let web = &stage.scene.web;
        let own = web.addresses().iter().copied();
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for address in own.chain(loopback) {
            let client = connect(web, (address, APP).into()).unwrap();
            drop((stage.app.accept(), client));
            let source = SocketAddr::new(address, 0);
            stage.comes_in(&Client::from(web, source, (address, DATAGRAMS).into()));
        }
    };
    enters(&stage);
    let log = stage.scene.sidecar().log();
    let told = |line: &Value| {
        let source: IpAddr = line["source"].as_str().unwrap().parse().unwrap();
        source.is_loopback() || stage.scene.web.addresses().contains(&source)
    };
    assert!(!log.iter().any(told), "{log:#?}");
    stage.scene.sidecar = None;
    enters(&stage);
}

/// A Service of the pod's own: it comes back with the node's address, and is let in as the node.
#[test]
fn s68_a_pod_that_comes_back_to_itself_by_its_node_is_let_in() {
    let stage = Stage::set(FRIENDS_ONLY);
    for to in hairpin::service(&stage.scene, "tcp", APP) {
        let client = connect(&stage.scene.web, to).unwrap();
        let app = stage.app.accept();
        let line = line(&stage.scene, "connection", {
            let source = app.peer_addr().unwrap();
            drop((client, app));
            SocketAddr::new(source.ip().to_canonical(), source.port())
        });
        assert_eq!(
            (&line["reason"], &line["verdict"]),
            (&"node".into(), &"allow".into())
        );
    }
    for to in hairpin::service(&stage.scene, "udp", DATAGRAMS) {
        let client = Client::new(&stage.scene.web, to);
        client.say(b"to myself");
        let (heard, from) = stage.datagrams.hear();
        assert_eq!(heard, b"to myself");
        stage.datagrams.answer(b"from myself", from);
        assert_eq!(client.hear(), b"from myself");
    }
}

#[test]
fn s61_ping_and_neighbour_discovery_pass_for_who_is_denied() {
    let mut stage = Stage::set(FRIENDS_ONLY);
    let passes = |stage: &Stage, denied: ErrorKind| {
        let (web, rogue) = (&stage.scene.web, &stage.scene.rogue);
        for address in web.addresses() {
            ping(rogue, *address);
        }
        for address in rogue.addresses() {
            ping(web, *address);
        }
        // Both forget where the other lives, and find out.
        for place in [web, rogue] {
            for family in ["-4", "-6"] {
                run(place, &format!("ip {family} neigh flush dev eth0"));
            }
        }
        for to in both(web, APP) {
            let refused = rogue
                .enter(|| std::net::TcpStream::connect_timeout(&to, Duration::from_millis(300)));
            let refused = refused.unwrap().map_err(|error| error.kind());
            assert_eq!(refused.unwrap_err(), denied, "{to}");
        }
        for place in [web, rogue] {
            for family in ["-4", "-6"] {
                run(place, &format!("ip {family} neigh flush dev eth0"));
            }
        }
        web.addresses().iter().for_each(|to| ping(rogue, *to));
    };
    passes(&stage, ErrorKind::ConnectionRefused);
    // Nobody answers for the queue then.
    stage.scene.sidecar = None;
    passes(&stage, ErrorKind::TimedOut);
}

/// The errors that answer what came in and what went out.
#[test]
fn s62_icmp_errors_of_admitted_flows_pass() {
    let stage = Stage::set(CART_ONLY);
    let scene = &stage.scene;
    for (from, to) in [(&scene.cart, &scene.web), (&scene.web, &scene.rogue)] {
        for to in datagrams::both(to, 5999) {
            let client = Client::new(from, to);
            client.say(b"is anybody there");
            let refused = client.0.recv(&mut [0; 8]).map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::ConnectionRefused), "{to}");
        }
    }
    // So does the reset of a port where nobody listens, for who is let in.
    for to in both(&scene.web, 7999) {
        let refused = Ending::Other(ErrorKind::ConnectionRefused);
        assert_eq!(fate(&scene.cart, to), refused);
    }
}

/// How soon a counter of the rules is in the metrics; they are read every ten seconds.
const READ: Duration = Duration::from_secs(20);

#[test]
fn s68_a_forged_own_or_loopback_source_is_dropped_and_counted() {
    // Nobody is isolated: what is dropped here is dropped for being forged.
    let stage = Stage::set("");
    let scene = &stage.scene;
    // The kernel's own filters for such sources are off, so it is podwall's rule that is seen at work.
    for name in ["route_localnet", "accept_local"] {
        let name = format!("net.ipv4.conf.all.{name}");
        scene.web.sysctl(&name, "1").unwrap();
    }
    let spoofed = || {
        let value = scene.sidecar().metric("podwall_spoofed_self_packets");
        value.unwrap().unwrap()
    };
    assert_eq!(spoofed(), 0.0);
    let [to, to_v6] = both(&scene.web, APP);
    let sources = [
        (to, scene.web.v4().into()),
        (to, IpAddr::from(Ipv4Addr::LOCALHOST)),
        (to_v6, scene.web.v6().into()),
    ];
    let mut sent = 0;
    for (to, source) in sources {
        let forger = Forger::new(&scene.rogue, to);
        for port in 1..=10 {
            forger.syn((source, port).into());
            sent += 1;
        }
    }
    let counted = || spoofed() == f64::from(sent);
    assert!(wait_until(READ, counted), "{} of {sent}", spoofed());
    assert!(!stage.app.has_visitor());
    let log = scene.sidecar().log();
    let own = |line: &Value| {
        let source: IpAddr = line["source"].as_str().unwrap().parse().unwrap();
        source.is_loopback() || scene.web.addresses().contains(&source)
    };
    assert!(!log.iter().any(own), "{log:#?}");
    // Who does not forge enters.
    for to in [to, to_v6] {
        connect(&scene.rogue, to).unwrap();
    }
}

/// A connection that is denied is no trouble for one that is not, on the same port at the same time.
#[test]
fn s63_probes_are_answered_while_strangers_knock() {
    let stage = Stage::set(FRIENDS_ONLY);
    let to = both(&stage.scene.web, APP);
    let (rogue, node) = (&stage.scene.rogue, stage.scene.lab.node());
    std::thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            let knock = |at: usize| {
                let refused = connect(rogue, to[at % 2]).map_err(|error| error.kind());
                assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused);
            };
            (0..500).for_each(knock);
        });
        let mut probes = 0;
        while !knocking.is_finished() {
            drop(connect(node, to[probes % 2]).expect("the node's probe"));
            drop(stage.app.accept());
            probes += 1;
        }
        assert!(probes > 0);
        knocking.join().unwrap();
    });
}
