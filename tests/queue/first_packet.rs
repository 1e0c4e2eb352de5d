//! P4, P32: who is denied is refused at the first packet, and the application hears nothing of it; who is let in is
//! seen with their own address. S60: SCTP too.

use std::io::ErrorKind;
use std::net::IpAddr;

use podwall_lab::wait_until;
use serde_json::Value;

use super::packets::{SCTP, init, payload, raw};
use super::stage::{DATAGRAMS, Stage, guard, is_from, line};
use crate::datagrams::{self, Client};
use crate::inside::counted;
use crate::support::{CART_ONLY, SOON, Scene, Seen};
use crate::talk::{APP, both, connect};

fn arrivals(protocol: &str, verdict: &str, reason: &str) -> String {
    format!(
        "podwall_arrivals_total{{mode=\"queue\",protocol=\"{protocol}\",verdict=\"{verdict}\",reason=\"{reason}\"}}"
    )
}

/// A line of a denial, with the rule that came nearest.
fn is_denial(line: &Value, protocol: &str) {
    let seen = ["mode", "protocol", "verdict", "reason", "end"].map(|field| &line[field]);
    let wanted = ["queue", protocol, "deny", "no_rule_admits", "denied"].map(Value::from);
    assert_eq!(seen, wanted.each_ref(), "{line}");
    let miss = &line["nearest_miss"];
    let miss = (&miss["policy"], &miss["clause"]);
    assert_eq!(
        miss,
        (&"shop/cart-only".into(), &"pod_labels".into()),
        "{line}"
    );
    assert_eq!(line["peer"], "shop/rogue", "{line}");
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn p04_p32_a_denied_tcp_client_is_refused_at_its_syn() {
    let stage = Stage::set(CART_ONLY);
    let scene = &stage.scene;
    for (count, to) in both(&scene.web, APP).into_iter().enumerate() {
        let skip = scene.sidecar().log().len();
        let refused = connect(&scene.rogue, to).map_err(|error| error.kind());
        assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused, "{to}");
        is_denial(&scene.line(skip, &scene.rogue, APP), "TCP");
        let denied = arrivals("TCP", "deny", "no_rule_admits");
        assert_eq!(counted(scene.sidecar())[&denied], (count + 1) as f64);
        // Whom the application sees is the next one, by their own address (P18).
        let client = connect(&scene.cart, to).unwrap();
        let seen = stage.app.accept().peer_addr().unwrap();
        let own = client.local_addr().unwrap();
        assert_eq!(
            (seen.ip().to_canonical(), seen.port()),
            (own.ip(), own.port())
        );
        assert!(!stage.app.has_visitor());
        drop(client);
        let line = line(scene, "connection", own);
        let seen = ["mode", "verdict", "reason", "policy", "peer"].map(|field| &line[field]);
        let wanted = ["queue", "allow", "rule", "shop/cart-only", "shop/cart"].map(Value::from);
        assert_eq!(seen, wanted.each_ref(), "{line}");
    }
}

#[test]
fn p04_curl_is_refused_by_nobody_but_podwall_and_served_by_nginx() {
    let mut scene = Scene::bare(CART_ONLY);
    scene.serve();
    guard(&mut scene, &[], &[]);
    for port in crate::support::PORTS {
        assert_eq!(scene.ask(&scene.cart, port), Seen::Page);
        assert_eq!(scene.ask_v6(&scene.cart, port), Seen::Page);
        for client in [&scene.rogue, &scene.stranger] {
            assert_eq!(scene.ask(client, port), Seen::Refused);
            assert_eq!(scene.ask_v6(client, port), Seen::Refused);
        }
    }
}

#[test]
fn p32_a_denied_datagram_reaches_nobody_and_is_told() {
    let stage = Stage::set(CART_ONLY);
    let scene = &stage.scene;
    for to in datagrams::both(&scene.web, DATAGRAMS) {
        let rogue = Client::new(&scene.rogue, to);
        rogue.say(b"let me in");
        is_denial(&line(scene, "connection", rogue.address()), "UDP");
        assert!(rogue.has_heard_nothing(), "dropped, and not refused");
    }
    // Nothing came before these, and they come by their own address.
    stage.streams(&scene.cart, true);
    assert!(stage.datagrams.has_heard_nothing());
}

