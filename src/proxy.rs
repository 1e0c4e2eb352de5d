//! `podwall proxy`: the sidecar. Reads flags, runs until SIGTERM or SIGINT, says how it ended.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use podwall_proxy::arrival::Mode;
use podwall_proxy::config::{Config, ConfigFault, Queues, Settings, UdpPort};
use podwall_proxy::sys::privilege::keep_net_admin_only;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, Outcome};
use crate::flags::{Effective, Shared, faults_together};
use crate::readback::reader;
use crate::redirect::rules_of;
use crate::source::ClusterFlags;

// What rules can feed a sidecar can serve.
const _: () = assert!(podwall_deploy::MAX_QUEUES == podwall_proxy::config::MAX_QUEUES);

/// The token that a pod finds where it has a service account.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The sidecar: judge whatever enters the pod; in mode redirect relay it, in mode queue let the kernel carry it.
///
/// Mode redirect needs no privilege. Mode queue needs NET_ADMIN, as root with all else dropped, or as another user
/// with a file capability that is permitted only (cap_net_admin=p), which the program raises by itself. Until it has
/// read a whole state from its source nobody enters but the node. One JSON line on stdout for each connection at its
/// end; talk on stderr; /livez, /readyz and /metrics on the admin port.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 stopped as asked, 2 bad configuration, 3 the environment (a port or queue is taken, a missing \
capability, hostNetwork).\n\
In mode redirect UDP ports that are not named by --udp-port, declared by the pod or not, get nothing: the rules of \
`podwall redirect` drop their datagrams, whether policies isolate the pod or not, because rules that were written \
before the pod ran cannot know. So they do all SCTP. In mode queue every UDP and SCTP port is judged. \
--unguarded-port takes a UDP or SCTP port out of podwall's hands: everybody enters there."
)]
pub struct Args {
    /// The pod that this sidecar guards; without it POD_NAMESPACE and POD_NAME say so
    #[arg(
        long,
        value_name = "NS/POD",
        env = "PODWALL_POD",
        default_value = "",
        hide_default_value = true
    )]
    pod: String,
    /// The pod's namespace, where --pod is not given
    #[arg(
        long,
        value_name = "NS",
        env = "POD_NAMESPACE",
        default_value = "",
        hide_default_value = true
    )]
    pod_namespace: String,
    /// The pod's name, where --pod is not given
    #[arg(
        long,
        value_name = "POD",
        env = "POD_NAME",
        default_value = "",
        hide_default_value = true
    )]
    pod_name: String,
    /// Manifests to follow: a file, or a directory (its .yaml, .yml and .json files); repeatable. Edits
    /// take effect at once. Without -f and a cluster: the one that the pod is in
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "FILE|DIR",
        env = "PODWALL_FILES",
        value_delimiter = ','
    )]
    files: Vec<PathBuf>,
    /// Leave open connections alone when a change turns their verdict
    #[arg(long, env = "PODWALL_KEEP_ESTABLISHED", value_parser = clap::builder::BoolishValueParser::new(), action = clap::ArgAction::SetTrue)]
    keep_established: bool,
    /// Mode redirect: how long one side may stay silent after the other has closed [default: 5m]
    #[arg(
        long,
        value_name = "TIME",
        env = "PODWALL_HALF_CLOSE_TIMEOUT",
        default_value = "",
        hide_default_value = true
    )]
    half_close_timeout: String,
    /// How long open connections may go on after SIGTERM; then they are reset, in mode queue left to the kernel [default: 25s]
    #[arg(
        long,
        value_name = "TIME",
        env = "PODWALL_DRAIN_TIMEOUT",
        default_value = "",
        hide_default_value = true
    )]
    drain_timeout: String,
    /// Connections open at a time; more are reset [default: what the limit of open files holds]. In mode queue flows that
    /// are followed to their end; more are let in, and their end is not told [default: 65536]
    #[arg(
        long,
        value_name = "COUNT",
        env = "PODWALL_MAX_CONNECTIONS",
        default_value = "",
        hide_default_value = true
    )]
    max_connections: String,
    /// Mode redirect: threads that carry connections [default: 1]
    #[arg(
        long,
        value_name = "COUNT",
        env = "PODWALL_WORKER_THREADS",
        default_value = "",
        hide_default_value = true
    )]
    worker_threads: String,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    shared: Shared,
}

