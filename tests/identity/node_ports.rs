//! P11, S65: the strict option, by which the node goes past podwall on the ports of the pod's probes only.

use std::net::IpAddr;

use podwall_lab::{Place, Sidecar, wait_until};
use serde_json::Value;

use super::waiting::relaunch;
use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};
use crate::talk::{App, Ending, connect_from, fate};

/// Port 80 is what the probes use; 9000 is the application's too, and no probe's.
const STRICT: [&str; 2] = ["--node-port", "80"];

/// Lets the node in on every port by its addresses, as whoever wants that writes it.
const NODE_BLOCKS: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: node, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  policyTypes: [Ingress]
  ingress:
    - from: [{ ipBlock: { cidr: NODE4/32 } }, { ipBlock: { cidr: NODE6/128 } }]
      ports: [{ port: 9000 }]
";

/// Every address of the node with the pod's address of its family.
fn ways(scene: &Scene) -> [(IpAddr, IpAddr); 4] {
    let (node, web) = (scene.lab.node(), &scene.web);
    [
        (node.v4().into(), web.v4().into()),
        (node.v6().into(), web.v6().into()),
        (node.host_v4().into(), web.v4().into()),
        (node.host_v6().into(), web.v6().into()),
    ]
}

/// A probe from each of the node's addresses reaches the application itself.
fn probes_reach(scene: &Scene, app: &App, when: &str) {
    for (source, to) in ways(scene) {
        let probe = connect_from(scene.lab.node(), source, (to, 80).into());
        let probe = probe.unwrap_or_else(|error| panic!("{when}: {source}: {error}"));
        let peer = app.accept().peer_addr().unwrap().ip().to_canonical();
        assert_eq!(peer, source, "{when}");
        drop(probe);
    }
}

/// What one of the node's addresses meets at port 9000, by the log: verdict and reason. Where it is let in, the
/// application is the one given.
fn told(scene: &Scene, (source, to): (IpAddr, IpAddr), app: Option<&App>) -> String {
    let skip = scene.sidecar().log().len();
    let client = connect_from(scene.lab.node(), source, (to, 9000).into());
    // A line is written at the end, so both sides end it.
    drop(app.map(App::accept));
    drop(client);
    let own = |line: &Value| {
        line["source"] == source.to_string().as_str() && line["destination_port"] == 9000
    };
    let line = scene.sidecar().wait_log(skip, own, SOON).unwrap();
    let word = |name: &str| line[name].as_str().unwrap().to_owned();
    format!("{} {}", word("verdict"), word("reason"))
}

#[test]
fn p11_s65_strict_option_lets_the_node_reach_probe_ports_only() {
    let mut scene = Scene::bare(CART_ONLY);
    let (probed, other) = (
        App::listen(scene.web.place(), 80),
        App::listen(scene.web.place(), 9000),
    );
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &STRICT).unwrap();
    let down = |scene: &Scene, when: &str| {
        probes_reach(scene, &probed, when);
        for (source, to) in ways(scene) {
            let refused = connect_from(scene.lab.node(), source, (to, 9000).into());
            let refused = refused.expect_err(when).kind();
            assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "{when}");
        }
    };
    down(&scene, "never started");
    // Its own probes come through the same rules: /livez and /readyz are asked from the node.
    relaunch(&mut scene, &STRICT);
    let ready = || {
        scene
            .sidecar()
            .get("/readyz")
            .is_ok_and(|(code, _)| code == 200)
    };
    assert!(
        wait_until(SOON, ready),
        "{}",
        scene.sidecar().process().output_so_far()
    );
    probes_reach(&scene, &probed, "isolated");
    // Only pods may enter, and the node's address is no pod's.
    for way in ways(&scene) {
        assert_eq!(told(&scene, way, None), "deny peer_unknown", "{way:?}");
    }
    let block = |one: IpAddr| NODE_BLOCKS.replace("NODE4", &one.to_string());
    let (node, foreign) = (scene.lab.node(), "2001:db8::1");
    let host = block(node.host_v4().into()).replace("NODE6", &node.host_v6().to_string());
    let nobody = block([192, 0, 2, 1].into()).replace("NODE6", foreign);
    scene.change(|lab| lab.set_policies_yaml(&nobody));
    for way in ways(&scene) {
        assert_eq!(told(&scene, way, None), "deny no_rule_admits", "{way:?}");
    }
    assert!(
        !other.has_visitor(),
        "a denied caller reached the application"
    );
    scene.change(|lab| lab.set_policies_yaml(&host));
    for (at, way) in ways(&scene).into_iter().enumerate() {
        let (app, expected) = match at {
            0 | 1 => (None, "deny no_rule_admits"),
            _ => (Some(&other), "allow rule"),
        };
        assert_eq!(told(&scene, way, app), expected, "{way:?}");
    }
    probes_reach(&scene, &probed, "one address may enter 9000");
    let lines = scene.sidecar().log();
    assert!(
        lines.iter().all(|line| line["destination_port"] == 9000),
        "probes go past: {lines:#?}"
    );
    scene.sidecar = None;
    down(&scene, "killed");
}

/// What a NodePort masquerades is kept out where it aims at no probe's port, and only there.
#[test]
fn p11_s65_strict_option_keeps_out_what_the_node_masquerades_elsewhere() {
    let mut scene = Scene::bare(CART_ONLY);
    scene.serve();
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &STRICT).unwrap();
    relaunch(&mut scene, &STRICT);
    let ready = || {
        scene
            .sidecar()
            .get("/readyz")
            .is_ok_and(|(code, _)| code == 200)
    };
    assert!(
        wait_until(SOON, ready),
        "{}",
        scene.sidecar().process().output_so_far()
    );
    assert_eq!(scene.ask(&scene.cart, 9000), Seen::Page);
    let (node, web) = (scene.lab.node(), scene.web.v4());
    for (outside, port) in [(30080, 80), (30900, 9000)] {
        let to = format!("-A PREROUTING -p tcp --dport {outside} -j DNAT --to {web}:{port}");
        nat(node, &to);
    }
    nat(
        node,
        &format!("-A POSTROUTING -d {web} -p tcp -j MASQUERADE"),
    );
    let host = node.host_v4();
    let answer = scene.rogue.curl(&format!("http://{host}:30080/"), SOON);
    assert_eq!(answer.http, Some(200), "README says so: {}", answer.error);
    assert_eq!(fate(&scene.rogue, (host, 30900).into()), Ending::Reset);
}

fn nat(node: &Place, rule: &str) {
    let words = rule.split(' ');
    let done = node.command("iptables").args(["-t", "nat"]).args(words);
    let done = done.run(SOON).unwrap();
    assert!(done.status.success(), "{rule}: {}", done.stderr);
}
