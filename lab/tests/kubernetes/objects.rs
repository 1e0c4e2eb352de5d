//! The lab's pods, namespaces and policies as objects of the API server.

use std::net::{IpAddr, TcpStream};

use podwall_lab::{Lab, PodSpec};
use serde_json::json;

use crate::{POLICIES, POLICY, SOON, lab, pod, status_of};

#[test]
fn a_pods_object_has_its_real_addresses() {
    let (mut lab, control) = lab();
    let spec = PodSpec::new("ns", "web")
        .label("app", "x")
        .port("web", 80, "TCP");
    let web = lab.pod(spec.sidecar_port("admin", 9901, "TCP")).unwrap();
    let object = pod(&control, "web").unwrap();
    let ips = json!([{ "ip": web.v4() }, { "ip": web.v6() }]);
    assert_eq!(object["status"]["podIPs"], ips);
    assert_eq!(object["status"]["phase"], "Running");
    assert_eq!(object["metadata"]["labels"], json!({ "app": "x" }));
    assert_eq!(
        object["spec"]["containers"][0]["ports"][0]["containerPort"],
        80
    );
    assert_eq!(
        object["spec"]["initContainers"][0]["restartPolicy"],
        "Always"
    );
    let node: IpAddr = lab.node().host_v4().into();
    assert_eq!(object["status"]["hostIPs"][0]["ip"], node.to_string());
    let server = control.server_address();
    web.enter(|| TcpStream::connect_timeout(&server, SOON))
        .unwrap()
        .expect("the pod reaches the API server");
}

#[test]
fn what_was_there_before_is_written_at_the_start() {
    let mut lab = Lab::start().unwrap();
    lab.namespace("ns", &[("team", "a")]).unwrap();
    lab.pod(PodSpec::new("ns", "early")).unwrap();
    lab.policy("ns", "one", POLICY).unwrap();
    let control = lab.start_control_plane().unwrap();
    assert_eq!(
        pod(&control, "early").unwrap()["status"]["phase"],
        "Running"
    );
    assert_eq!(
        control.admin().get(POLICIES).unwrap()["items"][0]["metadata"]["name"],
        "one"
    );
    let ns = control.admin().get("/api/v1/namespaces/ns").unwrap();
    assert_eq!(ns["metadata"]["labels"]["team"], "a");
    assert_eq!(
        lab.control_plane().unwrap().server_url(),
        control.server_url()
    );
}

#[test]
fn every_change_is_an_objects_change() {
    let (mut lab, control) = lab();
    lab.pod(PodSpec::new("ns", "a").label("app", "x")).unwrap();
    lab.relabel("ns", "a", &[("role", "db")]).unwrap();
    assert_eq!(
        pod(&control, "a").unwrap()["metadata"]["labels"],
        json!({ "role": "db" })
    );
    lab.terminate("ns", "a").unwrap();
    let leaving = pod(&control, "a").unwrap();
    assert!(
        leaving["metadata"]["deletionTimestamp"].is_string(),
        "{leaving}"
    );
    lab.set_phase("ns", "a", "Succeeded").unwrap();
    assert_eq!(pod(&control, "a").unwrap()["status"]["phase"], "Succeeded");
    lab.forget("ns", "a").unwrap();
    assert_eq!(status_of(pod(&control, "a")), 404);
    lab.announce("ns", "a").unwrap();
    assert_eq!(pod(&control, "a").unwrap()["status"]["phase"], "Succeeded");
    lab.remove("ns", "a").unwrap();
    assert_eq!(status_of(pod(&control, "a")), 404);
    lab.namespace("ns", &[("team", "b")]).unwrap();
    let labels =
        control.admin().get("/api/v1/namespaces/ns").unwrap()["metadata"]["labels"].clone();
    assert_eq!(
        labels,
        json!({ "team": "b", "kubernetes.io/metadata.name": "ns" })
    );
}

#[test]
fn host_network_and_single_family_pods_are_accepted() {
    let (mut lab, control) = lab();
    lab.pod(PodSpec::new("ns", "host").host_network()).unwrap();
    let host = pod(&control, "host").unwrap();
    assert_eq!(host["spec"]["hostNetwork"], true);
    assert_eq!(host["status"]["podIP"], lab.node().host_v4().to_string());
    let v6 = lab.pod(PodSpec::new("ns", "v6").v6_only()).unwrap();
    let object = pod(&control, "v6").unwrap();
    assert_eq!(object["status"]["podIPs"], json!([{ "ip": v6.v6() }]));
}

#[test]
fn policies_are_written_as_given_and_a_refusal_is_the_methods_error() {
    let (mut lab, control) = lab();
    lab.policy("ns", "one", POLICY).unwrap();
    let egress = POLICY.replace(
        "{podSelector: {}}",
        "{podSelector: {}, policyTypes: [Egress]}",
    );
    lab.policy("ns", "one", &egress).unwrap();
    let kept = control.admin().get(&format!("{POLICIES}/one")).unwrap();
    assert_eq!(kept["spec"]["policyTypes"], json!(["Egress"]));
    let broken = POLICY.replace(
        "{podSelector: {}}",
        "{podSelector: {}, policyTypes: [Sideways]}",
    );
    assert_eq!(status_of(lab.policy("ns", "one", &broken)), 422);
    lab.pod(PodSpec::new("ns", "next"))
        .expect("other changes go on");
    lab.set_policies_yaml("").unwrap();
    assert_eq!(control.admin().get(POLICIES).unwrap()["items"], json!([]));
}

#[test]
fn pods_wait_for_their_namespace_and_stay_when_it_goes() {
    let (mut lab, control) = lab();
    lab.pod(PodSpec::new("late", "a")).unwrap();
    let path = "/api/v1/namespaces/late/pods/a";
    assert_eq!(status_of(control.admin().get(path)), 404);
    lab.namespace("late", &[]).unwrap();
    control.admin().get(path).unwrap();
    lab.remove_namespace("late").unwrap();
    assert_eq!(
        status_of(control.admin().get("/api/v1/namespaces/late")),
        404
    );
    control.admin().get(path).expect("the pod stays");
    lab.namespace("late", &[("again", "yes")]).unwrap();
    lab.relabel("late", "a", &[("app", "x")]).unwrap();
    assert_eq!(
        control.admin().get(path).unwrap()["metadata"]["labels"]["app"],
        "x"
    );
}

#[test]
fn a_namespace_deleted_by_a_test_stays_terminating() {
    let (mut lab, control) = lab();
    lab.policy("ns", "one", POLICY).unwrap();
    control.admin().delete("/api/v1/namespaces/ns").unwrap();
    let ns = control.admin().get("/api/v1/namespaces/ns").unwrap();
    assert_eq!(ns["status"]["phase"], "Terminating");
    control.admin().get(&format!("{POLICIES}/one")).unwrap();
    let late = lab.pod(PodSpec::new("ns", "late"));
    assert_eq!(status_of(late), 403);
}
