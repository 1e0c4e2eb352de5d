//! Ways around the judge that are none: the relay's own port, destinations that are not this pod's, services on
//! loopback, and the sidecar's user (P22, P33, P34).

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use podwall_lab::{Pod, PodSpec, Sidecar, wait_until};
use podwall_proxy::config::{CANARY_PORT, LISTEN_PORT};
use serde_json::Value;

use crate::hairpin;
use crate::inside::{arrivals, run, status};
use crate::support::{CART_ONLY, SOON, Scene, podwall};
use crate::talk::{APP, App, Ending, Pair, both, connect, ending, fate};

/// The one line of an arrival from `source` since `skip`.
fn line_from(scene: &Scene, skip: usize, source: IpAddr) -> Value {
    let source = source.to_string();
    let from = |line: &Value| line["source"] == source.as_str();
    scene.sidecar().wait_log(skip, from, SOON).unwrap()
}

/// Proves that a connection ends in a reset and is told as a denial for `reason`.
fn is_dismissed(scene: &Scene, from: &Pod, source: IpAddr, to: SocketAddr, reason: &str) {
    let skip = scene.sidecar().log().len();
    assert_eq!(fate(from, to), Ending::Reset, "{reason} {to}");
    let line = line_from(scene, skip, source);
    let told = (&line["verdict"], &line["reason"], &line["end"]);
    assert_eq!(
        told,
        (&"deny".into(), &reason.into(), &"denied".into()),
        "{line}"
    );
    assert_eq!(line["destination"], to.ip().to_string().as_str());
    assert_eq!(line["destination_port"], to.port());
}

/// A Service of the pod's own: it comes back with the node's address, and goes past the relay as the node does.
#[test]
fn s68_a_pod_that_comes_back_to_itself_by_its_node_is_let_in() {
    let scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    for to in hairpin::service(&scene, "tcp", APP) {
        let mut pair = Pair::open(&scene.web, to, &app);
        pair.greet();
    }
}

#[test]
fn p33_a_service_on_loopback_only_is_not_reached_from_outside() {
    let scene = Scene::guarded(CART_ONLY);
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let bind = || loopback.map(|one| TcpListener::bind((one, APP)).unwrap());
    let services = scene.web.enter(bind).unwrap();
    for (to, service) in both(&scene.web, APP).into_iter().zip(&services) {
        let skip = scene.sidecar().log().len();
        assert_eq!(fate(&scene.cart, to), Ending::Reset, "{to}");
        let line = scene.line(skip, &scene.cart, APP);
        assert_eq!(line["end"], "app_refused", "{line}");
        service.set_nonblocking(true).unwrap();
        assert_eq!(
            service.accept().map(drop).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock),
            "{to} got to loopback"
        );
        // The service is there: the pod itself reaches it.
        connect(&scene.web, service.local_addr().unwrap()).unwrap();
    }
}

#[test]
fn p34_the_relays_own_port_leads_nowhere() {
    let scene = Scene::bare(CART_ONLY);
    // A second address of the pod, which the redirect does change, so that the relay sees who aimed at it.
    run(&scene.web, "ip address add 10.99.0.1/32 dev eth0");
    let second = IpAddr::from([10, 99, 0, 1]);
    run(
        &scene.cart,
        &format!("ip route add {second} via {}", scene.web.v4()),
    );
    let app = App::listen(&scene.web, APP);
    let mut scene = scene;
    scene.serve();
    scene.sidecar = Some(Sidecar::start(&scene.lab, &scene.web, &podwall(), &[]).unwrap());
    // From outside the rules refuse it: nothing was redirected there.
    for to in both(&scene.web, LISTEN_PORT) {
        let refused = Ending::Other(ErrorKind::ConnectionRefused);
        assert_eq!(fate(&scene.cart, to), refused, "{to}");
    }
    let to = SocketAddr::new(second, LISTEN_PORT);
    let cart = scene.cart.v4().into();
    is_dismissed(&scene, &scene.cart, cart, to, "aimed_at_relay");
    // From inside nothing is redirected, so podwall is asked itself.
    let loopback = [
        (Ipv4Addr::LOCALHOST, LISTEN_PORT).into(),
        (Ipv6Addr::LOCALHOST, LISTEN_PORT).into(),
    ];
    for to in loopback.into_iter().chain(both(&scene.web, LISTEN_PORT)) {
        is_dismissed(&scene, &scene.web, to.ip(), to, "aimed_at_relay");
    }
    assert_eq!(arrivals(scene.sidecar(), "aimed_at_relay"), 5.0);
    // The second address itself is the pod's like any other.
    let pair = Pair::open(&scene.cart, SocketAddr::new(second, APP), &app);
    let asked = pair.app.local_addr().unwrap();
    assert_eq!(asked.ip().to_canonical(), second);
}

