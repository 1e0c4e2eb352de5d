//! What a killed podwall left behind, and what was there before there ever was one: judged by the policy of the day,
//! within a second of readiness.

use std::io::ErrorKind;
use std::time::Instant;

use podwall_lab::Signal;

use super::stage::{
    FRIENDS_ONLY, Stage, are_cut, becomes_ready, clients, guard, launch, line, readiness,
};
use crate::datagrams::Client;
use crate::inside::run;
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, Pair, both, connect};

/// A change cuts what podwall itself did not let in.
fn is_told(stage: &Stage, sources: impl IntoIterator<Item = std::net::SocketAddr>) {
    for source in sources {
        for kind in ["revocation", "connection"] {
            let line = line(&stage.scene, kind, source);
            assert_eq!(line["reason"], "no_rule_admits", "{line}");
        }
    }
}

#[test]
fn p28_a_restart_judges_what_is_there_by_the_present_policy() {
    let mut stage = Stage::set(CART_ONLY);
    let mut pairs = stage.open(&stage.scene.cart);
    let streams: Vec<Client> = [true, false]
        .into_iter()
        .flat_map(|answered| stage.streams(&stage.scene.cart, answered))
        .collect();
    let mut friends = stage.open(&stage.friend);
    let friend = stage.streams(&stage.friend, true);
    let process = stage.scene.sidecar().process();
    process.signal(Signal::KILL).unwrap();
    process.wait(SOON).unwrap();
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "cart-only", FRIENDS_ONLY).unwrap();
    pairs.iter_mut().for_each(Pair::greet);
    launch(&mut stage.scene, &[], &[]);
    becomes_ready(&stage.scene);
    let sources = clients(&pairs);
    are_cut(&stage.scene, pairs, Instant::now());
    is_told(
        &stage,
        sources
            .into_iter()
            .chain(streams.iter().map(Client::address)),
    );
    stage.stay_out(&streams, &friend[0]);
    friends.iter_mut().for_each(Pair::greet);
    friend.iter().for_each(|one| stage.comes_in(one));
    // A friend's flow is followed to its end by the podwall that found it.
    let ends = clients(&friends);
    drop(friends);
    for end in ends {
        let line = line(&stage.scene, "connection", end);
        assert_eq!(
            (&line["verdict"], &line["end"]),
            (&"allow".into(), &"closed".into())
        );
    }
    // What is refused may come again when the policy says so.
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "cart-only", CART_ONLY).unwrap();
    streams
        .iter()
        .for_each(|stream| stage.comes_in_again(stream));
}

#[test]
fn p28_what_was_tracked_before_podwall_ever_was_is_judged() {
    let mut stage = Stage::bare(FRIENDS_ONLY, |_| {});
    // Somebody else's rule makes the kernel track.
    for program in ["iptables-nft", "ip6tables-nft"] {
        let rule = "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT";
        run(&stage.scene.web, &format!("{program} {rule}"));
    }
    let pairs = stage.open(&stage.scene.cart);
    let streams = stage.streams(&stage.scene.cart, true);
    let mut friends = stage.open(&stage.friend);
    let friend = stage.streams(&stage.friend, true);
    guard(&mut stage.scene, &[], &[]);
    let sources = clients(&pairs);
    are_cut(&stage.scene, pairs, Instant::now());
    is_told(
        &stage,
        sources
            .into_iter()
            .chain(streams.iter().map(Client::address)),
    );
    stage.stay_out(&streams, &friend[0]);
    friends.iter_mut().for_each(Pair::greet);
    friend.iter().for_each(|one| stage.comes_in(one));
}

/// A podwall that knows nothing yet cuts nobody that one before it let in; whoever is new waits.
#[test]
fn p06_before_the_first_sync_what_is_there_goes_on() {
    let mut stage = Stage::set(CART_ONLY);
    let mut pairs = stage.open(&stage.scene.cart);
    let streams = stage.streams(&stage.scene.cart, false);
    let late = stage.scene.lab.dir().join("late.yaml");
    let more = ["-f", late.to_str().unwrap()];
    launch(&mut stage.scene, &[], &more);
    assert_eq!(readiness(&stage.scene).0, 503);
    for to in both(&stage.scene.web, APP) {
        let refused = connect(&stage.scene.cart, to).map_err(|error| error.kind());
        assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused, "{to}");
    }
    pairs.iter_mut().for_each(Pair::greet);
    streams.iter().for_each(|one| stage.comes_in(one));
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "cart-only", FRIENDS_ONLY).unwrap();
    let draft = late.with_extension("draft");
    std::fs::write(
        &draft,
        "apiVersion: v1\nkind: Namespace\nmetadata: { name: late }\n",
    )
    .unwrap();
    let began = Instant::now();
    std::fs::rename(draft, late).unwrap();
    are_cut(&stage.scene, pairs, began);
}
