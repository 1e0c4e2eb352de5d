//! Who is not let in gets nothing, and the log says so once.

use std::net::SocketAddr;

use podwall_lab::{PodSpec, Setting, Sidecar, wait_until};

use super::stage::{
    App, Client, DNS, MDNS, SHARED, both, guarded, is_of, line, lines, metric, reaches, setting,
};
use crate::support::{CART_ONLY, SOON, Scene, podwall};

const DROPPED: &str = "podwall_udp_dropped_total{why=\"denied\"}";

#[test]
fn a_denied_sender_gets_nothing_and_is_told_of_once_however_much_it_sends() {
    let scene = guarded(CART_ONLY);
    let app = App::listen(&scene.web, DNS);
    let mut sent = 0;
    for pod in [&scene.rogue, &scene.stranger] {
        for to in both(&scene.web, DNS) {
            let client = Client::new(pod, to);
            for _ in 0..50 {
                client.say(b"let me in");
            }
            sent += 50;
            let line = line(&scene, "connection", client.address());
            let told = (&line["verdict"], &line["reason"], &line["end"]);
            let wanted = ("deny".into(), "no_rule_admits".into(), "denied".into());
            assert_eq!(told, (&wanted.0, &wanted.1, &wanted.2), "{line}");
            assert_eq!(line["nearest_miss"]["policy"], "shop/cart-only", "{line}");
            assert_eq!(
                (&line["bytes_in"], &line["bytes_out"]),
                (&0.into(), &0.into())
            );
            reaches(&scene, DROPPED, f64::from(sent));
            assert_eq!(lines(&scene, client.address()), 1);
            assert!(client.has_heard_nothing());
        }
    }
    assert!(app.has_heard_nothing());
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 0.0);
    let series = "podwall_arrivals_total{mode=\"redirect\",protocol=\"UDP\",verdict=\"deny\",reason=\"no_rule_admits\"}";
    assert_eq!(metric(&scene, series), 4.0);
}

/// A policy for one port and protocol says nothing of the others.
#[test]
fn s19_each_port_and_protocol_is_judged_by_itself() {
    let policy = CART_ONLY.replace(
        "app: cart } } }]",
        "app: cart } } }]\n      ports: [{ port: 53, protocol: UDP }, { port: 5353 }]",
    );
    let scene = guarded(&policy);
    let _app = App::listen(&scene.web, DNS).echo();
    let other = App::listen(&scene.web, MDNS);
    for (to, to_other) in both(&scene.web, DNS)
        .into_iter()
        .zip(both(&scene.web, MDNS))
    {
        Client::new(&scene.cart, to).ask(b"in");
        let client = Client::new(&scene.cart, to_other);
        client.say(b"out");
        let line = line(&scene, "connection", client.address());
        assert_eq!(line["nearest_miss"]["clause"], "port", "{line}");
    }
    assert!(other.has_heard_nothing());
}

#[test]
fn p07_a_newcomers_first_datagrams_wait_for_its_pod_and_arrive_in_order() {
    let mut scene = guarded(CART_ONLY);
    let app = App::listen(&scene.web, DNS);
    // Its own hold decides whether the change is in time; a loaded machine has more than one attempt.
    let arrived = (0..10).any(|attempt| {
        let name = format!("newcomer{attempt}");
        let spec = PodSpec::new("shop", &name)
            .label("app", "cart")
            .unannounced();
        let newcomer = scene.lab.pod(spec).unwrap();
        let [to, _] = both(&scene.web, DNS);
        let client = Client::new(&newcomer, to);
        for words in [b"one", b"two"] {
            client.say(words);
        }
        scene.lab.announce("shop", &name).unwrap();
        let told = |line: &serde_json::Value| is_of(line, client.address());
        let is_open = || metric(&scene, "podwall_udp_sessions") > 0.0;
        let is_told = || scene.sidecar().log().iter().any(told);
        assert!(wait_until(SOON, || is_open() || is_told()));
        if !is_open() {
            return false;
        }
        for words in [b"one", b"two"] {
            let (heard, from) = app.hear();
            assert_eq!(heard, words);
            app.answer(words, from);
            assert_eq!(client.hear(), words);
        }
        true
    });
    assert!(
        arrived,
        "never let in: {}",
        scene.sidecar().process().output_so_far()
    );
    reaches(&scene, "podwall_held", 0.0);
}

