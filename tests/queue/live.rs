//! P28, S82: a change that turns a verdict cuts what the kernel carries, within a second, at both ends; nothing else.

use std::io::ErrorKind;
use std::time::Instant;

use podwall_lab::{Lab, Pod, PodSpec, wait_until};
use serde_json::Value;

use super::stage::{
    ABORTED, CUT, DATAGRAMS, FRIENDS_ONLY, Stage, are_cut, clients, guard, is_from, line,
};
use crate::datagrams::{self, Client};
use crate::manifests::{adopt_pod, write};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, App, Pair, both, connect, ending};

/// The peer's own application, which the pod calls.
const PEERS: u16 = 7100;
const PEERS_DATAGRAMS: u16 = 5400;

/// What a client has open: TCP, UDP that was answered and UDP that was not, over both families.
struct Open {
    pairs: Vec<Pair>,
    answered: Vec<Client>,
    one_way: Vec<Client>,
}

impl Open {
    fn new(stage: &Stage, client: &Pod) -> Self {
        Self {
            pairs: stage.open(client),
            answered: stage.streams(client, true),
            one_way: stage.streams(client, false),
        }
    }

    fn streams(&self) -> impl Iterator<Item = &Client> {
        self.answered.iter().chain(&self.one_way)
    }

    fn goes_on(&mut self, stage: &Stage) {
        self.pairs.iter_mut().for_each(Pair::greet);
        stage.datagrams.drain();
        self.streams().for_each(|stream| stage.comes_in(stream));
    }
}

/// The pod's own flows towards a peer.
struct Outward {
    pairs: Vec<Pair>,
    streams: Vec<Client>,
    peer: datagrams::App,
}

impl Outward {
    fn new(stage: &Stage, peer: &Pod) -> Self {
        let app = App::listen(peer, PEERS);
        let pairs = both(peer, PEERS).map(|to| Pair::open(&stage.scene.web, to, &app));
        let peer_app = datagrams::App::listen(peer, PEERS_DATAGRAMS);
        let streams = datagrams::both(peer, PEERS_DATAGRAMS);
        let mut outward = Self {
            pairs: pairs.into(),
            streams: streams.map(|to| Client::new(&stage.scene.web, to)).into(),
            peer: peer_app,
        };
        outward.goes_on();
        outward
    }

    fn goes_on(&mut self) {
        self.pairs.iter_mut().for_each(Pair::greet);
        for stream in &self.streams {
            stream.say(b"out");
            let (heard, from) = self.peer.hear();
            assert_eq!(heard, b"out");
            self.peer.answer(b"back", from);
            assert_eq!(stream.hear(), b"back");
        }
    }
}

/// Makes the change and proves that `peer` is cut in all it has open, and nobody else; then that it may come again after
/// the change back.
fn turns(
    stage: &mut Stage,
    peer: &Pod,
    reason: &str,
    turn: impl FnOnce(&mut Lab),
    back: impl FnOnce(&mut Lab),
) {
    let mut friend = Open::new(stage, &stage.friend.clone());
    let mut outward = Outward::new(stage, peer);
    let Open {
        pairs,
        answered,
        one_way,
    } = Open::new(stage, peer);
    let sources = clients(&pairs);
    let began = Instant::now();
    turn(&mut stage.scene.lab);
    are_cut(&stage.scene, pairs, began);
    let streams: Vec<Client> = answered.into_iter().chain(one_way).collect();
    let sources = sources
        .into_iter()
        .chain(streams.iter().map(Client::address));
    for source in sources {
        is_told(stage, source, reason);
    }
    stage.stay_out(&streams, &friend.answered[0]);
    friend.goes_on(stage);
    outward.goes_on();
    for to in both(&stage.scene.web, APP) {
        let refused = connect(peer, to).map_err(|error| error.kind());
        assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused, "{to}");
    }
    back(&mut stage.scene.lab);
    streams
        .iter()
        .for_each(|stream| stage.comes_in_again(stream));
    stage.open(peer);
    friend.goes_on(stage);
    outward.goes_on();
}

