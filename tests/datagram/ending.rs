//! How sessions end: by silence, and at SIGTERM, after which no new one begins and live ones go on until the deadline.

use std::time::{Duration, Instant};

use podwall_lab::{Signal, wait_until};

use super::stage::{App, Client, DNS, both, guarded_with, line, metric, reaches, start};
use crate::support::{CART_ONLY, SOON, Scene, podwall};

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
    scene.web.place().sysctl(timeout, "2").unwrap();
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
        assert!((2000..4000).contains(&took), "{line}");
    }
    reaches(&scene, "podwall_udp_sessions", 0.0);
    clients.iter().for_each(|client| client.ask(b"in again"));
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
