//! Assembles the rooms, runs them until asked to stop, and stops them in order.
//!
//! May enter: a [`Config`] and a future that says when to stop. Deliberately absent: flags, signals
//! and the runtime, which are the binary's; every decision about a connection.
//!
//! One file per data path: `redirect` and `queue`; what both need is here.
//!
//! Listeners come first, so that a taken port is an error and not half a sidecar. Changes are taken
//! in on the source's own thread: a large state that is compiled there delays no connection, and a
//! source that is faster than we are is slowed down, never queued.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use podwall_policy::object::ObjectName;
use tokio::task::JoinError;

use crate::account::Account;
use crate::admin::AdminPortTaken;
use crate::admin::rules::ReadRules;
use crate::arrival::Mode;
use crate::config::Config;
use crate::datagram::DatagramError;
use crate::drain::Drained;
use crate::gate::GateError;
use crate::identify::feed::files::FeedError;
use crate::identify::feed::kube::KubeError;
use crate::intercept::redirect::DoorError;
use crate::world::{SubjectStatus, World};

mod datagrams;
pub mod queue;
mod redirect;
mod source;
#[cfg(test)]
mod tests;

/// How long the access log may take for its last lines.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// How often the world is asked whether the source's trouble is to be said again; how often it then is, is
/// [`REMINDER`](crate::world::REMINDER).
const LOOK: Duration = Duration::from_secs(1);

/// Why the sidecar cannot serve, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The relay's port, or its listener.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// UDP's listeners.
    #[error(transparent)]
    Datagrams(#[from] DatagramError),
    /// The queues, or what the kernel is asked in mode queue.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The admin port.
    #[error(transparent)]
    Admin(#[from] AdminPortTaken),
    /// The files cannot be followed.
    #[error("{0}")]
    Files(#[source] Box<FeedError>),
    /// The cluster cannot be followed.
    #[error("{0}")]
    Cluster(#[source] Box<KubeError>),
    /// The access log has no thread.
    #[error("cannot start the access log's thread: {0}")]
    Log(#[source] io::Error),
    /// The pod's addresses are needed to tell a pod from its node.
    #[error("cannot list the addresses of this network namespace: {0}")]
    Addresses(#[source] io::Error),
    /// An address of the node is our own: we run in the node's network (S66).
    #[error(
        "node address {0} is an address of this network namespace: the pod has hostNetwork, or \
         HOST_IPS or --node-address names the pod itself; podwall cannot guard a node's network"
    )]
    NodeIsUs(IpAddr),
    /// The source says that the subject uses its node's network (S66).
    #[error(
        "pod {0} has hostNetwork: true; podwall cannot guard a node's network, remove the sidecar or hostNetwork"
    )]
    HostNetwork(ObjectName),
    /// The door-keeper's task broke.
    #[error("podwall broke: {0}; please report this")]
    Bug(#[source] JoinError),
}

impl RunError {
    /// Whether the command line or a file it names is wrong, rather than this machine.
    #[must_use]
    pub fn is_bad_input(&self) -> bool {
        matches!(self, Self::Cluster(error) if error.is_bad_input())
    }
}

/// Serves until `shutdown` resolves, then drains. The access log goes to stdout.
///
/// Must be called inside a runtime with I/O and time. `read_rules` reads the rules back, in mode queue only.
///
/// # Errors
/// A port, queue, thread or watch that cannot be had, a listener that is lost, or a hostNetwork subject. A
/// connection that fails is accounted, never returned.
pub async fn run(
    config: Config,
    read_rules: Box<ReadRules>,
    shutdown: impl Future<Output = ()>,
) -> Result<Drained, RunError> {
    run_with(config, io::stdout(), read_rules, shutdown).await
}

/// [`run`] with the access log going to `log`.
///
/// # Errors
/// See [`run`].
pub async fn run_with(
    config: Config,
    log: impl Write + Send + 'static,
    read_rules: Box<ReadRules>,
    shutdown: impl Future<Output = ()>,
) -> Result<Drained, RunError> {
    refuse_node_network(&config.node_addresses)?;
    match config.mode {
        Mode::Redirect => {
            let mut sidecar = redirect::Sidecar::start(&config, log)?;
            let end = sidecar.serve(config.drain_timeout, shutdown).await;
            sidecar.close().await;
            end
        }
        Mode::Queue => {
            let mut sidecar = queue::Sidecar::start(&config, log, read_rules)?;
            let end = sidecar.serve(config.drain_timeout, shutdown).await;
            sidecar.close().await;
            end
        }
    }
}

/// Ends what waits for threads, by `first`, and has the access log's last lines written. Not on a worker of the runtime,
/// which must not wait.
async fn last_lines(account: Arc<Account>, first: impl FnOnce() + Send + 'static) {
    let blocking = move || {
        first();
        account.flush(FLUSH_PATIENCE)
    };
    if !tokio::task::spawn_blocking(blocking).await.unwrap_or(false) {
        tracing::warn!("the access log's reader is too slow; its last lines are lost");
    }
}

/// Refuses to run where the node's addresses are ours (S66).
fn refuse_node_network(node: &[IpAddr]) -> Result<(), RunError> {
    let interfaces = if_addrs::get_if_addrs().map_err(RunError::Addresses)?;
    let own = interfaces.iter().map(|one| one.ip().to_canonical());
    match own.into_iter().find(|address| node.contains(address)) {
        Some(address) => Err(RunError::NodeIsUs(address)),
        None => Ok(()),
    }
}

/// Resolves when the source says that the subject uses its node's network. Tells on the way what
/// becomes of the subject, once the source has told everything.
async fn host_network(world: &World) -> ObjectName {
    let mut changes = world.changes();
    let mut told = None;
    loop {
        changes.mark_unchanged();
        let status = world.status();
        let is_host = status.subject == SubjectStatus::HostNetwork;
        if (status.synced || is_host) && told != Some(status.subject) {
            told = Some(status.subject);
            tell(world.subject(), status.subject, status.policies);
        }
        if is_host {
            return world.subject().clone();
        }
        if changes.changed().await.is_err() {
            // INVARIANT: the world holds the sender, and we hold the world.
            std::future::pending::<()>().await;
        }
    }
}

/// Has the log say again and again how old the state in force is while the source is in trouble (S84).
async fn remind(world: &World) -> Infallible {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        world.remind();
    }
}

fn tell(subject: &ObjectName, status: SubjectStatus, policies: usize) {
    match status {
        SubjectStatus::Known => {
            tracing::info!("pod {subject} is known; {policies} policies select it");
        }
        SubjectStatus::Unknown => tracing::warn!("pod {subject} is not in the source"),
        SubjectStatus::NamespaceUnknown => {
            tracing::warn!("the Namespace object of pod {subject} is not in the source");
        }
        SubjectStatus::HostNetwork => tracing::error!("pod {subject} has hostNetwork"),
    }
}
