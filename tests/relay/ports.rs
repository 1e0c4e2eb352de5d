//! P35: podwall's own port for probes and scrapes is no hole in the policy.

use podwall_lab::{CurlResult, Place};
use podwall_proxy::admin::{HEAD_TIMEOUT, MAX_CONNECTIONS};
use podwall_proxy::config::ADMIN_PORT;
use serde_json::Value;

use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{both, connect};

const PORT_80_ONLY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: port-80-only, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: cart } } }]
      ports: [{ port: 80 }]
";

/// Asks the endpoints over both families.
fn ask(scene: &Scene, from: &Place, path: &str) -> [CurlResult; 2] {
    let hosts = [scene.web.v4().to_string(), format!("[{}]", scene.web.v6())];
    hosts.map(|host| from.curl(&format!("http://{host}:{ADMIN_PORT}{path}"), SOON))
}

fn answers(scene: &Scene, from: &Place) {
    for (path, word) in [
        ("/livez", "alive"),
        ("/readyz", "ready"),
        ("/metrics", "podwall_build_info"),
    ] {
        for answer in ask(scene, from, path) {
            assert_eq!(answer.http, Some(200), "{path}: {answer:?}");
            assert!(answer.body.contains(word), "{path}: {answer:?}");
        }
    }
}

fn resets(scene: &Scene, from: &Place) {
    for answer in ask(scene, from, "/metrics") {
        assert!(answer.reset && answer.http.is_none(), "{answer:?}");
    }
}

#[test]
fn p35_the_admin_port_is_judged_like_the_applications_and_open_to_the_node() {
    let mut scene = Scene::guarded(CART_ONLY);
    resets(&scene, &scene.rogue);
    resets(&scene, &scene.stranger);
    let skip = scene.sidecar().log().len();
    answers(&scene, &scene.cart);
    let line = scene.line(skip, &scene.cart, ADMIN_PORT);
    assert_eq!(
        (&line["reason"], &line["end"]),
        (&"rule".into(), &"closed".into())
    );
    answers(&scene, scene.lab.node());
    // A policy that names the application's port only is one for podwall's too.
    scene.change(|lab| lab.set_policies_yaml(PORT_80_ONLY));
    resets(&scene, &scene.cart);
    let cart = |line: &Value| line["peer"] == "shop/cart" && line["verdict"] == "deny";
    let line = scene.sidecar().wait_log(0, cart, SOON).unwrap();
    assert_eq!(line["nearest_miss"]["clause"], "port", "{line}");
    answers(&scene, scene.lab.node());
}

/// A pod that is let in opens more connections than are served and says nothing: the kubelet is still answered.
#[test]
fn p35_callers_who_are_let_in_do_not_keep_the_nodes_probes_waiting() {
    let scene = Scene::guarded(CART_ONLY);
    let admin = both(&scene.web, ADMIN_PORT);
    let silent = (0..2 * MAX_CONNECTIONS).map(|at| connect(&scene.cart, admin[at % 2]).unwrap());
    let silent: Vec<_> = silent.collect();
    for host in [scene.web.v4().to_string(), format!("[{}]", scene.web.v6())] {
        let url = format!("http://{host}:{ADMIN_PORT}/livez");
        let answer = scene.lab.node().curl(&url, HEAD_TIMEOUT / 2);
        assert_eq!(answer.body, "alive\n", "{answer:?}");
    }
    drop(silent);
}
