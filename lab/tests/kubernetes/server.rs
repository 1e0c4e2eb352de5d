//! The API server stopped, killed, held and broken, and many requests at once.

use std::time::{Duration, Instant};

use podwall_lab::{LabError, PodSpec, Request};
use serde_json::json;

use crate::{SOON, lab, pod, status_of};

#[test]
fn a_killed_api_server_comes_back_with_its_state() {
    let (mut lab, control) = lab();
    lab.pod(PodSpec::new("ns", "a")).unwrap();
    let uid = pod(&control, "a").unwrap()["metadata"]["uid"].clone();
    control.kill();
    assert!(matches!(pod(&control, "a"), Err(LabError::NoAnswer { .. })));
    assert!(matches!(
        lab.relabel("ns", "a", &[("k", "v")]),
        Err(LabError::NoAnswer { .. })
    ));
    control.start().unwrap();
    assert_eq!(pod(&control, "a").unwrap()["metadata"]["uid"], uid);
    // The change that was missed goes with the next one.
    lab.namespace("ns", &[]).unwrap();
    assert_eq!(pod(&control, "a").unwrap()["metadata"]["labels"]["k"], "v");
    control.stop().unwrap();
    assert!(matches!(pod(&control, "a"), Err(LabError::NoAnswer { .. })));
    control.start().unwrap();
    assert_eq!(pod(&control, "a").unwrap()["metadata"]["uid"], uid);
}

#[test]
fn a_graceful_stop_ends_watches_and_does_not_wait_for_them() {
    let (lab, control) = lab();
    let key = |name: &str| control.authorities().with_file_name(name);
    let curl = lab.node().command("curl").args(["--silent", "--no-buffer"]);
    let curl = curl.arg("--cacert").arg(control.authorities());
    let curl = curl
        .arg("--cert")
        .arg(key("admin.crt"))
        .arg("--key")
        .arg(key("admin.key"));
    let url = format!("{}/api/v1/namespaces?watch=1", control.server_url());
    let watch = curl.arg(url).spawn().unwrap();
    watch
        .wait_for_line(|line| line.contains("ADDED"), SOON)
        .unwrap();
    let begin = Instant::now();
    control.stop().unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    watch.wait(SOON).unwrap();
}

#[test]
fn a_held_api_server_answers_when_it_goes_on() {
    let (_lab, control) = lab();
    control.pause().unwrap();
    let (begin, held) = (Instant::now(), Duration::from_millis(300));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| control.admin().get("/api/v1/namespaces/ns"));
        assert!(!podwall_lab::wait_until(held, || asked.is_finished()));
        control.resume().unwrap();
        asked.join().unwrap().unwrap();
    });
    assert!(begin.elapsed() >= held);
}

#[test]
fn many_requests_at_once_and_the_first_refusal_is_told() {
    let (_lab, control) = lab();
    let maps = |count: u32| {
        (0..count).map(|number| {
            let object = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("m{number}") },
            });
            Request::create("/api/v1/namespaces/ns/configmaps", object)
        })
    };
    control.admin().send_all(maps(500), 32).unwrap();
    let kept = control
        .admin()
        .get("/api/v1/namespaces/ns/configmaps")
        .unwrap();
    assert_eq!(kept["items"].as_array().unwrap().len(), 500);
    let again = control.admin().send_all(maps(3), 2);
    assert_eq!(status_of(again), 409);
}

#[test]
fn an_api_server_that_cannot_start_tells_its_own_reason() {
    let (_lab, control) = lab();
    control.kill();
    let key = control.authorities().with_file_name("service-accounts.pub");
    std::fs::write(key, "no key").unwrap();
    let failure = control.start().unwrap_err();
    assert!(matches!(failure, LabError::Ended { .. }), "{failure}");
    assert!(failure.to_string().contains("public key"), "{failure}");
}
