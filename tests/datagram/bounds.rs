//! Floods: what is kept is bounded, and who is inside stays as far as the rules of the bounds go.

#![allow(clippy::print_stdout)]

use std::fs;
use std::net::SocketAddr;

use podwall_lab::Place;

use super::stage::{App, Client, DNS, both, guarded, metric, reaches, start};
use crate::inside::{status, wrapped};
use crate::support::{CART_ONLY, PORTS, Scene, Seen};

const SESSIONS: &str = "podwall_udp_sessions";
const DENIED: &str = "podwall_arrivals_total{mode=\"redirect\",protocol=\"UDP\",verdict=\"deny\",reason=\"no_rule_admits\"}";
const EVICTED: &str = "podwall_udp_evicted_total";

/// Sends one datagram from each of so many ports, and gives how many that were: the kernel gives out some twice.
fn flood(place: &Place, to: SocketAddr, ports: std::ops::Range<u16>) {
    let sent = place.enter(|| {
        let any: std::net::IpAddr = match to {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => [0; 16].into(),
        };
        for port in ports {
            let socket = std::net::UdpSocket::bind((any, port)).unwrap();
            socket.send_to(b"x", to).unwrap();
        }
    });
    sent.unwrap();
}

fn descriptors(scene: &Scene) -> usize {
    let pid = scene.sidecar().process().pid();
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn resident_kib(scene: &Scene) -> u64 {
    status(scene.sidecar().process().pid(), "VmRSS")[0]
        .parse()
        .unwrap()
}

#[test]
fn p30_one_source_takes_no_more_than_its_share_and_makes_room_for_itself() {
    let scene = guarded("");
    let _app = App::listen(&scene.web, DNS).echo();
    for to in both(&scene.web, DNS) {
        let bystander = Client::new(&scene.rogue, to);
        bystander.ask(b"in");
        let (before, evicted) = (metric(&scene, SESSIONS), metric(&scene, EVICTED));
        // In portions that the listener's buffer holds.
        for portion in 0..12 {
            let first = 10_000 + portion * 50;
            flood(&scene.cart, to, first..first + 50);
            let sent = f64::from(portion + 1) * 50.0;
            reaches(&scene, SESSIONS, before + sent.min(512.0));
        }
        reaches(&scene, EVICTED, evicted + 88.0);
        let line = scene.sidecar().wait_log(
            0,
            |line| line["end"] == "evicted" && line["source_port"] == 10_000,
            crate::support::SOON,
        );
        assert_eq!(line.unwrap()["verdict"], "allow");
        bystander.ask(b"in still");
    }
}

#[test]
fn p30_floods_grow_nothing_beyond_the_bounds_and_tcp_goes_on() {
    let mut scene = Scene::bare(CART_ONLY);
    scene.serve();
    // A quarter of the descriptors is UDP's.
    let program = wrapped(&scene.lab, "ulimit -n 800; exec $PODWALL \"$@\"");
    start(&mut scene, &program, &[]);
    let _app = App::listen(&scene.web, DNS).echo();
    let [to, to_v6] = both(&scene.web, DNS);
    let idle = descriptors(&scene);
    // Denied: no descriptor, and a bounded memory of them.
    let friend = Client::new(&scene.cart, to_v6);
    let unlucky = |round: u16| {
        flood(&scene.rogue, to, 10_000 + round * 200..10_200 + round * 200);
        friend.ask_again_and_again(b"in");
    };
    (0..10).for_each(unlucky);
    let before = resident_kib(&scene);
    (10..100).for_each(unlucky);
    let denied = metric(&scene, DENIED);
    let grown = resident_kib(&scene).saturating_sub(before);
    println!("{denied} denied flows: {grown} KiB more than after the first 2000");
    assert!(denied > 2.0 * 4096.0, "{denied}");
    assert!(grown < 8 * 1024, "{grown} KiB");
    assert!(descriptors(&scene) <= idle + 2);
    // Let in: no more sockets than there is room for.
    for round in 0..20_u16 {
        flood(
            &scene.cart,
            to_v6,
            10_000 + round * 200..10_200 + round * 200,
        );
        Client::new(&scene.cart, to).ask_again_and_again(b"in");
        assert!(metric(&scene, SESSIONS) <= 200.0);
        assert!(
            descriptors(&scene) <= idle + 202,
            "{} of {idle}",
            descriptors(&scene)
        );
    }
    assert!(metric(&scene, EVICTED) > 1000.0);
    assert_eq!(scene.ask(&scene.cart, PORTS[0]), Seen::Page);
    assert_eq!(scene.ask(&scene.rogue, PORTS[0]), Seen::Reset);
    assert_eq!(scene.sidecar().get("/readyz").unwrap().0, 200);
}

/// With the hold full a known peer is let in at its first datagram, and unknown ones are refused by name.
#[test]
fn p07_a_flood_of_unknown_senders_holds_no_more_than_may_wait() {
    let mut scene = guarded(CART_ONLY);
    let _app = App::listen(&scene.web, DNS).echo();
    let spec = podwall_lab::PodSpec::new("shop", "nobody").unannounced();
    let nobody = scene.lab.pod(spec).unwrap();
    let [to, _] = both(&scene.web, DNS);
    flood(&nobody, to, 10_000..10_200);
    Client::new(&scene.cart, to).ask(b"in");
    let held = metric(&scene, "podwall_held");
    assert!(held <= 64.0, "{held}");
    let series = |reason: &str| {
        format!(
            "podwall_arrivals_total{{mode=\"redirect\",protocol=\"UDP\",verdict=\"deny\",reason=\"{reason}\"}}"
        )
    };
    reaches(&scene, &series("hold_full"), 136.0);
    reaches(&scene, &series("peer_unknown"), 64.0);
    reaches(&scene, "podwall_held", 0.0);
}
