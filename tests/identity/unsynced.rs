//! P6, and the subject that is not there: nothing is known, so nobody but the node enters, whatever the policies.

use std::path::PathBuf;
use std::thread;

use podwall_lab::{Lab, Pod, wait_until};

use super::waiting::{
    ATTEMPTS, Waited, assert_waited, launch, readiness, relaunch, wait_and_change,
};
use crate::support::{CART_ONLY, SOON, Scene, Seen};
use crate::talk::{APP, App, both};

/// A file that is missing keeps the whole source from being good.
fn missing(lab: &Lab) -> PathBuf {
    lab.dir().join("late.yaml")
}

fn appears(lab: &Lab) {
    let late = "apiVersion: v1\nkind: Namespace\nmetadata: { name: late }\n";
    let draft = lab.dir().join("late.draft");
    std::fs::write(&draft, late).unwrap();
    std::fs::rename(draft, missing(lab)).unwrap();
}

/// Clients with and without rights wait and are reset for this reason; the node is not asked.
fn is_closed(scene: &Scene, clients: &[&Pod], reason: &str) {
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || {
                let (seen, line) = scene.ask_logged(client, 80);
                assert_eq!(seen, Seen::Reset, "{}", client.name());
                assert_waited(&line, reason);
            });
        }
    });
    for host in both(&scene.web, 80) {
        let answer = scene.lab.node().curl(&format!("http://{host}/"), SOON);
        assert_eq!(answer.http, Some(200), "the node: {}", answer.error);
    }
    let (code, text) = readiness(scene);
    assert_eq!(code, 503, "{text}");
    assert!(text.contains(reason), "{text}");
}

#[test]
fn p06_before_the_first_sync_arrivals_wait_and_are_reset() {
    let mut scene = Scene::bare("");
    scene.serve();
    let late = missing(&scene.lab);
    launch(&mut scene, &["-f", late.to_str().unwrap()]);
    // No policy selects the pod; not to have been told of any is not the same.
    is_closed(&scene, &[&scene.cart, &scene.rogue], "not_synced");
    assert_eq!(scene.sidecar().metric("podwall_synced").unwrap(), Some(0.0));
    appears(&scene.lab);
    let ready = || readiness(&scene).0 == 200;
    assert!(wait_until(SOON, ready), "{}", readiness(&scene).1);
    let (seen, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(
        (seen, &line["reason"]),
        (Seen::Page, &"not_isolated".into())
    );
}

#[test]
fn p06_who_waits_when_the_source_becomes_good_is_let_in() {
    let mut scene = Scene::bare(CART_ONLY);
    let app = App::listen(scene.web.place(), APP);
    let late = missing(&scene.lab);
    let more = ["-f", late.to_str().unwrap()];
    launch(&mut scene, &more);
    let (cart, [to, _]) = (scene.cart.clone(), both(&scene.web, APP));
    for _ in 0..ATTEMPTS {
        let answer = wait_and_change(&mut scene, &app, &cart, to, |lab| appears(lab));
        let Waited::Denied(line) = answer else {
            return;
        };
        assert_waited(&line, "not_synced");
        std::fs::remove_file(&late).unwrap();
        relaunch(&mut scene, &more);
    }
    panic!("in none of {ATTEMPTS} attempts the waiting arrival was let in");
}

#[test]
fn p06_who_waits_when_the_source_becomes_good_is_still_judged() {
    let mut scene = Scene::bare(CART_ONLY);
    let app = App::listen(scene.web.place(), APP);
    let late = missing(&scene.lab);
    let more = ["-f", late.to_str().unwrap()];
    launch(&mut scene, &more);
    let (rogue, [to, _]) = (scene.rogue.clone(), both(&scene.web, APP));
    for _ in 0..ATTEMPTS {
        let answer = wait_and_change(&mut scene, &app, &rogue, to, |lab| appears(lab));
        let Waited::Denied(line) = answer else {
            panic!("the rogue was let in");
        };
        if line["reason"] == "no_rule_admits" {
            assert!(line["held_ms"].as_u64() > Some(0), "{line}");
            return;
        }
        assert_waited(&line, "not_synced");
        std::fs::remove_file(&late).unwrap();
        relaunch(&mut scene, &more);
    }
    panic!("in none of {ATTEMPTS} attempts the waiting arrival was judged");
}

#[test]
fn p06_a_subject_that_the_source_does_not_hold_is_not_a_pod_without_policies() {
    let mut scene = Scene::bare("");
    scene.serve();
    scene.lab.forget("shop", "web").unwrap();
    launch(&mut scene, &[]);
    assert!(wait_until(SOON, || readiness(&scene)
        .1
        .contains("subject_unknown")));
    is_closed(&scene, &[&scene.cart, &scene.rogue], "subject_unknown");
    scene.change(|lab| lab.announce("shop", "web"));
    assert!(wait_until(SOON, || readiness(&scene).0 == 200));
    let (seen, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(
        (seen, &line["reason"]),
        (Seen::Page, &"not_isolated".into())
    );
}

#[test]
fn p06_a_misspelled_subject_is_closed_and_not_ready() {
    let mut scene = Scene::bare("");
    scene.serve();
    launch(&mut scene, &["--pod", "shop/wbe"]);
    assert!(wait_until(SOON, || readiness(&scene)
        .1
        .contains("subject_unknown")));
    is_closed(&scene, &[&scene.cart], "subject_unknown");
}

#[test]
fn s31_a_subject_whose_namespace_is_not_seen_is_unknown() {
    let mut scene = Scene::bare("");
    scene.serve();
    scene.lab.remove_namespace("shop").unwrap();
    launch(&mut scene, &[]);
    assert!(wait_until(SOON, || readiness(&scene)
        .1
        .contains("Namespace")));
    is_closed(&scene, &[&scene.cart], "subject_unknown");
    scene.change(|lab| lab.namespace("shop", &[]));
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
}

#[test]
fn p06_who_waits_when_the_subject_appears_is_let_in() {
    let mut scene = Scene::bare(CART_ONLY);
    let app = App::listen(scene.web.place(), APP);
    scene.lab.forget("shop", "web").unwrap();
    launch(&mut scene, &[]);
    let (cart, [to, _]) = (scene.cart.clone(), both(&scene.web, APP));
    for _ in 0..ATTEMPTS {
        let announce = |lab: &mut Lab| lab.announce("shop", "web").unwrap();
        let answer = wait_and_change(&mut scene, &app, &cart, to, announce);
        let Waited::Denied(line) = answer else {
            return;
        };
        assert_eq!(line["verdict"], "deny", "{line}");
        // A subject once known keeps its last labels, so it takes a new sidecar.
        scene.lab.forget("shop", "web").unwrap();
        relaunch(&mut scene, &[]);
    }
    panic!("in none of {ATTEMPTS} attempts the waiting arrival was let in");
}

/// Deleted while it runs: the last labels are enforced, neither more nor less.
#[test]
fn p06_a_subject_that_goes_keeps_what_held_for_it() {
    let mut scene = Scene::guarded(CART_ONLY);
    scene.lab.forget("shop", "web").unwrap();
    // Taken in for certain once something later is.
    scene.change(|lab| lab.relabel("shop", "rogue", &[("app", "cart")]));
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
    scene.change(|lab| lab.relabel("shop", "rogue", &[("app", "rogue")]));
    let (seen, line) = scene.ask_logged(&scene.rogue, 80);
    assert_eq!(
        (seen, &line["reason"]),
        (Seen::Reset, &"no_rule_admits".into())
    );
}