/// The log has the revocation, within its time, and the end.
fn is_told(stage: &Stage, source: std::net::SocketAddr, reason: &str) {
    let revocation = line(&stage.scene, "revocation", source);
    let end = line(&stage.scene, "connection", source);
    for line in [&revocation, &end] {
        let told = ["mode", "verdict", "reason"].map(|field| &line[field]);
        let wanted = ["queue", "deny", reason].map(Value::from);
        assert_eq!(told, wanted.each_ref(), "{line}");
        assert_ne!(line["nearest_miss"], Value::Null, "{line}");
    }
    assert_eq!(end["end"], "revoked", "{end}");
}

#[test]
fn p28_a_policy_change_cuts_and_the_way_back_opens() {
    let mut stage = Stage::set(CART_ONLY);
    let cart = stage.scene.cart.clone();
    turns(
        &mut stage,
        &cart,
        "no_rule_admits",
        |lab| lab.policy("shop", "cart-only", FRIENDS_ONLY).unwrap(),
        |lab| lab.policy("shop", "cart-only", CART_ONLY).unwrap(),
    );
}

#[test]
fn p28_a_relabelled_peer_is_cut() {
    let mut stage = Stage::set(CART_ONLY);
    let cart = stage.scene.cart.clone();
    turns(
        &mut stage,
        &cart,
        "no_rule_admits",
        |lab| lab.relabel("shop", "cart", &[("app", "other")]).unwrap(),
        |lab| lab.relabel("shop", "cart", &[("app", "cart")]).unwrap(),
    );
}

#[test]
fn p28_the_peers_of_a_relabelled_namespace_are_cut() {
    let team = "{ namespaceSelector: { matchLabels: { team: b } } }, { podSelector: { matchLabels: { keep: 'yes' } } }";
    let policy = CART_ONLY.replace("{ podSelector: { matchLabels: { app: cart } } }", team);
    let mut stage = Stage::set(&policy);
    let stranger = stage.scene.stranger.clone();
    turns(
        &mut stage,
        &stranger,
        "no_rule_admits",
        |lab| lab.namespace("other", &[("team", "c")]).unwrap(),
        |lab| lab.namespace("other", &[("team", "b")]).unwrap(),
    );
}

/// Only the source speaks of the new owner, so the client is there to see its reset.
#[test]
fn s73_an_address_that_changes_hands_in_the_source_is_cut() {
    let mut cart = Value::Null;
    let mut stage = Stage::bare(CART_ONLY, |lab| {
        cart = adopt_pod(lab, "shop", "cart", "cart.json");
    });
    guard(&mut stage.scene, &[], &[]);
    let mut heir = cart.clone();
    heir["metadata"]["name"] = "heir".into();
    heir["metadata"]["uid"] = "another".into();
    heir["metadata"]["labels"]["app"] = "rogue".into();
    let peer = stage.scene.cart.clone();
    turns(
        &mut stage,
        &peer,
        "no_rule_admits",
        |lab| write(lab, "cart.json", heir.to_string()),
        |lab| write(lab, "cart.json", cart.to_string()),
    );
}

