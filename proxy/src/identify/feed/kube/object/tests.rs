#![allow(clippy::unwrap_used, clippy::expect_used)]

use ::kube::core::{ObjectList, WatchEvent};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use podwall_policy::selector::Selector;
use podwall_policy::spec::Policy;

use super::*;

fn watched<K: Resource<DynamicType = ()>>(text: &str) -> Watched<K> {
    serde_json::from_str(text).unwrap()
}

fn object<K: Resource<DynamicType = ()>>(text: &str) -> (Object, Vec<Diagnostic>) {
    match watched::<K>(text).into_told() {
        Told::Object { object, findings } => (object, findings),
        other => panic!("{other:?}"),
    }
}

fn stand_in(text: &str) -> Policy {
    match watched::<NetworkPolicy>(text).into_told() {
        Told::StandIn {
            policy: Object::Policy(policy),
            ..
        } => policy,
        other => panic!("{text}: {other:?}"),
    }
}

const POD: &str = r#"{"metadata": {"name": "web", "namespace": "shop", "uid": "u1",
    "resourceVersion": "7", "labels": {"app": "web"}, "managedFields": [{"fieldsV1": {}}]},
    "spec": {"containers": [{"name": "c", "env": [{"name": "A"}], "ports":
        [{"name": "http", "containerPort": 80}]}], "volumes": [{"name": "v"}]},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
        "conditions": [{"type": "Ready"}], "startTime": "2026-01-02T03:04:05Z"}}"#;

