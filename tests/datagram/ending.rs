//! How sessions end: by silence, and at SIGTERM, after which no new one begins and live ones go on until the deadline; and
//! what a client does that is gone, which ends none.

use std::time::{Duration, Instant};

use podwall_lab::{Signal, wait_until};

use super::stage::{App, Client, DNS, both, guarded, guarded_with, line, metric, reaches, start};
use crate::support::{CART_ONLY, SOON, Scene, podwall};

const GONE: &str = "podwall_udp_client_errors_total{why=\"port_unreachable\"}";

fn ask_to_stop(scene: &Scene) {
    scene.sidecar().process().signal(Signal::TERM).unwrap();
    let refused = || {
        let newcomer = Client::new(&scene.cart, both(&scene.web, DNS)[0]);
        newcomer.say(b"let me in");
        let said = |line: &serde_json::Value| {
            line["reason"] == "draining" && line["source_port"] == newcomer.address().port()
        };
        scene
            .sidecar()
            .wait_log(0, said, Duration::from_millis(200))
            .is_ok()
    };
    assert!(wait_until(SOON, refused), "newcomers are let in still");
}

#[test]
fn live_sessions_go_on_and_are_ended_at_the_deadline() {
    let scene = guarded_with(CART_ONLY, &["--drain-timeout", "2s"]);
    let _app = App::listen(&scene.web, DNS).echo();
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    clients.iter().for_each(|client| client.ask(b"in"));
    ask_to_stop(&scene);
    clients.iter().for_each(|client| client.ask(b"in still"));
    assert_eq!(
        scene.sidecar().process().wait(SOON).unwrap().code(),
        Some(0)
    );
    for client in &clients {
        let line = line(&scene, "connection", client.address());
        assert_eq!(line["end"], "stopped", "{line}");
    }
}

/// What is silent has nothing under way: a pod that ends does not wait for the deadline because of it.
#[test]
fn silent_sessions_end_before_the_deadline() {
    let scene = guarded_with(CART_ONLY, &["--drain-timeout", "1h"]);
    let _app = App::listen(&scene.web, DNS).echo();
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    clients.iter().for_each(|client| client.ask(b"in"));
    let began = Instant::now();
    ask_to_stop(&scene);
    assert_eq!(
        scene.sidecar().process().wait(SOON).unwrap().code(),
        Some(0)
    );
    assert!(
        began.elapsed() >= Duration::from_secs(4),
        "they had their time"
    );
    for client in &clients {
        assert_eq!(line(&scene, "connection", client.address())["end"], "idle");
    }
}

/// A kernel that forgets sooner than usual is followed, so that no answer leaves with a wrong source.
#[test]
fn p30_a_session_ends_no_later_than_the_kernel_forgets_it() {
    let mut scene = Scene::bare(CART_ONLY);
    let timeout = "net/netfilter/nf_conntrack_udp_timeout";
    scene.web.place().sysctl(timeout, "4").unwrap();
    start(&mut scene, &podwall(), &[]);
    let _app = App::listen(&scene.web, DNS).echo();
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    clients.iter().for_each(|client| client.ask(b"in"));
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 2.0);
    for client in &clients {
        let line = line(&scene, "connection", client.address());
        assert_eq!(
            (&line["end"], &line["verdict"]),
            (&"idle".into(), &"allow".into()),
            "{line}"
        );
        let took = line["duration_ms"].as_u64().unwrap();
        // A second less than the kernel.
        assert!((3000..5000).contains(&took), "{line}");
    }
    reaches(&scene, "podwall_udp_sessions", 0.0);
    clients.iter().for_each(|client| client.ask(b"in again"));
}

/// A client closes its port while the application goes on sending: it is counted, and another client of the same listener
/// hears every answer though an error comes back just before each.
#[test]
fn a_client_that_is_gone_is_counted_and_costs_no_other_one_an_answer() {
    let scene = guarded(CART_ONLY);
    // Its host says of each datagram that nobody is there.
    for limit in ["net/ipv4/icmp_ratelimit", "net/ipv6/icmp/ratelimit"] {
        scene.cart.place().sysctl(limit, "0").unwrap();
    }
    let app = App::listen(&scene.web, DNS);
    for to in both(&scene.web, DNS) {
        let before = metric(&scene, GONE);
        let [leaving, staying] = [0; 2].map(|_| Client::new(&scene.cart, to));
        let legs = [&leaving, &staying].map(|client| {
            client.say(b"in");
            app.hear().1
        });
        drop(leaving);
        for round in 0..100_u32 {
            app.answer(b"too late", legs[0]);
            app.answer(&round.to_be_bytes(), legs[1]);
            assert_eq!(staying.hear(), round.to_be_bytes(), "towards {to}");
        }
        let told = || {
            app.answer(b"too late", legs[0]);
            metric(&scene, GONE) >= before + 10.0
        };
        assert!(wait_until(SOON, told), "{}", metric(&scene, GONE));
        staying.say(b"in still");
        assert_eq!(app.hear().0, b"in still");
    }
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 4.0);
    let lost = metric(&scene, "podwall_udp_dropped_total{why=\"no_way\"}");
    let failed = metric(&scene, "podwall_accept_errors_total");
    assert_eq!((lost, failed), (0.0, 0.0));
}

/// Fail closed: without a sidecar nothing goes through, to sessions that were open neither.
#[test]
fn a_killed_sidecar_lets_nothing_through_and_the_next_one_judges_anew() {
    let mut scene = guarded_with(CART_ONLY, &[]);
    let app = App::listen(&scene.web, DNS);
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    for client in &clients {
        client.say(b"in");
        app.hear();
    }
    scene.sidecar().process().signal(Signal::KILL).unwrap();
    scene.sidecar().process().wait(SOON).unwrap();
    for (client, to) in clients.iter().zip(both(&scene.web, DNS)) {
        let newcomer = Client::new(&scene.cart, to);
        for one in [client, &newcomer] {
            one.say(b"let me in");
            // The closed port says so, and that is how we know that the datagram has come.
            assert!(one.is_refused());
        }
    }
    assert!(app.has_heard_nothing());
    start(&mut scene, &podwall(), &[]);
    let _app = app.echo();
    clients.iter().for_each(|client| client.ask(b"in again"));
    let rogue = Client::new(&scene.rogue, both(&scene.web, DNS)[0]);
    rogue.say(b"and I");
    assert_eq!(
        line(&scene, "connection", rogue.address())["reason"],
        "no_rule_admits"
    );
}