/// P8, S70, S72: the pod has finished, and a new one has its address and even its port.
#[test]
fn p08_s73_the_next_owner_of_an_address_inherits_no_flow() {
    let mut stage = Stage::set(CART_ONLY);
    let cart = stage.scene.cart.clone();
    let friend = stage.streams(&stage.friend, true);
    let pairs = stage.open(&cart);
    let sources: Vec<_> = stage
        .streams(&cart, true)
        .iter()
        .map(Client::address)
        .collect();
    let began = Instant::now();
    let heir = PodSpec::new("shop", "heir").label("app", "rogue");
    let heir = heir.address(cart.v4()).address(cart.v6());
    let heir = stage.scene.lab.batch(|lab| {
        lab.set_phase("shop", "cart", "Succeeded")?;
        lab.pod(heir)
    });
    let heir = heir.unwrap();
    for mut pair in pairs {
        assert_eq!(ending(&mut pair.app), ABORTED);
        // The lab makes the heir's network meanwhile.
        assert!(began.elapsed() < CUT, "after {:?}", began.elapsed());
    }
    let to = datagrams::both(&stage.scene.web, DATAGRAMS);
    let streams: Vec<Client> = sources
        .into_iter()
        .zip(to)
        .map(|(source, to)| Client::from(&heir, source, to))
        .collect();
    for stream in &streams {
        is_told(&stage, stream.address(), "no_rule_admits");
    }
    stage.stay_out(&streams, &friend[0]);
    for to in both(&stage.scene.web, APP) {
        let refused = connect(&heir, to).map_err(|error| error.kind());
        assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused, "{to}");
    }
}

#[test]
fn p28_keep_established_spares_what_is_open_and_judges_what_is_new() {
    let mut stage = Stage::set_with(CART_ONLY, &[], &["--keep-established"]);
    let mut open = Open::new(&stage, &stage.scene.cart);
    // So many changes that what the first would cut were cut before the last.
    for other in ["other", "another"].repeat(10) {
        let other = [("app", other)];
        stage
            .scene
            .change(|lab| lab.relabel("shop", "cart", &other));
        for to in both(&stage.scene.web, APP) {
            let refused = connect(&stage.scene.cart, to).map_err(|error| error.kind());
            assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused, "{to}");
        }
        open.goes_on(&stage);
    }
    let revoked = |line: &Value| line["kind"] == "revocation";
    assert!(!stage.scene.sidecar().log().iter().any(revoked));
}

/// A change of everything, under which every verdict stays as it was.
#[test]
fn p28_a_verdict_that_stays_is_no_cut() {
    let mut stage = Stage::set(CART_ONLY);
    let mut open = Open::new(&stage, &stage.scene.cart);
    // So many changes that what the first would cut were cut before the last.
    for name in ["the-same", "cart-only"].repeat(5) {
        let renamed = CART_ONLY.replace("cart-only", name);
        stage.scene.change(|lab| lab.set_policies_yaml(&renamed));
        let more = [("app", "cart"), ("more", name)];
        stage.scene.change(|lab| lab.relabel("shop", "cart", &more));
        stage
            .scene
            .change(|lab| lab.namespace("shop", &[("team", name)]));
    }
    open.goes_on(&stage);
    let told = |line: &Value| open.streams().any(|stream| is_from(line, stream.address()));
    let log = stage.scene.sidecar().log();
    assert!(!log.iter().any(told), "{log:#?}");
}

/// All of many, within their second.
#[test]
fn p28_all_of_many_are_cut_and_only_those() {
    const MANY: usize = 400;
    let mut stage = Stage::set(CART_ONLY);
    let to = both(&stage.scene.web, APP);
    let open = |at: usize| Pair::open(&stage.scene.cart, to[at % 2], &stage.app);
    let mut pairs: Vec<Pair> = (0..MANY).map(open).collect();
    let mut friends = Open::new(&stage, &stage.friend);
    let began = Instant::now();
    let other = [("app", "other")];
    stage.scene.lab.relabel("shop", "cart", &other).unwrap();
    for pair in &mut pairs {
        assert_eq!(ending(&mut pair.app), ABORTED);
        assert_eq!(ending(&mut pair.client), crate::talk::Ending::Reset);
    }
    assert!(began.elapsed() < CUT, "after {:?}", began.elapsed());
    friends.goes_on(&stage);
    let revoked = || {
        let series = "podwall_revoked_total{reason=\"no_rule_admits\"}";
        stage.scene.sidecar().metric(series).unwrap()
    };
    assert!(
        wait_until(SOON, || revoked() == Some(MANY as f64)),
        "{:?}",
        revoked()
    );
}