#[test]
fn an_item_of_a_list_needs_no_type_of_its_own() {
    let list =
        format!(r#"{{"kind": "PodList", "apiVersion": "v1", "metadata": {{}}, "items": [{POD}]}}"#);
    let list: ObjectList<Watched<Pod>> = serde_json::from_str(&list).unwrap();
    let watched = list.items.into_iter().next().unwrap();
    assert_eq!(watched.meta().resource_version.as_deref(), Some("7"));
    let Told::Object {
        object: Object::Pod(pod),
        findings,
    } = watched.into_told()
    else {
        panic!("no pod");
    };
    assert_eq!(pod.name, ObjectName::new("shop", "web"));
    assert_eq!(pod.addresses.len(), 2, "s75");
    assert_eq!(pod.labels.get("app"), Some("web"));
    assert_eq!(pod.named_ports.len(), 1);
    assert!(pod.started.is_some());
    assert_eq!(findings, []);
}

#[test]
fn an_event_holds_the_same_object_as_a_list() {
    let event = format!(r#"{{"type": "MODIFIED", "object": {POD}}}"#);
    let event: WatchEvent<Watched<Pod>> = serde_json::from_str(&event).unwrap();
    let WatchEvent::Modified(of_event) = event else {
        panic!("{event:?}");
    };
    assert_eq!(of_event.into_told(), watched::<Pod>(POD).into_told());
}

#[test]
fn p26_a_malformed_pod_counts_as_unknown_and_is_told_of() {
    let text = r#"{"metadata": {"name": "web", "namespace": "shop", "labels": {"app": 5}}}"#;
    let (object, findings) = object::<Pod>(text);
    assert_eq!(object, Object::BrokenPod(ObjectName::new("shop", "web")));
    assert_eq!(findings[0].place, "Pod shop/web: metadata.labels.app");
}

#[test]
fn p26_a_pod_under_a_name_no_server_stores_counts_as_unknown() {
    let (object, findings) =
        object::<Pod>(r#"{"metadata": {"name": "We_b", "namespace": "shop"}}"#);
    assert_eq!(object, Object::BrokenPod(ObjectName::new("shop", "We_b")));
    assert_eq!(findings[0].place, "Pod shop/We_b");
}

#[test]
fn p26_a_malformed_namespace_counts_as_unknown() {
    for labels in [
        "7",
        r#"{"a": null}"#,
        r#"{"kubernetes.io/metadata.name": "other"}"#,
    ] {
        let text = format!(r#"{{"metadata": {{"name": "shop", "labels": {labels}}}}}"#);
        let (object, findings) = object::<Namespace>(&text);
        assert_eq!(object, Object::BrokenNamespace("shop".into()), "{labels}");
        assert_eq!(findings.len(), 1, "{labels}");
    }
}

#[test]
fn p26_a_malformed_policy_still_isolates() {
    let text = r#"{"metadata": {"name": "p", "namespace": "shop"}, "spec": {"podSelector": 5, "ingress": "x"}}"#;
    let (object, findings) = object::<NetworkPolicy>(text);
    let Object::Policy(policy) = object else {
        panic!("{object:?}");
    };
    assert_eq!(policy.subjects, Selector::Broken);
    assert!(policy.ingress.is_some());
    assert!(!findings.is_empty());
}

#[test]
fn p26_a_policy_isolates_even_without_a_readable_name() {
    for text in [
        r#"{"metadata": {"name": 5, "namespace": "shop"}, "spec": {"podSelector": {}}}"#,
        r#"{"metadata": {"namespace": "S H O P"}, "spec": {"podSelector": {}}}"#,
        r#"{"metadata": "none", "spec": {"podSelector": {}}}"#,
        r#"{"spec": {"podSelector": {}}}"#,
        "5",
        "[]",
    ] {
        let policy = stand_in(text);
        assert!(policy.name.name.starts_with(STAND_IN), "{text}");
        assert!(policy.ingress.is_some(), "{text}");
    }
}

#[test]
fn p26_policies_without_readable_names_do_not_hide_each_other() {
    let of = |uid: &str, app: &str| {
        let text = format!(
            r#"{{"metadata": {{"name": 5, "uid": "{uid}"}}, "spec": {{"podSelector": {{"matchLabels": {{"app": "{app}"}}}}}}}}"#
        );
        stand_in(&text).name
    };
    assert_ne!(of("u1", "web"), of("u2", "web"));
    assert_eq!(of("u1", "web"), of("u1", "db"), "changed, it is the same");
    let without = |app: &str| stand_in(&format!(r#"{{"spec": {{"podSelector": "{app}"}}}}"#)).name;
    assert_ne!(without("web"), without("db"));
}

/// In a manifest it would be of the namespace "default", whose pods a rule may let in.
#[test]
fn p26_a_pod_without_a_namespace_is_nobody() {
    for namespace in ["", r#", "namespace": null"#, r#", "namespace": """#] {
        let text = format!(r#"{{"metadata": {{"name": "web"{namespace}}}}}"#);
        let told = watched::<Pod>(&text).into_told();
        assert!(matches!(told, Told::Nameless(_)), "{text}: {told:?}");
    }
}

#[test]
fn p26_nothing_an_object_holds_stops_the_watch() {
    for text in [
        "null",
        "5",
        "[]",
        "{}",
        r#"{"metadata": []}"#,
        r#"{"metadata": {"name": {}}}"#,
    ] {
        let told = watched::<Pod>(text).into_told();
        assert!(matches!(told, Told::Nameless(_)), "{text}: {told:?}");
        assert_eq!(watched::<Pod>(text).into_gone(), None);
    }
}

#[test]
fn p8_a_deletion_names_the_uid_even_of_a_broken_pod() {
    let uid = |text: &str| match watched::<Pod>(text).into_gone() {
        Some(Gone::Pod { uid, .. }) => uid,
        other => panic!("{other:?}"),
    };
    assert_eq!(uid(POD).as_deref(), Some("u1"));
    let broken = r#"{"metadata": {"name": "web", "namespace": "shop", "uid": "u2", "labels": 5}}"#;
    assert_eq!(uid(broken).as_deref(), Some("u2"));
    for text in [POD, broken] {
        let text = text.replace("uid", "other");
        assert_eq!(watched::<Pod>(&text).into_gone(), None, "{text}");
    }
}
