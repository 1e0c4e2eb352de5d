//! P10, S63, S64: the pod's own node always enters; S65, S58, S59: what that and a Service look like from inside.

use std::io::Write;
use std::net::IpAddr;

use podwall_lab::{Place, Sidecar};

use super::waiting::launch;
use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};
use crate::talk::{APP, App, Ending, connect, connect_from, ending};

/// The node's addresses as the source of a probe: the bridge's, which the pod knows as its gateway, and the host's own.
fn node_addresses(scene: &Scene) -> [(IpAddr, IpAddr); 4] {
    let (node, web) = (scene.lab.node(), &scene.web);
    [
        (node.v4().into(), web.v4().into()),
        (node.v6().into(), web.v6().into()),
        (node.host_v4().into(), web.v4().into()),
        (node.host_v6().into(), web.v6().into()),
    ]
}

/// A probe from each of the node's addresses reaches the application itself, which sees it come from there.
fn probes_reach(scene: &Scene, app: &App, when: &str) {
    for (source, to) in node_addresses(scene) {
        let probe = connect_from(scene.lab.node(), source, (to, APP).into());
        let probe = probe.unwrap_or_else(|error| panic!("{when}: {source}: {error}"));
        let peer = app.accept().peer_addr().unwrap().ip().to_canonical();
        assert_eq!(peer, source, "{when}");
        drop(probe);
    }
}

/// A tcpSocket probe of a port where nobody listens fails: podwall does not answer for a dead application (P12).
fn probes_of_the_dead_fail(scene: &Scene, when: &str) {
    for (source, to) in node_addresses(scene) {
        let probe = connect_from(scene.lab.node(), source, (to, APP + 1).into());
        let error = probe.expect_err(when).kind();
        assert_eq!(
            error,
            std::io::ErrorKind::ConnectionRefused,
            "{when}: {source}"
        );
    }
}

#[test]
fn p10_s63_s64_the_node_enters_whatever_the_policies_and_is_not_logged() {
    let mut scene = Scene::guarded(CART_ONLY);
    let app = App::listen(scene.web.place(), APP);
    probes_reach(&scene, &app, "isolated");
    probes_of_the_dead_fail(&scene, "isolated");
    let nobody = CART_ONLY.replace("app: cart", "app: nobody");
    scene.change(|lab| lab.set_policies_yaml(&nobody));
    probes_reach(&scene, &app, "nobody may enter");
    // Whoever came later is logged, so nothing of the node's is on its way still.
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Reset);
    scene.line(0, &scene.rogue, 80);
    let lines = scene.sidecar().log();
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[test]
fn p10_s63_the_node_enters_before_the_first_sync() {
    let mut scene = Scene::bare(CART_ONLY);
    let app = App::listen(scene.web.place(), APP);
    launch(&mut scene, &["-f", "/nowhere/at/all.yaml"]);
    let (code, _) = scene.sidecar().get("/readyz").unwrap();
    assert_eq!(code, 503);
    probes_reach(&scene, &app, "not synced");
    probes_of_the_dead_fail(&scene, "not synced");
}

#[test]
fn p10_s98_while_the_sidecar_is_down_the_node_enters_and_nobody_else() {
    let mut scene = Scene::bare(CART_ONLY);
    let app = App::listen(scene.web.place(), APP);
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    let nobody_else = |scene: &Scene, when: &str| {
        for client in [&scene.cart, &scene.rogue] {
            for address in scene.web.addresses() {
                let refused = connect(client, (*address, APP).into());
                let refused = refused.expect_err(when).kind();
                assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "{when}");
            }
        }
        probes_reach(scene, &app, when);
        probes_of_the_dead_fail(scene, when);
    };
    nobody_else(&scene, "never started");
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    scene.sidecar = Some(sidecar);
    let client = connect(&scene.cart, (scene.web.v4(), APP).into()).unwrap();
    drop(app.accept());
    drop(client);
    scene.sidecar = None;
    nobody_else(&scene, "killed");
}

/// Adds a rule to the node's nat table, as kube-proxy would.
fn nat(node: &Place, rule: &str) {
    let words = rule.split(' ');
    let done = node.command("iptables").args(["-t", "nat"]).args(words);
    let done = done.run(SOON).unwrap();
    assert!(done.status.success(), "{rule}: {}", done.stderr);
}

/// The hole that the node's exemption is: what a NodePort masquerades cannot be told from the kubelet. Nobody else's
/// traffic gets that far, and README says so (P11).
#[test]
fn p11_s65_what_the_node_masquerades_enters_as_readme_says() {
    let scene = Scene::guarded(CART_ONLY);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Reset);
    let (node, web) = (scene.lab.node(), scene.web.v4());
    let host = node.host_v4();
    nat(
        node,
        &format!("-A PREROUTING -d {host} -p tcp --dport 30080 -j DNAT --to {web}:80"),
    );
    nat(
        node,
        &format!("-A POSTROUTING -d {web} -p tcp --dport 80 -j MASQUERADE"),
    );
    let answer = scene.rogue.curl(&format!("http://{host}:30080/"), SOON);
    assert_eq!(answer.http, Some(200), "{}", answer.error);
    let readme = include_str!("../../README.md");
    assert!(readme.contains("masquerad"), "README hides the hole");
}

/// A Service's or hostPort's port is gone when the packet arrives: the pod's port counts, and the client's own address
/// where nobody masqueraded it.
#[test]
fn s47_s58_s59_the_port_that_counts_is_the_pods() {
    let mut scene = Scene::guarded("");
    // An outsider: an address of no pod, routed by the node, so that answers pass the node's nat again.
    let outsider: std::net::Ipv4Addr = "192.0.2.7".parse().unwrap();
    let client = podwall_lab::PodSpec::new("shop", "outside")
        .unannounced()
        .also(outsider);
    let client = scene.lab.pod(client).unwrap();
    let (node, web) = (scene.lab.node().clone(), scene.web.v4());
    let service = "10.96.0.10";
    nat(
        &node,
        &format!("-A PREROUTING -d {service} -p tcp --dport 8080 -j DNAT --to {web}:80"),
    );
    let app_port = |port: u16| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: one, namespace: shop }}\n\
             spec: {{ podSelector: {{}}, ingress: [{{ from: [{{ ipBlock: {{ cidr: 192.0.2.0/24 }} }}], ports: [{{ port: {port} }}] }}] }}\n"
        )
    };
    let ask = |scene: &Scene| {
        let skip = scene.sidecar().log().len();
        let to = (service.parse::<IpAddr>().unwrap(), 8080).into();
        let asked = connect_from(&client, outsider.into(), to).and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            Ok(ending(&mut stream))
        });
        // The reset is told once, to whichever call comes first.
        let ended = asked.unwrap_or_else(|error| Ending::of(&error));
        let own = |line: &serde_json::Value| line["source"] == "192.0.2.7";
        let line = scene.sidecar().wait_log(skip, own, SOON).unwrap();
        (ended, line)
    };
    scene.change(|lab| lab.policy("shop", "one", &app_port(8080)));
    let (ended, line) = ask(&scene);
    assert_eq!(ended, Ending::Reset, "{line}");
    assert_eq!(line["destination_port"], 80, "{line}");
    assert_eq!(line["nearest_miss"]["clause"], "port", "{line}");
    scene.change(|lab| lab.policy("shop", "one", &app_port(80)));
    let (ended, line) = ask(&scene);
    assert_eq!(ended, Ending::End, "{line}");
    assert_eq!(line["destination"], web.to_string().as_str(), "{line}");
}
