//! P28 and P29 for UDP: a change that turns the verdict ends a session at once, whatever both sides send.

#![allow(clippy::print_stdout)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use podwall_lab::{PodSpec, wait_until};

use super::stage::{
    App, Client, DNS, both, guarded, guarded_with, is_of, line, lines, metric, reaches,
};
use crate::support::{CART_ONLY, SOON};

const SESSIONS: &str = "podwall_udp_sessions";
const REVOKED: &str = "podwall_revoked_total{reason=\"no_rule_admits\"}";

/// The last thing that must have happened after a cut.
const AT_MOST: Duration = Duration::from_secs(1);

#[test]
fn p28_a_cut_session_hears_nothing_more_while_the_application_goes_on_sending() {
    let mut scene = guarded(CART_ONLY);
    let friend = PodSpec::new("shop", "friend")
        .label("app", "cart")
        .label("keep", "yes");
    let friend = scene.lab.pod(friend).unwrap();
    let app = App::listen(&scene.web, DNS);
    let mut clients = Vec::new();
    for pod in [&scene.cart, &friend] {
        for to in both(&scene.web, DNS) {
            let client = Client::new(pod, to);
            client.say(b"subscribe");
            let (_, from) = app.hear();
            clients.push((client, from));
        }
    }
    let stop = AtomicBool::new(false);
    let addresses: Vec<_> = clients.iter().map(|(_, from)| *from).collect();
    thread::scope(|scope| {
        // The application sends to all of them for as long as the test lasts, whatever comes back.
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                addresses.iter().for_each(|to| app.try_answer(b"news", *to));
                thread::yield_now();
            }
        });
        let cut = &clients[..2];
        cut.iter()
            .for_each(|(client, _)| assert_eq!(client.hear(), b"news"));
        let began = Instant::now();
        scene
            .lab
            .relabel("shop", "cart", &[("app", "other")])
            .unwrap();
        for (client, _) in cut {
            let last = client.last_word(Duration::from_millis(500));
            let after = last.duration_since(began);
            println!("cut: the last datagram came {after:.1?} after the change");
            assert!(after < AT_MOST, "{after:?}");
        }
        for (client, _) in &clients[2..] {
            client.drain();
            assert_eq!(client.hear(), b"news", "a bystander was cut");
        }
        stop.store(true, Ordering::SeqCst);
    });
    reaches(&scene, REVOKED, 2.0);
    reaches(&scene, SESSIONS, 2.0);
    for (client, _) in &clients[..2] {
        let revocation = line(&scene, "revocation", client.address());
        assert_eq!(revocation["reason"], "no_rule_admits", "{revocation}");
        let end = line(&scene, "connection", client.address());
        assert_eq!(
            (&end["end"], &end["verdict"]),
            (&"revoked".into(), &"deny".into()),
            "{end}"
        );
        assert!(end["bytes_out"].as_u64() > Some(0), "{end}");
        // Nor does anything of it go in.
        app.drain();
        client.say(b"am I in");
    }
    reaches(&scene, "podwall_udp_dropped_total{why=\"denied\"}", 2.0);
    assert!(app.has_heard_nothing());
    let of_client = |client: &Client| lines(&scene, client.address());
    assert!(
        clients[..2]
            .iter()
            .all(|(client, _)| of_client(client) == 2)
    );
}

#[test]
fn p28_who_is_let_in_again_goes_on_at_the_next_datagram() {
    let mut scene = guarded(CART_ONLY);
    let _app = App::listen(&scene.web, DNS).echo();
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    clients.iter().for_each(|client| client.ask(b"in"));
    scene.change(|lab| lab.relabel("shop", "cart", &[("app", "other")]));
    reaches(&scene, SESSIONS, 0.0);
    scene.change(|lab| lab.relabel("shop", "cart", &[("app", "cart")]));
    for client in &clients {
        client.ask(b"in again");
    }
    reaches(&scene, SESSIONS, 2.0);
}

/// A policy that selects the pod first, then others: each turns the sessions that it must and no more.
#[test]
fn p28_s07_policies_that_come_and_go_turn_sessions() {
    let mut scene = guarded("");
    let _app = App::listen(&scene.web, DNS).echo();
    let to = both(&scene.web, DNS);
    let open = |pod| to.map(|to| Client::new(pod, to));
    let (carts, rogues) = (open(&scene.cart), open(&scene.rogue));
    carts
        .iter()
        .chain(&rogues)
        .for_each(|client| client.ask(b"open to all"));
    scene.change(|lab| lab.set_policies_yaml(CART_ONLY));
    reaches(&scene, SESSIONS, 2.0);
    carts.iter().for_each(|client| client.ask(b"in still"));
    for client in &rogues {
        assert_eq!(
            line(&scene, "connection", client.address())["end"],
            "revoked"
        );
    }
    scene.change(|lab| lab.set_policies_yaml(""));
    rogues.iter().for_each(|client| client.ask(b"in again"));
    let told = |client: &Client| {
        scene
            .sidecar()
            .log()
            .iter()
            .any(|line| is_of(line, client.address()))
    };
    assert!(!carts.iter().any(told), "a session that stayed has a line");
}

#[test]
fn p28_keep_established_leaves_sessions_alone() {
    let mut scene = guarded_with(CART_ONLY, &["--keep-established"]);
    let _app = App::listen(&scene.web, DNS).echo();
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    clients.iter().for_each(|client| client.ask(b"in"));
    scene.change(|lab| lab.relabel("shop", "cart", &[("app", "other")]));
    for (client, to) in clients.iter().zip(both(&scene.web, DNS)) {
        client.ask(b"in still");
        let newcomer = Client::new(&scene.cart, to);
        newcomer.say(b"let me in");
        let line = line(&scene, "connection", newcomer.address());
        assert_eq!(
            line["reason"], "no_rule_admits",
            "a new session is judged anew"
        );
    }
    assert_eq!(metric(&scene, REVOKED), 0.0);
}

/// S73: a session does not inherit the identity of the next owner of its address.
#[test]
fn s73_a_session_ends_with_the_pod_that_had_its_address() {
    let mut scene = guarded(CART_ONLY);
    let _app = App::listen(&scene.web, DNS).echo();
    let clients = both(&scene.web, DNS).map(|to| Client::new(&scene.cart, to));
    clients.iter().for_each(|client| client.ask(b"in"));
    scene.lab.forget("shop", "cart").unwrap();
    for client in &clients {
        let line = line(&scene, "revocation", client.address());
        assert_eq!(line["reason"], "peer_unknown", "{line}");
    }
    assert!(wait_until(SOON, || metric(&scene, SESSIONS) == 0.0));
}