/// Whoever routes foreign addresses to the pod finds no open proxy there. The foreign address is alive and would answer.
#[test]
fn p34_a_destination_of_somebody_else_is_dismissed_and_nobody_is_called() {
    let foreign = [
        "198.51.100.7".parse::<IpAddr>().unwrap(),
        "2001:db8::7".parse().unwrap(),
    ];
    let mut scene = Scene::guarded(CART_ONLY);
    let target = PodSpec::new("other", "target")
        .also(foreign[0])
        .also(foreign[1]);
    let target = scene.lab.pod(target).unwrap();
    let app = App::listen(&target, APP);
    for address in foreign {
        let to = SocketAddr::new(address, APP);
        // It answers those who go straight, the guarded pod among them.
        for from in [&scene.cart, &scene.web] {
            drop(Pair::open(from, to, &app));
        }
        let (via, source) = match address {
            IpAddr::V4(_) => (IpAddr::from(scene.web.v4()), scene.cart.v4().into()),
            IpAddr::V6(_) => (scene.web.v6().into(), scene.cart.v6().into()),
        };
        run(&scene.cart, &format!("ip route add {address} via {via}"));
        is_dismissed(&scene, &scene.cart, source, to, "not_this_pod");
        assert!(!app.has_visitor(), "podwall called {to}");
    }
    assert_eq!(arrivals(scene.sidecar(), "not_this_pod"), 2.0);
}

/// The canary's word is for whoever asks from loopback; from outside its port is one like any other.
#[test]
fn p34_the_canarys_port_is_judged_from_outside() {
    let scene = Scene::guarded(CART_ONLY);
    for to in both(&scene.web, CANARY_PORT) {
        let (cart, rogue) = match to {
            SocketAddr::V4(_) => (scene.cart.v4().into(), scene.rogue.v4().into()),
            SocketAddr::V6(_) => (scene.cart.v6().into(), IpAddr::from(scene.rogue.v6())),
        };
        is_dismissed(&scene, &scene.rogue, rogue, to, "no_rule_admits");
        let skip = scene.sidecar().log().len();
        let mut heard = Vec::new();
        let answer = connect(&scene.cart, to).and_then(|mut one| one.read_to_end(&mut heard));
        assert_eq!(
            answer.map_err(|error| error.kind()),
            Err(ErrorKind::ConnectionReset)
        );
        assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
        let line = line_from(&scene, skip, cart);
        assert_eq!(line["end"], "app_refused", "{line}");
    }
}

fn http(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _reset = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer));
    answer
}

/// Some clusters give every container of a namespace one uid. The application here is a second podwall, because it
/// runs as the sidecar's user and answers HTTP.
#[test]
fn p22_an_application_under_the_sidecars_uid_is_judged_like_any_other() {
    let scene = Scene::guarded(CART_ONLY);
    let ports = "--listen-port 9101 --admin-port 9100 --canary-port 9102";
    let flags: Vec<&str> = ports.split(' ').collect();
    let app = Sidecar::launch(&scene.lab, &scene.web, &podwall(), &flags).unwrap();
    let to = both(&scene.web, 9100);
    let node = scene.lab.node();
    assert!(wait_until(SOON, || connect(node, to[0]).is_ok()));
    let uids = [&app, scene.sidecar()].map(|one| status(one.process().pid(), "Uid"));
    assert_eq!(uids[0], uids[1]);
    for to in to {
        let mut cart = connect(&scene.cart, to).unwrap();
        assert!(http(&mut cart, "/livez").ends_with("alive\n"));
        // A reset may be faster than the client.
        let heard = connect(&scene.rogue, to).map(|mut one| http(&mut one, "/livez"));
        assert_eq!(heard.unwrap_or_default(), "");
        assert_eq!(fate(&scene.rogue, to), Ending::Reset);
        // From inside the pod nothing is judged, by whichever user.
        let mut own = connect(&scene.web, to).unwrap();
        assert!(http(&mut own, "/livez").ends_with("alive\n"));
        assert_eq!(ending(&mut own), Ending::End);
    }
}
