#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use super::{Module, version};

#[test]
fn the_version_is_that_of_the_module_file() {
    let block = "require (\n\tk8s.io/kubectl v0.37.2\n\tk8s.io/kubernetes v1.37.2\n)\n";
    assert_eq!(version(block), Some("v1.37.2"));
    assert_eq!(
        version("require k8s.io/kubernetes v1.2.3\n"),
        Some("v1.2.3")
    );
    assert_eq!(version("require k8s.io/kubernetes-csi v1.2.3\n"), None);
}

#[test]
fn our_own_module_is_readable_and_its_hash_is_stable() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes");
    let (one, two) = (
        Module::read(&source).unwrap(),
        Module::read(&source).unwrap(),
    );
    assert!(one.version.starts_with("v1."), "{}", one.version);
    assert_eq!(one.hash, two.hash);
}

#[test]
fn a_missing_source_names_both_ways_out() {
    let fault = Module::read(Path::new("/nowhere"))
        .err()
        .unwrap()
        .to_string();
    assert!(
        fault.contains("/nowhere")
            && fault.contains("KUBEBUILDER_ASSETS")
            && fault.contains("go.dev/dl"),
        "{fault}"
    );
}
