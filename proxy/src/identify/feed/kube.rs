//! The Kubernetes source: Pods and Namespaces of the cluster and the NetworkPolicies of one namespace,
//! followed at the API server.
//!
//! May enter: an [`Access`]. Leaves the same changes as any other source: each kind as a whole list
//! first, then its changes one by one. Deliberately absent: what the objects mean.
//!
//! Whatever the API server does, what was told last stays in force (S84), and before the first whole lists
//! nothing is (S85). A watch never gives up:
//! - failing, it is tried again after 0.1 to 15 s (`pace`);
//! - dead without a word, it is given up after 25 s where the machine is gone, after 65 s where the server stands
//!   still, and a request without an answer after 20 s (`connect`, `watching`, `door`);
//! - refused, it reads its credentials and certificates from disk again before each attempt;
//! - told that its version is gone, it lists anew, and the new list replaces the old state as one swap;
//! - broken by a fault of our own, it says so and begins anew: nothing gets old unsaid.
//!
//! Start at [`watch`] and [`read`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::sync::watch::{Receiver, Sender};

use super::Change;
use crate::access::Access;
use connect::Connector;
use door::Door;
pub use fault::KubeError;
pub use listing::Listing;

mod answer;
mod chance;
mod connect;
mod door;
mod fault;
mod findings;
mod health;
mod listing;
mod object;
mod pace;
mod telling;
#[cfg(test)]
pub(super) mod tests;
mod watching;
mod words;

/// A running watch. Dropping it ends the watch and waits for its thread.
#[derive(Debug)]
pub struct KubeHandle {
    stop: Sender<bool>,
    relist: Relister,
    thread: Option<JoinHandle<()>>,
}

/// Has everything listed anew.
#[derive(Clone, Debug)]
pub struct Relister(Sender<u64>);

impl Relister {
    /// Has every kind listed anew, from a moment after this call.
    pub fn relist(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl KubeHandle {
    /// What has everything listed anew.
    #[must_use]
    pub fn relister(&self) -> Relister {
        self.relist.clone()
    }
}

/// Follows the cluster that `access` names and tells `send` every change, from a thread of its own;
/// policies only those of `namespace`.
///
/// Never fails for the API server being away, slow or of another opinion: that is told as a change,
/// and tried again for ever.
///
/// # Errors
/// Where what `access` names is not there or cannot be read, or the system gives no thread.
pub fn watch(
    access: Access,
    namespace: Arc<str>,
    send: impl FnMut(Change) + Send + 'static,
) -> Result<KubeHandle, KubeError> {
    tracing::info!(%access, "following the cluster");
    let door = Door::new(Connector::new(access)?);
    let runtime = runtime()?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let relist = Relister(Sender::new(0));
    let relists: Receiver<u64> = relist.0.subscribe();
    let thread = std::thread::Builder::new().name("podwall-kube".to_owned());
    let thread = thread.spawn(move || {
        follow(&runtime, &door, &namespace, send, &relists, &stopped);
        // A name that is still being resolved is not waited for.
        runtime.shutdown_background();
    });
    Ok(KubeHandle {
        stop,
        relist,
        thread: Some(thread.map_err(KubeError::Thread)?),
    })
}

/// Reads all Pods, Namespaces and NetworkPolicies of the cluster once, and what is odd in them.
/// Blocks, for 120 s at most.
///
/// # Errors
/// Where what `access` names is not there or cannot be read, the API server does not answer or
/// refuses any of the three kinds, or the system gives no thread.
pub fn read(access: &Access) -> Result<Listing, KubeError> {
    let door = Door::new(Connector::new(access.clone())?);
    let runtime = runtime()?;
    // On a thread of its own: the caller's may be another runtime's, which must not block in here.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("podwall-kube".to_owned());
        let thread = thread
            .spawn_scoped(scope, move || {
                let read = runtime.block_on(listing::read(door));
                runtime.shutdown_background();
                read
            })
            .map_err(KubeError::Thread)?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Follows until `stopped` changes; what panics in there is told, and all is listed anew after a while.
fn follow(
    runtime: &Runtime,
    door: &Door,
    namespace: &Arc<str>,
    mut send: impl FnMut(Change),
    relists: &Receiver<u64>,
    stopped: &Receiver<bool>,
) {
    loop {
        let (door_of, namespace) = (door.clone(), Arc::clone(namespace));
        let (relists, stopped) = (relists.clone(), stopped.clone());
        let all = watching::run(door_of, namespace, &mut send, relists, stopped);
        // What the panic left half done is the receiver's, which a new list mends.
        if catch_unwind(AssertUnwindSafe(|| runtime.block_on(all))).is_ok() {
            return;
        }
        let problem = door.on_broken();
        let _ = catch_unwind(AssertUnwindSafe(|| send(Change::SourceProblem(problem))));
    }
}

fn runtime() -> Result<Runtime, KubeError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(KubeError::Thread)
}

impl Drop for KubeHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
