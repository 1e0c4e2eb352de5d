//! P38, S6: connections of which connection tracking knows nothing any more.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use podwall_lab::{Lab, Place, Pod, Signal, wait_until};
use socket2::SockRef;

use super::packets::Forger;
use super::stage::{
    FRIENDS_ONLY, Stage, are_cut, becomes_ready, clients, connect_by, connected, entries, guard,
    is_from, launch,
};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, App, Ending, Pair, both, connect, ending, say};

/// How long the kernel shall remember a connection without packets, in seconds; and its own default.
const SHORT: &str = "1";
const LONG: &str = "432000";
const TIMEOUT: &str = "net.netfilter.nf_conntrack_tcp_timeout_established";

/// Makes the place's connection tracking forget these connections, which stay open. The time left is set anew by each
/// packet.
fn forget(place: &Place, pairs: &mut [Pair]) {
    place.sysctl(TIMEOUT, SHORT).unwrap();
    pairs.iter_mut().for_each(Pair::greet);
    is_forgotten(place, pairs);
    place.sysctl(TIMEOUT, LONG).unwrap();
}

fn is_forgotten(place: &Place, pairs: &[Pair]) {
    let ends: Vec<_> = pairs
        .iter()
        .flat_map(|pair| [pair.client.local_addr(), pair.client.peer_addr()])
        .map(Result::unwrap)
        .collect();
    let known = || {
        entries(place, |entry| {
            let tuple = entry.tuple;
            ends.contains(&tuple.source) && ends.contains(&tuple.destination)
        })
    };
    assert!(wait_until(SOON, || known().is_empty()), "{:?}", known());
}

fn relabelled(lab: &mut Lab, app: &str) {
    lab.relabel("shop", "cart", &[("app", app)]).unwrap();
}

#[test]
fn p38_a_connection_without_an_entry_is_reset_when_its_peer_is_denied() {
    let mut stage = Stage::set(CART_ONLY);
    let mut pairs = stage.open(&stage.scene.cart);
    let mut friends = stage.open(&stage.friend);
    forget(&stage.scene.web, &mut pairs);
    let began = Instant::now();
    relabelled(&mut stage.scene.lab, "other");
    are_cut(&stage.scene, pairs, began);
    friends.iter_mut().for_each(Pair::greet);
}

/// Without an entry, and denied while podwall was down: whoever speaks first.
#[test]
fn p38_a_connection_without_an_entry_is_judged_by_the_podwall_that_comes() {
    let mut stage = Stage::set(CART_ONLY);
    let mut pairs = stage.open(&stage.scene.cart);
    let mut friends = stage.open(&stage.friend);
    forget(&stage.scene.web, &mut pairs);
    forget(&stage.scene.web, &mut friends);
    let process = stage.scene.sidecar().process();
    process.signal(Signal::KILL).unwrap();
    process.wait(SOON).unwrap();
    relabelled(&mut stage.scene.lab, "other");
    // The application's words make an entry of outbound direction, through which the client passes.
    for pair in &mut pairs {
        let Pair { client, app } = pair;
        say(app, client, b"an entry");
        say(client, app, b"established");
    }
    launch(&mut stage.scene, &[], &[]);
    becomes_ready(&stage.scene);
    are_cut(&stage.scene, pairs, Instant::now());
    friends.iter_mut().for_each(Pair::greet);
}

/// Connections of the pod's own to `shop/rogue`, whose peer speaks first after their entries are gone.
fn own_without_entries(stage: &Stage) -> [Pair; 2] {
    let app = App::listen(&stage.scene.rogue, APP);
    let to = both(&stage.scene.rogue, APP);
    let mut pairs = to.map(|to| Pair::open(&stage.scene.web, to, &app));
    forget(&stage.scene.web, &mut pairs);
    for pair in &mut pairs {
        say(&mut pair.app, &mut pair.client, b"an answer");
    }
    pairs
}

