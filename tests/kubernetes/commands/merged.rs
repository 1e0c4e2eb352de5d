//! The sidecar with files on top of a cluster: an object of the files hides the cluster's, for as long as it is there.

use std::path::Path;

use podwall_lab::{Sidecar, wait_until};

use crate::kubernetes::stage::Stage;
use crate::support::{CART_ONLY, SOON, Seen, podwall};

#[test]
fn what_lies_on_top_of_the_cluster_is_enforced_and_what_is_taken_off_is_not() {
    let mut stage = Stage::bare(CART_ONLY);
    let dir = stage.scene.lab.dir().join("on-top");
    std::fs::create_dir(&dir).unwrap();
    let rogue_only = CART_ONLY.replace("app: cart", "app: rogue");
    put(&dir, &rogue_only);
    start(&mut stage, &dir);
    let (cart, rogue) = (stage.scene.cart.clone(), stage.scene.rogue.clone());
    stage.fares(&rogue, Seen::Page, "rule");
    stage.fares(&cart, Seen::Reset, "no_rule_admits");
    // What the cluster says of a policy that is hidden makes no difference; what it says of a pod does.
    stage.scene.lab.set_policies_yaml("").unwrap();
    let other = [("app", "other")];
    stage.scene.lab.relabel("shop", "rogue", &other).unwrap();
    stage.fares(&rogue, Seen::Reset, "no_rule_admits");
    stage.fares(&cart, Seen::Reset, "no_rule_admits");
    stage.scene.lab.set_policies_yaml(CART_ONLY).unwrap();
    // Another object in its place: the cluster's own policy comes to light.
    put(
        &dir,
        "{apiVersion: v1, kind: Namespace, metadata: {name: elsewhere}}",
    );
    stage.fares(&cart, Seen::Page, "rule");
    stage.fares(&rogue, Seen::Reset, "no_rule_admits");
    // And hidden again, at once.
    put(&dir, &rogue_only);
    stage.fares(&cart, Seen::Reset, "no_rule_admits");
}

/// Replaces the one file, as a ConfigMap is.
fn put(dir: &Path, text: &str) {
    std::fs::write(dir.join(".draft"), text).unwrap();
    std::fs::rename(dir.join(".draft"), dir.join("on-top.yaml")).unwrap();
}

fn start(stage: &mut Stage, files: &Path) {
    let kubeconfig = stage.kubeconfig();
    let source = podwall_lab::Source::Kubeconfig(&kubeconfig);
    let scene = &stage.scene;
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &[]).expect("the rules");
    let more = ["-f", files.to_str().unwrap()];
    let sidecar = Sidecar::launch_from(source, &scene.lab, &scene.web, &podwall(), &more);
    let sidecar = sidecar.expect("a sidecar");
    let ready = || sidecar.get("/readyz").is_ok_and(|(code, _)| code == 200);
    let is_ready = wait_until(SOON, ready);
    assert!(is_ready, "{}", sidecar.process().output_so_far());
    stage.scene.sidecar = Some(sidecar);
}
