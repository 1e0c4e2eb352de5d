//! Pods and their addresses as an API server tells of them: one event at a time.

use podwall_lab::{Lab, Pod, PodSpec, Request, wait_until};
use serde_json::{Value, json};

use crate::faults::Resource;
use crate::kubernetes::stage::Stage;
use crate::support::{CART_ONLY, SOON, Seen};
use crate::talk::{APP, Ending, Pair, both, connect_from, ending};
use crate::waiting::{ATTEMPTS, Waited, assert_waited, line_of, wait_and_change};

/// A pod on the addresses of another.
fn heir(of: &Pod, name: &str, app: &str) -> PodSpec {
    let heir = PodSpec::new("shop", name).label("app", app);
    heir.address(of.v4()).address(of.v6())
}

/// Podwall takes the client for this pod, over both families.
fn fares_as(stage: &Stage, client: &Pod, seen: &Seen, peer: &str) {
    let reason = if *seen == Seen::Page {
        "rule"
    } else {
        "no_rule_admits"
    };
    let known = || {
        let (saw, line) = stage.scene.ask_logged(client, 80);
        saw == *seen && line["peer"] == peer && line["reason"] == reason
    };
    assert!(wait_until(SOON, known), "{peer}: {}", stage.output());
    assert_eq!(stage.scene.ask_v6(client, 80), *seen);
}

#[test]
fn p07_s81_an_unknown_source_is_held_and_let_in_when_its_pod_appears() {
    let mut stage = Stage::direct();
    let ghost = PodSpec::new("shop", "ghost").label("app", "cart");
    let ghost = stage.scene.lab.pod(ghost.unannounced()).unwrap();
    let line = stage.fares(&ghost, Seen::Reset, "peer_unknown");
    assert_waited(&line, "peer_unknown");
    for to in both(&stage.scene.web, APP) {
        let mut let_in = false;
        for _ in 0..ATTEMPTS {
            let announce = |lab: &mut Lab| lab.announce("shop", "ghost").unwrap();
            match wait_and_change(&mut stage.scene, &stage.app, &ghost, to, announce) {
                Waited::LetIn => let_in = true,
                Waited::Denied(line) => assert_waited(&line, "peer_unknown"),
            }
            stage.scene.lab.forget("shop", "ghost").unwrap();
            stage.fares(&ghost, Seen::Reset, "peer_unknown");
            if let_in {
                break;
            }
        }
        assert!(let_in, "in none of {ATTEMPTS} attempts");
    }
    let waited = |line: &Value| line["peer"] == "shop/ghost" && line["verdict"] == "allow";
    let line = stage.scene.sidecar().wait_log(0, waited, SOON).unwrap();
    assert!(line["held_ms"].as_u64() > Some(0), "{line}");
}

#[test]
fn p08_s70_s71_a_terminating_pod_is_itself_until_it_has_finished() {
    let mut stage = Stage::direct();
    let cart = stage.scene.cart.clone();
    let mut pairs = both(&stage.scene.web, APP).map(|to| Pair::open(&cart, to, &stage.app));
    stage.scene.lab.terminate("shop", "cart").unwrap();
    // That alters no verdict. What comes later on the same watch is taken in, so that is.
    stage
        .scene
        .change(|lab| lab.relabel("shop", "rogue", &[("app", "other")]));
    fares_as(&stage, &cart, &Seen::Page, "shop/cart");
    pairs.iter_mut().for_each(Pair::greet);
    // Its processes have ended; the object stays until its grace is over.
    stage.scene.lab.set_phase("shop", "cart", "Failed").unwrap();
    let line = stage.fares(&cart, Seen::Reset, "peer_unknown");
    assert_eq!(line["peer"], Value::Null, "{line}");
    for mut pair in pairs {
        assert_eq!(ending(&mut pair.client), Ending::Reset);
    }
    // A job's pod that is done stays for good.
    stage
        .scene
        .lab
        .set_phase("shop", "rogue", "Succeeded")
        .unwrap();
    let rogue = stage.scene.rogue.clone();
    stage.fares(&rogue, Seen::Reset, "peer_unknown");
}

/// The new owner's first event comes after the old one's last.
#[test]
fn p08_s72_s73_an_address_goes_to_a_new_pod_after_the_end_of_the_old_one() {
    let mut stage = Stage::direct();
    let olds = [stage.scene.cart.clone(), stage.scene.rogue.clone()];
    for (old, name, app, seen) in [
        (&olds[0], "bad", "rogue", Seen::Reset),
        (&olds[1], "good", "cart", Seen::Page),
    ] {
        let pair = (seen == Seen::Reset)
            .then(|| Pair::open(old, both(&stage.scene.web, APP)[0], &stage.app));
        let lab = &mut stage.scene.lab;
        lab.remove("shop", old.name()).unwrap();
        let new = lab.pod(heir(old, name, app)).unwrap();
        fares_as(&stage, &new, &seen, &format!("shop/{name}"));
        // What the old pod had open does not go on as the new one's.
        if let Some(mut pair) = pair {
            assert_eq!(ending(&mut pair.app), Ending::Reset);
        }
    }
}

