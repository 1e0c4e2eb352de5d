//! The hand-written Pod of `deploy/demo/cluster.yaml` on a real node: applied by kubectl as its header says, started,
//! probed, killed and started again by a real kubelet, with the service account's projected token and the downward API.

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
    let mut node = Node::start();
    without_permission_the_application_does_not_start(&node);
    let granted = node.grant_sidecar();
    let ready = node.node.wait_until_pod_ready("my-app-ns", "app2", LONG);
    ready.unwrap();
    let started = node.status("nginx")["state"]["running"]["startedAt"].clone();
    // Both are RFC 3339 in UTC, to the second.
    assert!(
        started.as_str().unwrap() >= &*granted,
        "{started} {granted}"
    );
    for url in node.urls(80) {
        assert_eq!(node.ask("app1", &url).http, Some(200), "{url}");
        assert!(node.ask("rogue", &url).reset, "{url}");
    }
    let line = node.log_line("rogue", "no_rule_admits");
    assert_eq!(
        line["nearest_miss"]["policy"],
        "my-app-ns/allow-app1-access-app2"
    );
    assert_eq!(line["peer"], "my-app-ns/rogue", "{line:#}");
    killed_containers_let_nobody_in(&mut node);
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
    // The kubelet has asked twice, a second apart: one that did not wait would have started nginx by now.
    assert!(wait_until(LONG, || node.unhealthy("podwall") >= 2));
    for client in ["app1", "rogue"] {
        let seen = node.ask(client, &node.urls(80)[0]);
        assert!(seen.reset, "{client}: {seen:?}");
        assert_eq!(node.log_line(client, "not_synced")["verdict"], "deny");
    }
    let waits = node.status("nginx");
    assert!(waits["state"]["waiting"].is_object(), "{waits:#}");
}

/// A rogue tries all the time, while the sidecar is killed and comes back, once at once and once after the kubelet's
/// back-off of ten seconds, and then while nginx is.
fn killed_containers_let_nobody_in(node: &mut Node) {
    let before = (node.unhealthy("nginx"), node.restarts("nginx"));
    let siege = node.besiege("rogue");
    for (container, restarts) in [("podwall", 1), ("podwall", 2), ("nginx", 1)] {
        node.kill(container);
        siege.tries_again(node);
        if (container, restarts) == ("podwall", 2) {
            // The probes tell the truth about nginx while podwall is away.
            assert!(node.is_waiting_to_restart("podwall"));
            assert_eq!(node.ask_from_node().http, Some(200));
        }
        node.wait_until_back(container, restarts);
        for url in node.urls(80) {
            assert_eq!(node.ask("app1", &url).http, Some(200), "{url}");
        }
        siege.tries_again(node);
        if container == "podwall" {
            assert_eq!((node.unhealthy("nginx"), node.restarts("nginx")), before);
        }
        node.log_holds_no_allow_of("rogue");
    }
    let tries = siege.lift(node);
    let other = tries.iter().find(|seen| **seen != Seen::Reset);
    assert_eq!(other, None, "the rogue was not always reset");
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
