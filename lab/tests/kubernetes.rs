//! The lab's claims about its control plane, each as a test against the real API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::{
    net::{IpAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use podwall_lab::{ControlPlane, Lab, LabError, LabResult, PodSpec, Request};
use serde_json::{Value, json};

/// Long enough for a machine under load; nothing waits for it unless something is broken.
const SOON: Duration = Duration::from_secs(30);
const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies";
const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
    metadata: {name: one, namespace: ns}\nspec: {podSelector: {}}\n";
const READER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [pods], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, namespace: ns, name: side}]
";

/// A lab with the namespace `ns` and a control plane.
fn lab() -> (Lab, ControlPlane) {
    let mut lab = Lab::start().unwrap();
    lab.namespace("ns", &[("team", "a")]).unwrap();
    let begin = Instant::now();
    let control = lab.start_control_plane().unwrap();
    println!("control plane ready after {:?}", begin.elapsed());
    (lab, control)
}

fn pod(control: &ControlPlane, name: &str) -> LabResult<Value> {
    control
        .admin()
        .get(&format!("/api/v1/namespaces/ns/pods/{name}"))
}

fn status_of<T>(result: LabResult<T>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(LabError::Refused { status, .. }) => status,
        Err(other) => panic!("{other}"),
    }
}

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

#[test]
fn rbac_refuses_until_it_is_granted_and_names_the_account() {
    let (_lab, control) = lab();
    let account = control.account("ns", "side").unwrap();
    let client = account.client().unwrap();
    let refused = client.get("/api/v1/pods").unwrap_err().to_string();
    assert!(
        refused.contains(&account.user()) && refused.contains("403"),
        "{refused}"
    );
    control.grant(READER).unwrap();
    let allowed = podwall_lab::wait_until(SOON, || client.get("/api/v1/pods").is_ok());
    assert!(allowed, "{:?}", client.get("/api/v1/pods"));
    assert_eq!(status_of(client.get("/api/v1/namespaces")), 403);
}

#[test]
fn only_the_sidecars_user_can_read_a_token() {
    let (lab, control) = lab();
    let account = control.account("ns", "side").unwrap();
    let mode = |file| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(account.token_file()), 0o400);
    let read = lab
        .node()
        .command("cat")
        .arg(account.token_file())
        .unprivileged();
    assert!(!read.run(SOON).unwrap().stdout.is_empty());
    let config = lab
        .node()
        .command("cat")
        .arg(account.kubeconfig())
        .unprivileged();
    assert!(config.run(SOON).unwrap().stdout.contains("tokenFile"));
    let authority = lab
        .node()
        .command("cat")
        .arg(control.authorities())
        .unprivileged();
    assert!(
        authority
            .run(SOON)
            .unwrap()
            .stdout
            .contains("BEGIN CERTIFICATE")
    );
    for secret in ["admin.key", "kube-apiserver.key", "service-accounts.key"] {
        let file = control.authorities().with_file_name(secret);
        assert_eq!(mode(file), 0o600, "{secret}");
    }
}

#[test]
fn a_revoked_token_is_refused_and_a_renewed_one_works() {
    let (_lab, control) = lab();
    control.grant(READER).unwrap();
    let account = control.account("ns", "side").unwrap();
    let api = "/api/v1/pods";
    assert_eq!(status_of(account.client().unwrap().get(api)), 200);
    account.revoke().unwrap();
    assert_eq!(status_of(account.client().unwrap().get(api)), 401);
    account.renew(Duration::from_secs(600)).unwrap();
    assert_eq!(status_of(account.client().unwrap().get(api)), 200);
}

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
fn a_rotated_certificate_and_a_rotated_authority_are_accepted_by_who_reads_the_file() {
    let (_lab, control) = lab();
    let serving = control.authorities().with_file_name("kube-apiserver.crt");
    let leaf = || std::fs::read_to_string(&serving).unwrap();
    let before = leaf();
    control.rotate_certificate().unwrap();
    assert_ne!(before, leaf());
    let account = control.account("ns", "side").unwrap();
    let old = account.client().unwrap();
    assert_eq!(status_of(old.get("/api/v1/pods")), 403);
    control.rotate_authority().unwrap();
    assert_eq!(
        status_of(account.client().unwrap().get("/api/v1/pods")),
        403
    );
    let stale = old.get("/api/v1/pods");
    assert!(matches!(stale, Err(LabError::NoAnswer { .. })), "{stale:?}");
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
fn kubectl_applies_what_a_person_writes() {
    let (_lab, control) = lab();
    let apply = control
        .kubectl()
        .unwrap()
        .args(["apply", "-f", "-"])
        .stdin(POLICY);
    let output = apply.run(SOON).unwrap();
    assert!(output.status.success(), "{output:?}");
    control.admin().get(&format!("{POLICIES}/one")).unwrap();
}

#[test]
fn an_apis_server_that_cannot_start_tells_its_own_reason() {
    let (_lab, control) = lab();
    control.kill();
    let key = control.authorities().with_file_name("service-accounts.pub");
    std::fs::write(key, "no key").unwrap();
    let failure = control.start().unwrap_err();
    assert!(matches!(failure, LabError::Ended { .. }), "{failure}");
    assert!(failure.to_string().contains("public key"), "{failure}");
}