/// A connection of the pod's own, to a peer that may not enter; the peer speaks first after the entry is gone.
#[test]
fn s06_p38_the_pods_own_connection_goes_on_without_an_entry() {
    let mut stage = Stage::set(CART_ONLY);
    let mut pairs = own_without_entries(&stage);
    pairs.iter_mut().for_each(Pair::greet);
    // Nor does a change cut what looks inbound now.
    let inbound =
        |port| move |entry: &podwall_proxy::kernel::Entry| entry.tuple.source.port() == port;
    assert!(!entries(&stage.scene.web, inbound(APP)).is_empty());
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", FRIENDS_ONLY));
    let cart = stage.open(&stage.friend);
    drop(cart);
    pairs.iter_mut().for_each(Pair::greet);
}

/// The same where everybody may enter at first: its reply is not taken for an arrival, which a policy would cut later.
#[test]
fn s06_p38_the_pods_own_connection_is_no_arrival_to_an_open_pod() {
    let nobody = CART_ONLY.replace("app: web", "app: nothing-is");
    assert_ne!(nobody, CART_ONLY);
    let mut stage = Stage::set(&nobody);
    let mut pairs = own_without_entries(&stage);
    let mut inbound = stage.open(&stage.scene.cart);
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", FRIENDS_ONLY));
    for Pair { client, .. } in &mut inbound {
        assert_eq!(ending(client), Ending::Reset, "the policy holds");
    }
    pairs.iter_mut().for_each(Pair::greet);
    let rogue = stage.scene.rogue.addresses();
    let log = stage.scene.sidecar().log();
    let own = |line: &&serde_json::Value| {
        rogue
            .iter()
            .any(|one| line["source"] == one.to_string().as_str())
    };
    assert_eq!(log.iter().find(own), None, "nobody came from there");
}

/// While podwall stops nobody new is let in; what is open goes on, also where the kernel has forgotten it.
#[test]
fn p38_what_is_open_goes_on_without_an_entry_while_podwall_stops() {
    let stage = Stage::set_with(CART_ONLY, &[], &["--drain-timeout", "60s"]);
    let mut pairs = stage.open(&stage.scene.cart);
    let mut others = stage.open(&stage.friend);
    let process = stage.scene.sidecar().process();
    process.signal(Signal::TERM).unwrap();
    let to = both(&stage.scene.web, APP)[0];
    let refused = || {
        let refused = connect(&stage.scene.cart, to).map_err(|error| error.kind());
        matches!(refused, Err(ErrorKind::ConnectionRefused))
    };
    assert!(wait_until(SOON, refused), "newcomers are let in");
    forget(&stage.scene.web, &mut pairs);
    for Pair { client, app } in &mut pairs {
        say(client, app, b"in the middle");
        say(app, client, b"as before");
    }
    others.iter_mut().for_each(Pair::greet);
}

/// Nobody sweeps here, so what the queue's thread says is seen: an accepted connection is none of the pod's own.
#[test]
fn p38_who_was_let_in_and_forgotten_is_judged_like_a_newcomer() {
    let mut stage = Stage::set_with(CART_ONLY, &[], &["--keep-established"]);
    let mut pairs = stage.open(&stage.scene.cart);
    let mut friends = stage.open(&stage.friend);
    forget(&stage.scene.web, &mut pairs);
    forget(&stage.scene.web, &mut friends);
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", FRIENDS_ONLY));
    for Pair { client, app } in &mut pairs {
        client.write_all(b"in the middle").unwrap();
        assert_eq!(ending(client), Ending::Reset);
        app.set_nonblocking(true).unwrap();
        let heard = app.peek(&mut [0]).map_err(|error| error.kind());
        assert_eq!(heard, Err(ErrorKind::WouldBlock), "it hears nothing");
    }
    for Pair { client, app } in &mut friends {
        say(client, app, b"in the middle");
        say(app, client, b"as before");
    }
}