/// Two objects claim the address until the old one's end is told, late; it must not take the new one along.
#[test]
fn p08_s72_an_address_goes_to_a_new_pod_before_the_end_of_the_old_one() {
    let mut stage = Stage::direct();
    let olds = [stage.scene.cart.clone(), stage.scene.rogue.clone()];
    for (old, name, app, seen) in [
        (&olds[0], "bad", "rogue", Seen::Reset),
        (&olds[1], "good", "cart", Seen::Page),
    ] {
        let lab = &mut stage.scene.lab;
        lab.stop("shop", old.name()).unwrap();
        let new = lab.pod(heir(old, name, app)).unwrap();
        let peer = format!("shop/{name}");
        fares_as(&stage, &new, &seen, &peer);
        let known = stage.metric("known_pods");
        stage.scene.lab.remove("shop", old.name()).unwrap();
        assert!(wait_until(SOON, || stage.metric("known_pods") == known - 1.0));
        fares_as(&stage, &new, &seen, &peer);
    }
}

/// A pod made anew under its old name: a late end of the old UID is not the new pod's. No API server tells it
/// that late on one watch; the server in between does.
#[test]
fn p08_s72_a_name_that_comes_back_is_another_pod() {
    let mut stage = Stage::behind_faults();
    let cart = stage.scene.cart.clone();
    let old = stage.admin().get("/api/v1/namespaces/shop/pods/cart");
    stage.scene.lab.remove("shop", "cart").unwrap();
    let again = stage.scene.lab.pod(heir(&cart, "cart", "rogue")).unwrap();
    fares_as(&stage, &again, &Seen::Reset, "shop/cart");
    let late = json!({ "type": "DELETED", "object": old.unwrap() });
    stage.faults().say(Resource::Pods, &late);
    // Told after it.
    let other = PodSpec::new("shop", "other").label("app", "cart");
    let other = stage.scene.lab.pod(other).unwrap();
    fares_as(&stage, &other, &Seen::Page, "shop/other");
    fares_as(&stage, &again, &Seen::Reset, "shop/cart");
}

#[test]
fn p09_s67_the_labels_of_a_host_network_pod_do_not_leak_onto_the_node() {
    let mut stage = Stage::bare(CART_ONLY);
    stage.launch_with(&["--host-ips="]);
    stage.is_ready(SOON);
    let before = stage.metric("known_pods");
    let host = PodSpec::new("shop", "host").label("app", "cart");
    stage.scene.lab.pod(host.host_network()).unwrap();
    let marker = PodSpec::new("shop", "marker").label("app", "cart");
    let marker = stage.scene.lab.pod(marker).unwrap();
    // Told after the hostNetwork pod, so that one is known too.
    fares_as(&stage, &marker, &Seen::Page, "shop/marker");
    assert!(stage.metric("known_pods") > before);
    let node = stage.scene.lab.node().clone();
    let skip = stage.scene.sidecar().log().len();
    let to = (stage.scene.web.v4(), APP).into();
    let mut client = connect_from(&node, node.host_v4().into(), to).unwrap();
    assert_eq!(ending(&mut client), Ending::Reset);
    let line = line_of(&stage.scene, skip, client.local_addr().unwrap());
    assert_waited(&line, "peer_unknown");
    assert_eq!(line["peer"], Value::Null, "{line}");
}

/// A Pod as a user creates it; its status is what the kubelet says later.
fn created(stage: &Stage, pod: &Pod, more: &Value) -> String {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "late", "namespace": "shop", "labels": { "app": "cart" } },
        "spec": { "containers": [{ "name": "app", "image": "lab/app" }], "nodeName": "lab-node",
            "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        object["metadata"][key] = value.clone();
    }
    stage.admin().create(&object).unwrap();
    assert_eq!(pod.name(), "ghost");
    "/api/v1/namespaces/shop/pods/late".to_owned()
}

fn runs(stage: &Stage, path: &str, pod: &Pod) {
    let ips: Vec<_> = pod
        .addresses()
        .iter()
        .map(|ip| json!({ "ip": ip }))
        .collect();
    let status = json!({ "phase": "Running", "podIP": pod.addresses()[0], "podIPs": ips,
        "startTime": "2026-01-01T00:00:00Z" });
    let patch = Request::merge(format!("{path}/status"), json!({ "status": status }));
    stage.admin().succeed(patch).unwrap();
}

/// S75 too: each of its addresses is it.
#[test]
fn s74_s75_a_pending_pod_is_known_by_its_addresses_once_it_has_them() {
    let mut stage = Stage::direct();
    let ghost = PodSpec::new("shop", "ghost").unannounced();
    let ghost = stage.scene.lab.pod(ghost).unwrap();
    let path = created(&stage, &ghost, &json!({}));
    // Taken in for certain once something later is.
    stage
        .scene
        .change(|lab| lab.relabel("shop", "rogue", &[("app", "other")]));
    stage.fares(&ghost, Seen::Reset, "peer_unknown");
    runs(&stage, &path, &ghost);
    fares_as(&stage, &ghost, &Seen::Page, "shop/late");
    stage
        .admin()
        .succeed(Request::delete_within(&path, 0))
        .unwrap();
    stage.fares(&ghost, Seen::Reset, "peer_unknown");
}

/// As the kubelet mirrors a static pod: without an owner that is a workload.
#[test]
fn s79_a_mirror_pod_is_a_pod() {
    let mut stage = Stage::direct();
    let ghost = PodSpec::new("shop", "ghost").unannounced();
    let ghost = stage.scene.lab.pod(ghost).unwrap();
    let mirror = json!({ "annotations": { "kubernetes.io/config.mirror": "a", "kubernetes.io/config.source": "file" } });
    let path = created(&stage, &ghost, &mirror);
    runs(&stage, &path, &ghost);
    fares_as(&stage, &ghost, &Seen::Page, "shop/late");
}
