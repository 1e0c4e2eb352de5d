//! What the first list costs: the sidecar's memory and time, the API server's bytes and processor time.

use std::time::Duration;

use podwall_lab::{LabResult, Sidecar};

use super::figures::{Memory, child, memory, processor_time, received};
use super::stage::Stage;

/// The cost of one sidecar at one size of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// From the sidecar's start to its readiness.
    pub ready: Duration,
    /// Bytes that came to the pod meanwhile: the list, and little else.
    pub bytes: f64,
    /// The sidecar's memory then.
    pub first: Memory,
    /// The same after the API server was killed and started again, and everything listed anew.
    pub again: Option<Memory>,
    /// Processor time meanwhile, in seconds: of the API server, of etcd, of the sidecar.
    pub processor: [f64; 3],
}

/// Starts a sidecar and weighs its first list.
///
/// # Errors
/// Where it does not get ready.
pub fn weigh(stage: &Stage) -> LabResult<(Sidecar, Listing)> {
    let server = child("kube-apiserver").expect("an API server");
    let etcd = child("etcd").expect("an etcd");
    let before = (
        received(&stage.server),
        processor_time(server),
        processor_time(etcd),
    );
    let (sidecar, ready) = stage.sidecar()?;
    let listing = Listing {
        ready,
        bytes: received(&stage.server) - before.0,
        first: memory(sidecar.process().pid()),
        again: None,
        processor: [
            processor_time(server) - before.1,
            processor_time(etcd) - before.2,
            processor_time(sidecar.process().pid()),
        ],
    };
    Ok((sidecar, listing))
}
