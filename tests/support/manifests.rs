//! Objects that the test writes by itself, beside those of the lab: how it says what no API server would.

#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use podwall_lab::Lab;
use serde_json::Value;

/// The lab's own object, as it stands in the manifests.
pub fn object(lab: &Lab, kind: &str, name: &str) -> Value {
    let text = fs::read_to_string(lab.manifests().join("cluster.yaml")).unwrap();
    let mut documents = text
        .split("---\n")
        .filter_map(|document| serde_json::from_str::<Value>(document).ok());
    documents
        .find(|one| one["kind"] == kind && one["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("no {kind} {name} in {text}"))
}

/// Writes a file beside the lab's, by one rename.
pub fn write(lab: &Lab, file: &str, text: impl AsRef<str>) {
    let (draft, file) = (
        lab.manifests().join(format!(".{file}.tmp")),
        lab.manifests().join(file),
    );
    fs::write(&draft, text.as_ref()).unwrap();
    fs::rename(&draft, &file).unwrap();
}

/// Gives the object of a pod a file of its own. Nothing changes for a reader.
pub fn adopt_pod(lab: &mut Lab, namespace: &str, name: &str, file: &str) -> Value {
    let pod = object(lab, "Pod", name);
    write(lab, file, pod.to_string());
    lab.forget(namespace, name).unwrap();
    pod
}

/// The same for a Namespace.
pub fn adopt_namespace(lab: &mut Lab, name: &str, file: &str) -> Value {
    let namespace = object(lab, "Namespace", name);
    write(lab, file, namespace.to_string());
    lab.remove_namespace(name).unwrap();
    namespace
}

/// The object with labels that cannot be read: no API server stores such, so it counts as malformed (P26).
pub fn with_broken_labels(mut object: Value) -> String {
    object["metadata"]["labels"] = "app=cart".into();
    object.to_string()
}