#[test]
fn p07_s81_who_stays_unknown_is_denied_after_the_hold() {
    let mut scene = guarded(CART_ONLY);
    let app = App::listen(&scene.web, DNS);
    let nobody = PodSpec::new("shop", "nobody")
        .label("app", "cart")
        .unannounced();
    let nobody = scene.lab.pod(nobody).unwrap();
    for to in both(&scene.web, DNS) {
        let before = metric(&scene, DROPPED);
        let client = Client::new(&nobody, to);
        for _ in 0..6 {
            client.say(b"who am I");
        }
        let line = line(&scene, "connection", client.address());
        assert_eq!(line["reason"], "peer_unknown", "{line}");
        let took = line["duration_ms"].as_u64().unwrap();
        assert!((900..2000).contains(&took), "{line}");
        assert!(line["held_ms"].as_u64() > Some(500), "{line}");
        // Four of a flow wait, two found no room.
        reaches(&scene, DROPPED, before + 4.0);
        client.say(b"still here");
        reaches(&scene, DROPPED, before + 5.0);
        assert_eq!(lines(&scene, client.address()), 1);
    }
    assert_eq!(
        metric(&scene, "podwall_udp_dropped_total{why=\"held\"}"),
        4.0
    );
    assert!(app.has_heard_nothing());
}

/// A port that no flag names is the rules' to drop, so podwall never hears of it.
#[test]
fn s60_a_port_that_is_not_carried_is_dropped_without_a_line() {
    let scene = guarded(CART_ONLY);
    let other = App::listen(&scene.web, 69);
    let listener = 15_874;
    for to in both(&scene.web, 69) {
        let client = Client::new(&scene.cart, to);
        client.say(b"let me in");
        // Nor is there a way around the rules to a listener.
        let client = Client::new(&scene.cart, SocketAddr::new(to.ip(), listener));
        client.say(b"straight to the listener");
        // What is carried and comes later has come.
        let _app = App::listen(&scene.web, DNS).echo();
        Client::new(&scene.cart, SocketAddr::new(to.ip(), DNS)).ask(b"in");
    }
    assert!(other.has_heard_nothing());
    assert!(scene.sidecar().log().is_empty());
    assert_eq!(metric(&scene, "podwall_udp_sessions"), 2.0);
    assert_eq!(metric(&scene, DROPPED), 0.0);
}

/// P33: what listens on loopback only stays out of reach.
#[test]
fn p33_a_port_open_on_loopback_only_is_not_reachable() {
    let scene = guarded(CART_ONLY);
    let apps =
        ["127.0.0.1:53", "[::1]:53"].map(|one| App::listen_at(&scene.web, one.parse().unwrap()));
    for (count, to) in both(&scene.web, DNS).into_iter().enumerate() {
        let client = Client::new(&scene.cart, to);
        client.say(b"let me in");
        let unreachable = "podwall_udp_app_unreachable_total";
        reaches(&scene, unreachable, (count + 1) as f64);
        assert!(client.has_heard_nothing());
    }
    assert!(apps.iter().all(App::has_heard_nothing));
}

/// With `--node-port` the node's datagrams are judged by its address, like those of a client that is no pod.
#[test]
fn p11_s65_with_node_ports_the_nodes_datagrams_are_judged() {
    let mut scene = Scene::bare(CART_ONLY);
    let shared = [SHARED, &["--node-port", "80"]].concat();
    let setting = Setting {
        shared: &shared,
        ..setting(&[])
    };
    let sidecar = Sidecar::start_as(&setting, &scene.lab, &scene.web, &podwall());
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
    let app = App::listen(&scene.web, DNS);
    let clients = both(&scene.web, DNS).map(|to| Client::new(scene.lab.node(), to));
    for client in &clients {
        client.say(b"let me in");
        let line = line(&scene, "connection", client.address());
        assert_eq!(line["reason"], "peer_unknown", "{line}");
    }
    assert!(app.has_heard_nothing());
    let blocks = clients.each_ref().map(|client| {
        let address = client.address().ip();
        let length = if address.is_ipv4() { 32 } else { 128 };
        format!("{{ ipBlock: {{ cidr: \"{address}/{length}\" }} }}")
    });
    let open = format!("from: [{}]", blocks.join(", "));
    let policy = CART_ONLY.replace(
        "from: [{ podSelector: { matchLabels: { app: cart } } }]",
        &open,
    );
    assert_ne!(policy, CART_ONLY);
    scene.change(|lab| lab.set_policies_yaml(&policy));
    let _app = app.echo();
    clients.iter().for_each(|client| client.ask(b"in"));
}
