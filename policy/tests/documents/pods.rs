//! Pods and Namespaces.

use std::time::Duration;

use podwall_policy::object::{Object, Phase};

use super::{check_found, pod, read, refused, sound_pod};

/// The addresses under a status.
#[track_caller]
fn addresses(status: &str) -> Vec<String> {
    let pod = sound_pod("", &format!("status: {status}"));
    pod.addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn s75_addresses_of_both_families_canonical_and_once() {
    for (status, wanted) in [
        (
            "{podIPs: [{ip: 10.0.0.1}, {ip: \"fd00::1\"}], podIP: 10.0.0.1}",
            &["10.0.0.1", "fd00::1"][..],
        ),
        ("{podIP: 10.0.0.1}", &["10.0.0.1"]),
        ("{podIPs: [], podIP: 10.0.0.1}", &["10.0.0.1"]),
        (
            "{podIPs: [{ip: \"::ffff:10.0.0.1\"}, {ip: 10.0.0.1}]}",
            &["10.0.0.1"],
        ),
        ("{podIP: \"\"}", &[]),
        ("{}", &[]),
        ("null", &[]),
    ] {
        assert_eq!(addresses(status), wanted, "{status}");
    }
    let pod = sound_pod(
        "",
        "status: {hostIPs: [{ip: 192.0.2.1}, {ip: \"2001:db8::1\"}], hostIP: 192.0.2.1}",
    );
    assert_eq!(pod.host_addresses.len(), 2);
    let pod = sound_pod("", "status: {hostIP: 192.0.2.1}");
    assert_eq!(pod.host_addresses.len(), 1);
}

#[test]
fn s52_to_s54_named_ports_of_containers_and_native_sidecars() {
    let spec = "spec: {containers: [{ports: [{name: web, containerPort: 80}, {containerPort: 81}, \
                {name: dns, containerPort: 53, protocol: UDP}, {name: dns, containerPort: 54}]}, \
                {ports: [{name: web, containerPort: 80}]}, {}], \
                initContainers: [{restartPolicy: Always, ports: [{name: side, containerPort: 90}]}, \
                {ports: [{name: once, containerPort: 91}]}]}";
    let pod = sound_pod("", spec);
    let ports: Vec<String> = pod
        .named_ports
        .iter()
        .map(|port| format!("{}={}/{}", port.name, port.port, port.protocol))
        .collect();
    assert_eq!(
        ports,
        ["dns=54/TCP", "dns=53/UDP", "side=90/TCP", "web=80/TCP"]
    );
    assert!(pod.named_ports.is_sorted());
}

#[test]
fn udp_ports_are_known_without_a_name_too() {
    let spec = "spec: {containers: [{ports: [{name: tftp, containerPort: 69, protocol: UDP}, {containerPort: 80}, \
                {containerPort: 53, protocol: UDP}, {containerPort: 53}, {containerPort: many, protocol: UDP}, \
                {containerPort: 70000, protocol: UDP}, {containerPort: 3868, protocol: SCTP}]}, \
                {ports: [{containerPort: 53, protocol: UDP}]}], \
                initContainers: [{restartPolicy: Always, ports: [{containerPort: 123, protocol: UDP}]}, \
                {ports: [{containerPort: 91, protocol: UDP}]}]}";
    assert_eq!(*sound_pod("", spec).udp_ports, [53, 69, 123]);
}

#[test]
fn s54_of_a_port_name_given_twice_the_first_stays_and_it_is_reported() {
    let spec = "spec: {containers: [{ports: [{name: web, containerPort: 80}]}, {ports: [{name: web, containerPort: 70}]}]}";
    let (read, found) = pod("", spec);
    let Object::Pod(read) = read else {
        panic!("no pod");
    };
    assert_eq!(read.named_ports[0].port, 80);
    check_found(
        &found,
        &["spec.containers[1].ports[0].name: the name \"web\" stands for 80 already"],
    );
}

#[test]
fn s67_and_s70_to_s72_host_network_phase_and_times() {
    assert!(sound_pod("", "spec: {hostNetwork: true}").host_network);
    assert!(!sound_pod("", "spec: {hostNetwork: null}").host_network);
    for (word, phase) in [
        ("Pending", Some(Phase::Pending)),
        ("Running", Some(Phase::Running)),
        ("Succeeded", Some(Phase::Succeeded)),
        ("Failed", Some(Phase::Failed)),
        ("Unknown", Some(Phase::Unknown)),
        ("null", None),
    ] {
        assert_eq!(
            sound_pod("", &format!("status: {{phase: {word}}}")).phase,
            phase,
            "{word}"
        );
    }
    let started = |metadata, status| {
        let pod = sound_pod(metadata, status);
        pod.started
            .map(|time| time.duration_since(std::time::UNIX_EPOCH).unwrap())
    };
    let created = "creationTimestamp: 1970-01-01T00:00:05Z";
    assert_eq!(
        started(created, "status: {startTime: \"1970-01-01T00:00:09Z\"}"),
        Some(Duration::from_secs(9))
    );
    assert_eq!(started(created, "status: {}"), Some(Duration::from_secs(5)));
    assert_eq!(started("", "status: {}"), None);
    assert!(sound_pod("deletionTimestamp: \"2026-01-01T00:00:00Z\"", "spec: {}").terminating);
    assert!(!sound_pod("deletionTimestamp: null", "spec: {}").terminating);
}

#[test]
fn an_unknown_phase_counts_as_alive_and_is_reported() {
    let (read, found) = pod("", "status: {phase: Dreaming}");
    assert!(matches!(read, Object::Pod(pod) if pod.phase == Some(Phase::Unknown)));
    check_found(
        &found,
        &["warning: Pod shop/a: status.phase: \"Dreaming\" is no phase; the pod counts as alive"],
    );
}

#[test]
fn p26_a_malformed_pod_is_unknown_and_every_fault_is_reported() {
    for (metadata, rest, words) in [
        (
            "labels: {app: 1}",
            "spec: {}",
            "metadata.labels.app: the number 1 is no text; quote it, as in \"1\"",
        ),
        (
            "labels: {app: null}",
            "spec: {}",
            "metadata.labels.app: null is no label value; write \"\"",
        ),
        (
            "labels: [app]",
            "spec: {}",
            "metadata.labels: a list is no mapping",
        ),
        (
            "uid: 7",
            "spec: {}",
            "metadata.uid: the number 7 is no text",
        ),
        ("", "spec: []", "spec: a list is no mapping"),
        ("", "status: gone", "status: \"gone\" is no mapping"),
        (
            "",
            "spec: {hostNetwork: \"true\"}",
            "spec.hostNetwork: \"true\" is neither true nor false",
        ),
        (
            "",
            "spec: {containers: {}}",
            "spec.containers: a mapping is no list",
        ),
        (
            "",
            "spec: {containers: [{ports: [{name: web}]}]}",
            "containers[0].ports[0].containerPort: nothing is no port number",
        ),
        (
            "",
            "spec: {containers: [{ports: [{name: web, containerPort: 99999}]}]}",
            "the number 99999 is no port number",
        ),
        (
            "",
            "status: {podIPs: [{ip: 10.0.0.300}]}",
            "status.podIPs[0].ip: \"10.0.0.300\" is no address",
        ),
        (
            "",
            "status: {podIPs: [10.0.0.3]}",
            "status.podIPs[0]: \"10.0.0.3\" is no mapping",
        ),
        (
            "",
            "status: {podIP: 10}",
            "status.podIP: the number 10 is no text",
        ),
        (
            "",
            "status: {hostIP: x}",
            "status.hostIP: \"x\" is no address",
        ),
        (
            "",
            "status: {startTime: noon}",
            "status.startTime: \"noon\" is no time; write it as 2024-",
        ),
    ] {
        let (read, found) = pod(metadata, rest);
        assert!(
            matches!(&read, Object::BrokenPod(name) if name.to_string() == "shop/a"),
            "{rest}: {read:?}"
        );
        check_found(&found, &[words]);
        assert!(found[0].starts_with("error: Pod shop/a: "), "{found:?}");
    }
    let (_, found) = pod("labels: {a: 1, b: 2}", "status: {podIP: x, startTime: y}");
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_label_that_the_server_refuses_is_used_and_reported() {
    let (read, found) = pod("labels: {app: \"a b\", \"x y\": z}", "spec: {}");
    assert!(matches!(read, Object::Pod(pod) if pod.labels.get("app") == Some("a b")));
    check_found(
        &found,
        &[
            "refuses the value \"a b\"",
            "metadata.labels[\"x y\"]: the API server refuses this key",
        ],
    );
}

#[test]
fn s27_a_namespace_gets_the_label_of_its_name() {
    let text = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}";
    let read = read(text);
    let Object::Namespace(shop) = &read.objects[0] else {
        panic!("no namespace");
    };
    assert_eq!(
        shop.labels.to_string(),
        "kubernetes.io/metadata.name=shop,team=a"
    );
    assert_eq!(read.diagnostics, []);
    let text = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {kubernetes.io/metadata.name: mall}}}";
    let message = refused(text);
    assert!(message.starts_with("test.yaml:1:1: Namespace shop: metadata.labels[\"kubernetes.io/metadata.name\"]: \"mall\""), "{message}");
    assert!(message.contains("remove this label"), "{message}");
}

#[test]
fn p26_a_malformed_namespace_is_unknown() {
    let read = read("{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: 7}}}");
    assert_eq!(read.objects, [Object::BrokenNamespace("shop".into())]);
    assert!(
        read.diagnostics[0]
            .to_string()
            .starts_with("error: Namespace shop: metadata.labels.team: the number 7")
    );
}

#[test]
fn s08_a_namespace_being_deleted_is_reported() {
    for rest in [
        "metadata: {name: shop, deletionTimestamp: x}",
        "metadata: {name: shop}, status: {phase: Terminating}",
    ] {
        let read = read(&format!("{{apiVersion: v1, kind: Namespace, {rest}}}"));
        assert!(matches!(&read.objects[0], Object::Namespace(_)));
        assert!(
            read.diagnostics[0]
                .to_string()
                .contains("is being deleted; its policies isolate"),
            "{rest}"
        );
    }
}
