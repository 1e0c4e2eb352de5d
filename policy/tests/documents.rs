//! Manifests through the front door: text in, objects and findings out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use podwall_policy::diagnostic::Severity;
use podwall_policy::document::{self, Documents};
use podwall_policy::object::{Object, Pod};
use podwall_policy::spec::Policy;

#[path = "documents/parts.rs"]
mod parts;
#[path = "documents/pods.rs"]
mod pods;
#[path = "documents/policies.rs"]
mod policies;
#[path = "documents/selectors.rs"]
mod selectors;
#[path = "documents/texts.rs"]
mod texts;

/// What is read of `text`; a text that cannot be used fails the test.
#[track_caller]
fn read(text: &str) -> Documents {
    document::read("test.yaml", text).unwrap_or_else(|fault| panic!("{fault}\n{text}"))
}

/// The message with which `text` is refused as a whole.
#[track_caller]
fn refused(text: &str) -> String {
    match document::read("test.yaml", text) {
        Ok(read) => panic!("not refused, but read as {read:?}\n{text}"),
        Err(fault) => fault.to_string(),
    }
}

/// The policy `shop/p` with this `spec` in flow style, and what is found odd, one line each.
#[track_caller]
fn policy(spec: &str) -> (Policy, Vec<String>) {
    let text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
    );
    let read = read(&text);
    let found = read.diagnostics.iter().map(ToString::to_string).collect();
    match <[Object; 1]>::try_from(read.objects) {
        Ok([Object::Policy(policy)]) => (policy, found),
        other => panic!("{spec} is read as {other:?}"),
    }
}

/// The pod `shop/a` with these lines of flow-style fields beside its name.
#[track_caller]
fn pod(metadata: &str, rest: &str) -> (Object, Vec<String>) {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: a, namespace: shop, {metadata}}}, {rest}}}\n"
    );
    let read = read(&text);
    let found = read.diagnostics.iter().map(ToString::to_string).collect();
    (read.objects.into_iter().next().expect("one object"), found)
}

/// The pod, if nothing was odd.
#[track_caller]
fn sound_pod(metadata: &str, rest: &str) -> Pod {
    match pod(metadata, rest) {
        (Object::Pod(pod), found) if found.is_empty() => pod,
        other => panic!("{metadata} {rest} is read as {other:?}"),
    }
}

/// Holds that each finding of `found` contains the words of `wanted` at its place, and no more.
#[track_caller]
fn check_found(found: &[String], wanted: &[&str]) {
    let fits = found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(one, words)| one.contains(words));
    assert!(fits, "found {found:#?}\nwanted {wanted:#?}");
}

#[test]
fn what_kubectl_prints_reads_without_a_finding() {
    let read = read(include_str!("data/kubectl-get.yaml"));
    assert_eq!(read.diagnostics, []);
    assert_eq!(read.skipped, Vec::<String>::new());
    assert_eq!(read.objects.len(), 6);
    let Object::Pod(web) = &read.objects[0] else {
        panic!("no pod: {:?}", read.objects[0]);
    };
    assert_eq!(web.name.to_string(), "shop/web-7c5ddbdf54-x2x9k");
    assert_eq!(
        web.labels.get("commit"),
        Some("7123e4567"),
        "no number, since too large for one"
    );
    assert_eq!(web.labels.get("spotlight"), Some(""));
    assert_eq!(web.addresses.len(), 2);
    assert_eq!(web.host_addresses.len(), 2);
    let ports: Vec<&str> = web.named_ports.iter().map(|port| &*port.name).collect();
    assert_eq!(
        ports,
        ["http", "https", "metrics"],
        "those of a native sidecar, not of an init container"
    );
    assert!(matches!(&read.objects[1], Object::Pod(pod) if pod.is_finished()));
    assert!(matches!(&read.objects[2], Object::Pod(pod) if pod.host_network));
    let Object::Policy(policy) = &read.objects[5] else {
        panic!("no policy: {:?}", read.objects[5]);
    };
    assert_eq!(policy.egress.as_ref().map(Vec::len), Some(1));
    let (_, found) = podwall_policy::cluster::Cluster::assemble(read.objects).expect("no conflict");
    assert_eq!(found, []);
}

#[test]
fn severity_tells_what_is_broken_from_what_is_only_odd() {
    let text = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, \
                spec: {ingres: [], ingress: [{from: [{}]}]}}";
    let severities: Vec<Severity> = read(text)
        .diagnostics
        .iter()
        .map(|one| one.severity)
        .collect();
    assert_eq!(severities, [Severity::Warning, Severity::Error]);
}
