//! The hand-written Pod of `deploy/demo/cluster.yaml` on a real node: started, probed, killed and started again by a
//! real kubelet, with the service account's projected token and the downward API, as anybody would run it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use guarded_pod::node::{Node, Seen};
use podwall_lab::{KubernetesNode, skipped, wait_until};

mod guarded_pod {
    pub mod node;
}

/// Long enough for a machine under load; nothing waits for it unless something is broken.
const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_guarded_pod_admits_whom_the_policy_names_and_nobody_else_whatever_is_killed() {
    if skipped("a guarded pod on a node", KubernetesNode::obstacle()) {
        return;
    }
    let node = Node::start();
    without_permission_the_application_does_not_start(&node);
    node.grant_sidecar();
    let app2 = node
        .node
        .wait_until_pod_ready("my-app-ns", "app2", LONG)
        .unwrap();
    // Ready by an HTTP probe of nginx through podwall's rules, though no policy names the kubelet.
    assert_eq!(node.restarts("nginx"), 0, "{:#}", app2["status"]);
    for url in node.urls(80) {
        assert_eq!(node.ask("app1", &url).http, Some(200), "{url}");
        assert!(node.ask("rogue", &url).reset, "{url}");
    }
    let line = node.log_line("no_rule_admits");
    assert_eq!(
        line["nearest_miss"]["policy"],
        "my-app-ns/allow-app1-access-app2"
    );
    assert_eq!(line["peer"], "my-app-ns/rogue", "{line:#}");
    killed_containers_let_nobody_in(&node);
    commands_in_the_pod_read_the_cluster(&node);
}

/// The sidecar says who may not do what; it is not ready, so nginx waits, and nobody gets in.
fn without_permission_the_application_does_not_start(node: &Node) {
    let said = |words: &str| node.log().contains(words);
    let account = "system:serviceaccount:my-app-ns:default may not watch pods";
    assert!(wait_until(LONG, || said(account)), "{}", node.log());
    let (code, detail) = node.endpoints().get("/readyz").unwrap();
    assert_eq!(code, 503, "{detail}");
    assert!(detail.contains(account), "{detail}");
    let waits = node.status("nginx");
    assert!(waits["state"]["waiting"].is_object(), "{waits:#}");
    for client in ["app1", "rogue"] {
        let seen = node.ask(client, &node.urls(80)[0]);
        assert!(seen.reset, "{client}: {seen:?}");
    }
}

/// A rogue tries all the time, while the sidecar is killed and comes back, and then while nginx is.
fn killed_containers_let_nobody_in(node: &Node) {
    let siege = node.besiege("rogue");
    for container in ["podwall", "nginx"] {
        node.kill(container);
        siege.tries_again();
        node.wait_until_back(container, 1);
        assert_eq!(node.ask("app1", &node.urls(80)[0]).http, Some(200));
        siege.tries_again();
        // The kubelet's probes of nginx pass while podwall is away.
        assert_eq!(node.restarts("nginx"), u64::from(container == "nginx"));
    }
    let tries = siege.lift();
    let served = tries.iter().position(|seen| *seen != Seen::Reset);
    assert_eq!(served, None, "the rogue was not always reset: {tries:?}");
}

/// As the pod's own account, which may not read other namespaces' policies, and then as one that may.
fn commands_in_the_pod_read_the_cluster(node: &Node) {
    let words = ["explain", "--in-cluster", "--from", "my-app-ns/rogue"];
    let words = [&words[..], &["--to", "my-app-ns/app2", "--port", "80/TCP"]].concat();
    let refused = node.podwall(&words);
    let account = "system:serviceaccount:my-app-ns:default may not list networkpolicies";
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(refused.stderr.contains(account), "{refused:?}");
    node.grant_reader();
    let denied = || {
        let answer = node.podwall(&words);
        answer.status.code() == Some(1) && answer.stdout.starts_with("DENY")
    };
    assert!(wait_until(LONG, denied), "{:?}", node.podwall(&words));
}