/// In the middle of a connection that this pod does not have, from a port of its own or not: judged like a SYN.
#[test]
fn p38_who_joins_in_the_middle_is_judged() {
    let mut stage = Stage::bare(CART_ONLY, |_| {});
    // Open before anybody has tracked anything.
    let mut pairs = stage.open(&stage.scene.cart);
    let rogues = stage.open(&stage.scene.rogue);
    guard(&mut stage.scene, &[], &[]);
    are_cut(&stage.scene, rogues, Instant::now());
    for pair in &mut pairs {
        say(&mut pair.client, &mut pair.app, b"in the middle");
        pair.greet();
    }
    let web = stage.scene.web.clone();
    is_gone(&web, &stage.scene.rogue);
}

/// No socket of the place has this peer.
fn is_gone(place: &Place, peer: &Pod) {
    let left = || connected(place, |tuple| peer.addresses().contains(&tuple.source.ip()));
    assert!(
        wait_until(Duration::from_secs(1), || left().is_empty()),
        "{:?}",
        left()
    );
}

/// The application resets its connection, of which the kernel's entry stays for seconds; the next SYN from the same port
/// counts as established by it.
fn comes_again_by_an_ended_connection(more: &[&str]) {
    const PORT: u16 = 20_000;
    let mut stage = Stage::set_with(CART_ONLY, &[], more);
    let to = both(&stage.scene.web, APP);
    for to in to {
        let client = connect_by(&stage.scene.cart, PORT, to, SOON).expect("let in");
        let app = stage.app.accept();
        SockRef::from(&app)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(app);
        assert_eq!(ending(&mut { client }), Ending::Reset);
    }
    let ended = entries(&stage.scene.web, |entry| {
        entry.tuple.source.port() == PORT && entry.ended
    });
    assert_eq!(ended.len(), 2, "the kernel remembers both: {ended:?}");
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", FRIENDS_ONLY));
    for to in to {
        // Silently while the entry is there, as it might be that of a connection that stands; podwall says so.
        let entered = connect_by(&stage.scene.cart, PORT, to, Duration::from_millis(500));
        assert_eq!(
            entered.map_err(|error| error.kind()).map(drop),
            Err(ErrorKind::TimedOut),
            "{to}"
        );
        let denied = |line: &serde_json::Value| {
            line["source_port"] == PORT
                && line["end"] == "denied"
                && line["destination"] == to.ip().to_string().as_str()
        };
        stage.scene.sidecar().wait_log(0, denied, SOON).unwrap();
    }
    assert!(!stage.app.has_visitor());
}

/// A denied SYN with the ends of a connection that stands: a late copy, or a forged one. It ends nothing.
#[test]
fn p28_a_late_copy_of_a_syn_ends_no_connection() {
    let mut stage = Stage::set_with(CART_ONLY, &[], &["--keep-established"]);
    let mut pairs = stage.open(&stage.scene.cart);
    stage
        .scene
        .change(|lab| lab.policy("shop", "cart-only", FRIENDS_ONLY));
    for (pair, to) in pairs.iter().zip(both(&stage.scene.web, APP)) {
        let client = pair.client.local_addr().unwrap();
        Forger::new(&stage.scene.cart, to).syn(client);
        let denied = |line: &serde_json::Value| {
            is_from(line, client) && line["reason"] == "no_rule_admits" && line["end"] == "denied"
        };
        stage.scene.sidecar().wait_log(0, denied, SOON).unwrap();
        let ended =
            |entry: &podwall_proxy::kernel::Entry| entry.tuple.source == client && entry.ended;
        assert!(entries(&stage.scene.web, ended).is_empty(), "{to}");
    }
    pairs.iter_mut().for_each(Pair::greet);
    let clients = clients(&pairs);
    let is_of_them = |line: &serde_json::Value| clients.iter().any(|one| is_from(line, *one));
    let closed = |line: &serde_json::Value| line["end"] == "closed" && is_of_them(line);
    assert!(!stage.scene.sidecar().log().iter().any(closed));
}

#[test]
fn p28_an_ended_connection_lets_nobody_in_by_its_entry() {
    comes_again_by_an_ended_connection(&[]);
}

#[test]
fn p28_nor_does_it_where_established_connections_are_kept() {
    comes_again_by_an_ended_connection(&["--keep-established"]);
}
