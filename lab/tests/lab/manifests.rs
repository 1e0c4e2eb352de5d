//! The cluster's state as files: what objects carry, and that a reader never sees half a change.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use podwall_lab::{Lab, LabError, PodSpec};
use serde_json::Value;

const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
    metadata: {name: one, namespace: ns}\nspec: {podSelector: {}}\n";

fn text(lab: &Lab) -> String {
    fs::read_to_string(lab.manifests().join("cluster.yaml")).unwrap()
}

/// The objects that are written as JSON, that is all but policies.
fn objects(text: &str) -> Vec<Value> {
    let documents = text
        .split("---\n")
        .filter(|document| document.starts_with('{'));
    documents
        .map(|document| serde_json::from_str(document).unwrap())
        .collect()
}

fn object(lab: &Lab, kind: &str, name: &str) -> Option<Value> {
    objects(&text(lab))
        .into_iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
}

#[test]
fn an_empty_cluster_is_an_empty_list() {
    let lab = Lab::start().unwrap();
    assert_eq!(objects(&text(&lab))[0]["items"], serde_json::json!([]));
}

#[test]
fn objects_carry_what_a_server_and_a_kubelet_add() {
    let mut lab = Lab::start().unwrap();
    lab.namespace("ns", &[("team", "a")]).unwrap();
    let spec = PodSpec::new("ns", "pod")
        .label("app", "x")
        .port("web", 80, "TCP")
        .port("", 53, "UDP");
    let pod = lab.pod(spec.sidecar_port("admin", 9901, "TCP")).unwrap();
    let namespace = object(&lab, "Namespace", "ns").unwrap();
    assert_eq!(
        namespace["metadata"]["labels"],
        serde_json::json!({"team": "a", "kubernetes.io/metadata.name": "ns"})
    );
    let object = object(&lab, "Pod", "pod").unwrap();
    assert_eq!(object["metadata"]["uid"], pod.uid());
    assert_eq!(
        object["metadata"]["labels"],
        serde_json::json!({"app": "x"})
    );
    let ports = serde_json::json!([
        {"containerPort": 80, "protocol": "TCP", "name": "web"}, {"containerPort": 53, "protocol": "UDP"},
    ]);
    assert_eq!(object["spec"]["containers"][0]["ports"], ports);
    assert_eq!(
        object["spec"]["initContainers"][0]["restartPolicy"],
        "Always"
    );
    let status = &object["status"];
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["podIP"], pod.v4().to_string());
    assert_eq!(status["podIPs"][1]["ip"], pod.v6().to_string());
    assert_eq!(status["hostIPs"][0]["ip"], lab.node().host_v4().to_string());
    assert!(status["startTime"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn every_change_is_written_when_the_method_returns() {
    let mut lab = Lab::start().unwrap();
    lab.pod(PodSpec::new("ns", "pod")).unwrap();
    lab.relabel("ns", "pod", &[("app", "y")]).unwrap();
    assert_eq!(
        object(&lab, "Pod", "pod").unwrap()["metadata"]["labels"]["app"],
        "y"
    );
    lab.set_phase("ns", "pod", "Succeeded").unwrap();
    assert_eq!(
        object(&lab, "Pod", "pod").unwrap()["status"]["phase"],
        "Succeeded"
    );
    lab.terminate("ns", "pod").unwrap();
    assert!(object(&lab, "Pod", "pod").unwrap()["metadata"]["deletionTimestamp"].is_string());
    lab.forget("ns", "pod").unwrap();
    assert!(object(&lab, "Pod", "pod").is_none());
    lab.announce("ns", "pod").unwrap();
    assert!(object(&lab, "Pod", "pod").is_some());
    lab.stop("ns", "pod").unwrap();
    assert!(object(&lab, "Pod", "pod").is_some() && lab.get("ns", "pod").is_none());
    lab.remove("ns", "pod").unwrap();
    assert!(object(&lab, "Pod", "pod").is_none());
    lab.namespace("ns", &[]).unwrap();
    lab.remove_namespace("ns").unwrap();
    assert!(object(&lab, "Namespace", "ns").is_none());
    lab.pod(PodSpec::new("ns", "quiet").unannounced()).unwrap();
    assert!(object(&lab, "Pod", "quiet").is_none());
}

#[test]
fn later_pods_start_later() {
    let mut lab = Lab::start().unwrap();
    for name in ["first", "second"] {
        lab.pod(PodSpec::new("ns", name).unannounced()).unwrap();
        lab.announce("ns", name).unwrap();
    }
    let start = |name| object(&lab, "Pod", name).unwrap()["status"]["startTime"].to_string();
    assert!(start("first") < start("second"));
}

#[test]
fn policies_are_kept_as_they_were_given() {
    let mut lab = Lab::start().unwrap();
    lab.policy("ns", "one", POLICY).unwrap();
    assert!(text(&lab).contains(POLICY));
    let two = POLICY.replace("name: one", "name: two");
    lab.set_policies_yaml(&format!(
        "# two\n---\n{two}---\n# nothing\n---\n{}",
        two.replace("name: two", "name: three")
    ))
    .unwrap();
    assert!(
        !text(&lab).contains("name: one")
            && text(&lab).contains(&two)
            && text(&lab).contains("name: three")
    );
    lab.remove_policy("ns", "two").unwrap();
    assert!(!text(&lab).contains("name: two"));
    lab.set_policies_yaml("").unwrap();
    assert!(!text(&lab).contains("NetworkPolicy"));
}

#[test]
fn a_policy_text_that_is_another_is_refused() {
    let mut lab = Lab::start().unwrap();
    let refused = |result: Result<(), LabError>, words: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(lab.policy("ns", "two", POLICY), "its document says ns/one");
    refused(
        lab.policy("ns", "one", &POLICY.replace("NetworkPolicy", "Pod")),
        "kind is Pod",
    );
    refused(
        lab.set_policies_yaml(&format!("{POLICY}---\nkind: [")),
        "document 2",
    );
    assert!(!text(&lab).contains("NetworkPolicy"));
    let broken = POLICY.replace("{podSelector: {}}", "{podSelector: 7}");
    lab.policy("ns", "one", &broken).unwrap();
    assert!(text(&lab).contains("podSelector: 7"));
}

#[test]
fn a_batch_is_one_write_also_when_it_fails() {
    let mut lab = Lab::start().unwrap();
    let file = lab.manifests().join("cluster.yaml");
    let before = fs::metadata(&file).unwrap().ino();
    let result = lab.batch(|lab| {
        lab.namespace("a", &[])?;
        lab.namespace("b", &[])?;
        assert_eq!(fs::metadata(&file).unwrap().ino(), before);
        lab.relabel("a", "nobody", &[])
    });
    assert!(matches!(result, Err(LabError::NoSuchPod { .. })));
    assert!(object(&lab, "Namespace", "a").is_some() && object(&lab, "Namespace", "b").is_some());
}

#[test]
fn a_reader_never_sees_half_a_change() {
    let mut lab = Lab::start().unwrap();
    lab.namespace("a", &[("version", "0")]).unwrap();
    lab.batch(|lab| lab.namespace("b", &[("version", "0")]))
        .unwrap();
    let file = lab.manifests().join("cluster.yaml");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u32;
            while !done.load(Ordering::Relaxed) || reads == 0 {
                let objects = objects(&fs::read_to_string(&file).unwrap());
                let versions: Vec<_> = objects
                    .iter()
                    .map(|object| &object["metadata"]["labels"]["version"])
                    .collect();
                assert_eq!(versions.len(), 2);
                assert_eq!(versions[0], versions[1]);
                reads += 1;
            }
        });
        for version in 1..300 {
            let version = version.to_string();
            lab.batch(|lab| {
                lab.namespace("a", &[("version", &version)])?;
                lab.namespace("b", &[("version", &version)])
            })
            .unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    let others = fs::read_dir(lab.manifests())
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() != "cluster.yaml");
    assert_eq!(others.count(), 0);
}
