//! The hand-written Pod of `deploy/demo/cluster.yaml` on a real node: applied by kubectl as its header says, started,
//! probed, killed and started again by a real kubelet, with the service account's projected token and the downward API,
//! in both modes.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use guarded_pod::node::Node;
use guarded_pod::siege::Seen;
use guarded_pod::streams::Streams;
use podwall_lab::{KubernetesNode, Mode, skipped, wait_until};

mod guarded_pod {
    pub mod node;
    pub mod siege;
    pub mod streams;
}

/// Long enough for a machine under load; nothing waits for it unless something is broken.
const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_guarded_pod_admits_whom_the_policy_names_and_nobody_else_whatever_is_killed() {
    prove(Mode::Redirect);
}

#[test]
fn a_guarded_pod_does_so_in_mode_queue() {
    prove(Mode::Queue);
}

/// One node at a time: its kubelet gives a probe one second, and two nodes on two processors take longer now and then.
static NODE: Mutex<()> = Mutex::new(());

fn prove(mode: Mode) {
    if skipped("a guarded pod on a node", KubernetesNode::obstacle()) {
        return;
    }
    let _alone = NODE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut node = Node::start(mode);
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
        node.is_denied("rogue", &url);
    }
    the_application_sees(&node);
    let line = node.log_line("rogue", "no_rule_admits");
    assert_eq!(
        line["nearest_miss"]["policy"],
        "my-app-ns/allow-app1-access-app2"
    );
    assert_eq!(line["peer"], "my-app-ns/rogue", "{line:#}");
    assert_eq!(line["mode"], mode.word(), "{line:#}");
    killed_containers_let_nobody_in(&mut node);
    commands_in_the_pod_read_the_cluster(&node);
}

/// In mode redirect the pod's own address, in mode queue the client's, over both families.
fn the_application_sees(node: &Node) {
    let pod = match node.mode {
        Mode::Redirect => "app2",
        Mode::Queue => "app1",
    };
    let addresses = node.addresses(pod);
    for (url, address) in node.urls(80).iter().zip(addresses) {
        let said = node.ask("app1", &format!("{url}who")).body;
        let line = format!("client {}", address.as_str().unwrap());
        assert!(said.lines().any(|one| one == line), "{line}: {said}");
    }
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
        node.is_denied(client, &node.urls(80)[0]);
        assert_eq!(node.log_line(client, "not_synced")["verdict"], "deny");
    }
    let waits = node.status("nginx");
    assert!(waits["state"]["waiting"].is_object(), "{waits:#}");
}

/// A rogue tries all the time, while the sidecar is killed and comes back, once at once and once after the kubelet's
/// back-off of ten seconds, and then while nginx is.
fn killed_containers_let_nobody_in(node: &mut Node) {
    let before = (node.unhealthy("nginx"), node.restarts("nginx"));
    let (siege, streams) = (node.besiege("rogue"), node.open_streams());
    for (container, restarts) in [("podwall", 1), ("podwall", 2), ("nginx", 1)] {
        node.kill(container);
        if (container, restarts) == ("podwall", 2) {
            while_podwall_is_away(node, &streams);
        }
        siege.tries_again(node);
        node.wait_until_back(container, restarts);
        for url in node.urls(80) {
            assert_eq!(node.ask("app1", &url).http, Some(200), "{url}");
        }
        siege.tries_again(node);
        if container == "podwall" {
            assert_eq!(node.restarts("nginx"), before.1);
            the_probes_noticed(node, before.0);
        }
        node.log_holds_no_allow_of("rogue");
    }
    let denied = match node.mode {
        Mode::Redirect => &[Seen::Reset][..],
        // Nobody answers for the kernel's queue while podwall is away: what is new is dropped.
        Mode::Queue => &[Seen::Reset, Seen::Silence],
    };
    let tries = siege.lift(node);
    let other = tries.iter().find(|seen| !denied.contains(seen));
    assert_eq!(other, None, "the rogue was not always denied");
}

/// What the node can do meanwhile, and what becomes of the streams that were open: all within the ten seconds that the
/// kubelet waits.
fn while_podwall_is_away(node: &Node, streams: &Streams) {
    assert!(node.is_waiting_to_restart("podwall"));
    match node.mode {
        // The node goes past podwall: the probes tell the truth about nginx. Other streams ended with their relay.
        Mode::Redirect => {
            assert_eq!(node.ask_from_node().http, Some(200));
            assert!(streams.of_node.flows());
            assert!(streams.of_app1.has_ended());
        }
        // What is new is nobody's, the node's own too, so the probes fail. What is open is the kernel's, and goes on.
        Mode::Queue => {
            let new = node.ask_from_node();
            assert!(new.http.is_none() && !new.refused && !new.reset, "{new:?}");
            assert!(streams.of_node.flows());
            assert!(streams.of_app1.flows());
        }
    }
    assert_eq!(node.restarts("podwall"), 1, "it is back already");
}

/// In mode redirect the kubelet's probes of nginx never fail. In mode queue they do while podwall is away: after its
/// second death, of which it comes back too late for them.
fn the_probes_noticed(node: &Node, before: u64) {
    let restarts = node.restarts("podwall");
    match node.mode {
        Mode::Redirect => {
            assert_eq!(
                node.unhealthy("nginx"),
                before,
                "{:#?}",
                node.complaints("nginx")
            );
        }
        Mode::Queue if restarts < 2 => {}
        Mode::Queue => assert!(wait_until(LONG, || node.unhealthy("nginx") > before)),
    }
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
