//! The lab's claims about its control plane, each as a test against the real API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod accounts;
mod objects;
mod server;

use std::time::{Duration, Instant};

use podwall_lab::{ControlPlane, Lab, LabError, LabResult};
use serde_json::Value;

/// Long enough for a machine under load; nothing waits for it unless something is broken.
const SOON: Duration = Duration::from_secs(30);
const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies";
const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
    metadata: {name: one, namespace: ns}\nspec: {podSelector: {}}\n";
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