/// Runs the command.
///
/// # Errors
/// A bad configuration, or an environment in which the sidecar cannot serve.
pub fn run(args: Args) -> Outcome {
    let (config, shared) = config(args)?;
    let wanted = rules_of(&shared).map_err(Failure::input)?;
    if config.mode == Mode::Queue {
        // Before there is a second thread: capabilities are a thread's own.
        keep_net_admin_only().map_err(Failure::environment)?;
    }
    let runtime = runtime(config.worker_threads).map_err(Failure::environment)?;
    let serving = podwall_proxy::run::run(config, reader(wanted), asked_to_stop_or_log());
    let stopped = runtime.block_on(serving);
    let drained = stopped.map_err(|error| match error.is_bad_input() {
        true => Failure::input(error),
        false => Failure::environment(error),
    })?;
    tracing::info!("stopped: {drained}");
    Ok(ExitCode::SUCCESS)
}

fn config(args: Args) -> Result<(Config, Effective), Failure> {
    let mut faults = Vec::new();
    let shared = args.shared.read(&mut faults);
    let read = Config::new(&Settings {
        pod: args.pod,
        pod_namespace: args.pod_namespace,
        pod_name: args.pod_name,
        source: args.cluster.with_files(args.files),
        has_account: has_service_account(),
        mode: shared.mode,
        queues: Queues {
            first: shared.queues.first(),
            count: shared.queues.count(),
        },
        udp_ports: shared.udp_ports.iter().map(listener).collect(),
        unguarded: shared
            .unguarded_ports
            .iter()
            .map(|one| (one.protocol, one.number))
            .collect(),
        listen_port: shared.listen_port,
        admin_port: shared.admin_port,
        canary_port: shared.canary_port,
        node_addresses: shared.node_addresses.clone(),
        node_ports: shared.node_ports.clone(),
        keep_established: args.keep_established,
        half_close_timeout: args.half_close_timeout,
        drain_timeout: args.drain_timeout,
        max_connections: args.max_connections,
        worker_threads: args.worker_threads,
    });
    // What is shared was read before; a fault of it is told once.
    let config = read.map_err(|more| add_new(&mut faults, more));
    faults_together(&faults)?;
    let config = config.map_err(|()| Failure::input("bad configuration"))?;
    tracing::info!("proxy {shared} {config}");
    Ok((config, shared))
}

const fn listener(one: &podwall_deploy::UdpPort) -> UdpPort {
    UdpPort {
        port: one.port,
        listen: one.listen,
    }
}

/// Whether this pod was given a way to its own cluster.
fn has_service_account() -> bool {
    let host = std::env::var_os("KUBERNETES_SERVICE_HOST");
    host.is_some_and(|host| !host.is_empty()) && Path::new(TOKEN).exists()
}

fn add_new(faults: &mut Vec<ConfigFault>, more: Vec<ConfigFault>) {
    for fault in more {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

/// One worker needs no work stealing between threads.
fn runtime(worker_threads: usize) -> io::Result<Runtime> {
    match worker_threads {
        1 => Builder::new_current_thread().enable_all().build(),
        count => Builder::new_multi_thread()
            .worker_threads(count)
            .enable_all()
            .build(),
    }
}

/// Resolves at SIGTERM or SIGINT.
///
/// # Errors
/// Where the kernel refuses a signal handler.
pub async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The same for a sidecar, which without handlers would stop at once instead of never.
async fn asked_to_stop_or_log() {
    match asked_to_stop().await {
        Ok(()) => tracing::info!("asked to stop; draining"),
        Err(error) => tracing::error!("cannot listen for signals ({error}); stopping"),
    }
}
