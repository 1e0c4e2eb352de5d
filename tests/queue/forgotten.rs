//! P38, S6: connections of which connection tracking knows nothing any more.

use std::time::{Duration, Instant};

use podwall_lab::{Lab, Place, Pod, Signal, wait_until};

use super::stage::{
    FRIENDS_ONLY, Stage, are_cut, becomes_ready, connected, entries, guard, launch,
};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, App, Pair, both, say};

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

/// A connection of the pod's own, to a peer that may not enter; the peer speaks first after the entry is gone.
#[test]
fn s06_p38_the_pods_own_connection_goes_on_without_an_entry() {
    let mut stage = Stage::set(CART_ONLY);
    let app = App::listen(&stage.scene.rogue, APP);
    let to = both(&stage.scene.rogue, APP);
    let mut pairs = to.map(|to| Pair::open(&stage.scene.web, to, &app));
    forget(&stage.scene.web, &mut pairs);
    for pair in &mut pairs {
        say(&mut pair.app, &mut pair.client, b"an answer");
        pair.greet();
    }
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