#[test]
fn udp_deny_unreachable_tells_the_client() {
    let stage = Stage::set_with(CART_ONLY, &["--udp-deny", "unreachable"], &[]);
    for to in datagrams::both(&stage.scene.web, DATAGRAMS) {
        let rogue = Client::new(&stage.scene.rogue, to);
        rogue.say(b"let me in");
        let refused = rogue.0.recv(&mut [0; 8]).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::ConnectionRefused), "{to}");
    }
    stage.streams(&stage.scene.cart, true);
    assert!(stage.datagrams.has_heard_nothing());
}

/// Lets shop/cart in by SCTP on one port, and nobody by anything else.
const SCTP_ONLY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: cart-only, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: cart } } }]
      ports: [{ protocol: SCTP, port: 3868 }]
";

/// The kernel has no SCTP here: an INIT comes through to a raw socket behind the rules, or it does not.
#[test]
fn s60_an_sctp_rule_admits_sctp_and_nothing_else() {
    let stage = Stage::set(SCTP_ONLY);
    let scene = &stage.scene;
    // The packets' checksum is no matter here.
    let unchecked = "net.netfilter.nf_conntrack_checksum";
    scene.web.sysctl(unchecked, "0").unwrap();
    for address in scene.web.addresses() {
        let ear = raw(&scene.web, *address, SCTP);
        let send = |from, source_port, port| {
            let socket = raw(from, *address, SCTP);
            let to = std::net::SocketAddr::new(*address, 0);
            socket
                .send_to(&init(source_port, port), &to.into())
                .unwrap();
        };
        send(scene.rogue.place(), 1001, 3868);
        send(scene.cart.place(), 1002, 3869);
        send(scene.cart.place(), 1003, 3868);
        // The first that comes through is the one that is let in.
        let mut buffer = [0; 256];
        let length = std::io::Read::read(&mut &ear, &mut buffer).expect("an INIT");
        let heard = payload(&buffer[..length], *address);
        assert_eq!(heard, init(1003, 3868), "{address}");
        for (from, port) in [(&scene.rogue, 1001), (&scene.cart, 1002)] {
            let from: IpAddr = match address {
                IpAddr::V4(_) => from.v4().into(),
                IpAddr::V6(_) => from.v6().into(),
            };
            let denied = line(scene, "connection", (from, port).into());
            assert_eq!(
                (&denied["protocol"], &denied["verdict"]),
                (&"SCTP".into(), &"deny".into())
            );
        }
        assert!(ear.set_nonblocking(true).is_ok());
        let more = std::io::Read::read(&mut &ear, &mut buffer).map_err(|error| error.kind());
        assert_eq!(more, Err(ErrorKind::WouldBlock), "{address}");
    }
    // It isolates the pod for all protocols.
    for to in both(&scene.web, 3868)
        .into_iter()
        .chain(both(&scene.web, APP))
    {
        let refused = connect(&scene.cart, to).map_err(|error| error.kind());
        assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused, "{to}");
    }
}

/// A source that is denied and goes on: one line, and each further datagram is counted.
#[test]
fn a_denied_source_of_datagrams_gets_one_line() {
    const MORE: usize = 500;
    let stage = Stage::set(CART_ONLY);
    let scene = &stage.scene;
    let dropped = "podwall_udp_dropped_total{why=\"denied\"}";
    let count = || scene.sidecar().metric(dropped).unwrap().unwrap_or(0.0);
    for to in datagrams::both(&scene.web, DATAGRAMS) {
        let (before, rogue) = (count(), Client::new(&scene.rogue, to));
        (0..=MORE).for_each(|_| rogue.say(b"again"));
        let all = || count() == before + MORE as f64;
        assert!(wait_until(SOON, all), "{} of {MORE}", count() - before);
        // The count is there at once, the line when the log's writer has come to it.
        line(scene, "connection", rogue.address());
        let log = scene.sidecar().log();
        let own = log.iter().filter(|line| is_from(line, rogue.address()));
        assert_eq!(own.count(), 1);
    }
    assert!(stage.datagrams.has_heard_nothing());
}
