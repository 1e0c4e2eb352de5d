//! The sidecar's configuration: what may be set, the defaults, and every fault found at once.
//!
//! May enter: values as the command line or the environment gave them. Deliberately absent: reading
//! either of them; the binary does that, and names the same flags and variables.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use podwall_policy::flow::Protocol;
use podwall_policy::object::ObjectName;

use crate::arrival::Mode;

mod path;
pub mod source;
#[cfg(test)]
mod tests;

pub use path::{Queues, UdpPort};
use source::{Given, Source};

/// The relay's port. Like the next two below 32768, where Linux begins to hand out local ports.
pub const LISTEN_PORT: u16 = 15871;

/// The port of `/livez`, `/readyz` and `/metrics`.
pub const ADMIN_PORT: u16 = 15872;

/// The port whose redirect on loopback proves the rules (P40). Nothing listens there.
pub const CANARY_PORT: u16 = 15873;

/// The first port of the UDP listeners; UDP has ports of its own, so it may be near the relay's.
pub const UDP_LISTEN_PORT: u16 = 15874;

/// The first queue of mode queue. Queue numbers are a namespace of their own, one per network namespace.
pub const FIRST_QUEUE: u16 = 15871;

/// The most queues that can be asked for: each is a thread and a buffer of the kernel.
pub const MAX_QUEUES: u16 = 64;

/// How long one side may stay silent after the other has closed (P13).
///
/// Long enough for an application that thinks before its last answer, and no leak for ever.
pub const HALF_CLOSE_TIMEOUT: Duration = Duration::from_secs(300);

/// How long open connections may go on after SIGTERM.
///
/// Under the 30 s that Kubernetes gives a pod by default, so that we end by ourselves.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The longest time-out that can be set: one day.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The most connections that can be asked for; what the descriptor limit holds may be less.
pub const MAX_CONNECTIONS: usize = 1 << 20;

/// The most worker threads that can be asked for.
pub const MAX_WORKER_THREADS: usize = 64;

/// The worker threads that are started unasked.
///
/// One: a sidecar is a guest on its node, one carries gigabytes a second, and connections that stay
/// on one thread cost less than connections that move (docs/cost.md).
const WORKER_THREADS: usize = 1;

/// What was given. Empty text means "not given": the default holds.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--pod`: the subject as `namespace/name`.
    pub pod: String,
    /// `POD_NAMESPACE`, used where `--pod` is not given.
    pub pod_namespace: String,
    /// `POD_NAME`, used where `--pod` is not given.
    pub pod_name: String,
    /// `-f`, `--kubeconfig`, `--context` and `--in-cluster`.
    pub source: Given,
    /// Whether the pod was given a service account; it is used where no source is given.
    pub has_account: bool,
    /// `--mode`.
    pub mode: Mode,
    /// `--queues`; of no meaning in mode redirect.
    pub queues: Queues,
    /// `--udp-port` with the listeners' ports; of no meaning in mode queue.
    pub udp_ports: Vec<UdpPort>,
    /// The ports of `--unguarded-port`, which podwall has nothing to do with.
    pub unguarded: Vec<(Protocol, u16)>,
    /// `--listen-port`.
    pub listen_port: u16,
    /// `--admin-port`.
    pub admin_port: u16,
    /// `--canary-port`.
    pub canary_port: u16,
    /// The node's addresses, all sources of them together.
    pub node_addresses: Vec<IpAddr>,
    /// `--node-port`: where the node is let in, the admin port among them; empty: everywhere.
    pub node_ports: Vec<u16>,
    /// `--keep-established`.
    pub keep_established: bool,
    /// `--half-close-timeout`, such as `5m`.
    pub half_close_timeout: String,
    /// `--drain-timeout`, such as `25s`.
    pub drain_timeout: String,
    /// `--max-connections`.
    pub max_connections: String,
    /// `--worker-threads`.
    pub worker_threads: String,
}

/// A configuration that can be run. Made by [`Config::new`] only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The pod that this sidecar guards.
    pub subject: ObjectName,
    /// Where the state comes from; no file of it is stdin.
    pub source: Source,
    /// How arrivals come.
    pub mode: Mode,
    /// Where they come in mode queue.
    pub queues: Queues,
    /// What of UDP is carried in mode redirect; none in mode queue, where all is judged.
    pub udp_ports: Vec<UdpPort>,
    /// What of UDP and SCTP is left to everybody.
    pub unguarded: Vec<(Protocol, u16)>,
    /// The relay's port.
    pub listen_port: u16,
    /// The admin endpoints' port.
    pub admin_port: u16,
    /// The canary's port.
    pub canary_port: u16,
    /// Addresses of the subject's node; canonical, sorted, each once.
    pub node_addresses: Vec<IpAddr>,
    /// TCP ports on which the node is let in whatever the policies say; empty: all.
    pub node_ports: Vec<u16>,
    /// Leave open connections alone when their verdict turns.
    pub keep_established: bool,
    /// See [`HALF_CLOSE_TIMEOUT`].
    pub half_close_timeout: Duration,
    /// See [`DRAIN_TIMEOUT`].
    pub drain_timeout: Duration,
    /// The most connections open at a time; `None`: as many as the descriptor limit holds.
    pub max_connections: Option<usize>,
    /// Threads of the runtime; at least one.
    pub worker_threads: usize,
}

/// One thing that is wrong with what was given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct ConfigFault {
    /// The flag: `--pod`.
    pub flag: String,
    /// The environment variables that set the same; empty where there are none.
    pub variable: String,
    /// What was given; empty where nothing was.
    pub value: String,
    /// What to give instead.
    pub mend: String,
}

impl ConfigFault {
    /// A fault of the value that `flag` or `variable` gave.
    #[must_use]
    pub fn new(flag: &str, variable: &str, value: &str, mend: &str) -> Self {
        Self {
            flag: flag.to_owned(),
            variable: variable.to_owned(),
            value: value.to_owned(),
            mend: mend.to_owned(),
        }
    }

    fn sentence(&self) -> String {
        let variable = match self.variable.as_str() {
            "" => String::new(),
            variable => format!(" ({variable})"),
        };
        let value = match self.value.as_str() {
            "" => String::new(),
            value => format!(" {value:?}:"),
        };
        format!("{}{variable}:{value} {}", self.flag, self.mend)
    }
}

impl Config {
    /// Reads `given`.
    ///
    /// # Errors
    /// Every fault there is, in the order of the fields of [`Settings`].
    pub fn new(given: &Settings) -> Result<Self, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let subject = subject(given, &mut faults);
        let source = Source::of_sidecar(&given.source, given.has_account, &mut faults);
        let (listen, admin, canary) = (given.listen_port, given.admin_port, given.canary_port);
        check_ports(listen, admin, canary, &mut faults);
        let node_addresses = node_addresses(&given.node_addresses, &mut faults);
        let half_close_timeout = timeout(&HALF_CLOSE, &given.half_close_timeout, &mut faults);
        let drain_timeout = timeout(&DRAIN, &given.drain_timeout, &mut faults);
        let max_connections = number(&CONNECTIONS, &given.max_connections, &mut faults);
        let worker_threads = number(&THREADS, &given.worker_threads, &mut faults);
        match (subject, source) {
            (Some(subject), Some(source)) if faults.is_empty() => Ok(Self {
                subject,
                source,
                mode: given.mode,
                queues: given.queues,
                udp_ports: match given.mode {
                    Mode::Redirect => given.udp_ports.clone(),
                    Mode::Queue => Vec::new(),
                },
                unguarded: given.unguarded.clone(),
                listen_port: given.listen_port,
                admin_port: given.admin_port,
                canary_port: given.canary_port,
                node_addresses,
                node_ports: given.node_ports.clone(),
                keep_established: given.keep_established,
                half_close_timeout,
                drain_timeout,
                max_connections,
                worker_threads: worker_threads.unwrap_or(WORKER_THREADS),
            }),
            _ => Err(faults),
        }
    }
}

impl fmt::Display for Config {
    /// What is the sidecar's own, as flags. The shared flags are printed beside it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "--pod {}{} --half-close-timeout {} --drain-timeout {} --worker-threads {}",
            self.subject,
            self.source,
            humantime::format_duration(self.half_close_timeout),
            humantime::format_duration(self.drain_timeout),
            self.worker_threads
        )?;
        if self.keep_established {
            out.write_str(" --keep-established")?;
        }
        Ok(())
    }
}

const POD: (&str, &str) = ("--pod", "POD_NAMESPACE, POD_NAME");

/// The subject's name: `--pod`, else both variables.
fn subject(given: &Settings, faults: &mut Vec<ConfigFault>) -> Option<ObjectName> {
    let fault = |value: &str, mend: &str| ConfigFault::new(POD.0, POD.1, value, mend);
    let (namespace, name) = if given.pod.is_empty() {
        (given.pod_namespace.as_str(), given.pod_name.as_str())
    } else if let Some(parts) = given.pod.split_once('/') {
        parts
    } else {
        faults.push(fault(&given.pod, "write NAMESPACE/NAME"));
        return None;
    };
    if namespace.is_empty() || name.is_empty() {
        let mend = "say which pod this sidecar guards: NAMESPACE/NAME, or both variables from the downward API";
        faults.push(fault(&given.pod, mend));
        return None;
    }
    let before = faults.len();
    if !is_dns_label(namespace) {
        let mend = "a namespace has at most 63 of a-z, 0-9 and `-`, and no `-` at its ends";
        faults.push(fault(namespace, mend));
    }
    if name.len() > 253 || !name.split('.').all(is_dns_label) {
        let mend = "a pod's name has at most 253 of a-z, 0-9, `-` and `.`, and only a-z and 0-9 at the ends of its parts";
        faults.push(fault(name, mend));
    }
    (faults.len() == before).then(|| ObjectName::new(namespace, name))
}

/// RFC 1123 label, in lower case.
fn is_dns_label(word: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !word.is_empty()
        && word.len() <= 63
        && word.bytes().all(inner)
        && !word.starts_with('-')
        && !word.ends_with('-')
}

/// Adds what is wrong with podwall's own ports: each must be a port, and none another's.
///
/// The init step asks the same, so that it makes no rules that no sidecar can serve.
pub fn check_ports(listen: u16, admin: u16, canary: u16, faults: &mut Vec<ConfigFault>) {
    let ports = [
        ("--listen-port", "PODWALL_LISTEN_PORT", listen),
        ("--admin-port", "PODWALL_ADMIN_PORT", admin),
        ("--canary-port", "PODWALL_CANARY_PORT", canary),
    ];
    for (at, (flag, variable, port)) in ports.iter().enumerate() {
        let mend = if *port == 0 {
            "write a port number from 1 to 65535".to_owned()
        } else if let Some((other, ..)) = ports[..at].iter().find(|(.., taken)| taken == port) {
            format!("{other} has this port already; give each its own")
        } else {
            continue;
        };
        faults.push(ConfigFault::new(flag, variable, &port.to_string(), &mend));
    }
}

fn node_addresses(given: &[IpAddr], faults: &mut Vec<ConfigFault>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = given.iter().map(IpAddr::to_canonical).collect();
    addresses.sort_unstable();
    addresses.dedup();
    for address in &addresses {
        if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
            let mend = "no node has this address; name the ones from which it calls its pods";
            let value = address.to_string();
            let variable = "HOST_IPS, PODWALL_NODE_ADDRESSES";
            faults.push(ConfigFault::new("--node-address", variable, &value, mend));
        }
    }
    addresses
}

/// A flag that takes a time, with its default.
struct TimeoutFlag(&'static str, &'static str, Duration);

const HALF_CLOSE: TimeoutFlag = TimeoutFlag(
    "--half-close-timeout",
    "PODWALL_HALF_CLOSE_TIMEOUT",
    HALF_CLOSE_TIMEOUT,
);
const DRAIN: TimeoutFlag = TimeoutFlag("--drain-timeout", "PODWALL_DRAIN_TIMEOUT", DRAIN_TIMEOUT);

fn timeout(flag: &TimeoutFlag, text: &str, faults: &mut Vec<ConfigFault>) -> Duration {
    let TimeoutFlag(name, variable, default) = flag;
    if text.is_empty() {
        return *default;
    }
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() && time <= MAX_TIMEOUT => time,
        _ => {
            let mend = "write a time from 1ms to 1day, such as 25s or 5m";
            faults.push(ConfigFault::new(name, variable, text, mend));
            *default
        }
    }
}

/// A flag that takes a count, with the highest that it may be.
struct CountFlag(&'static str, &'static str, usize);

const CONNECTIONS: CountFlag = CountFlag(
    "--max-connections",
    "PODWALL_MAX_CONNECTIONS",
    MAX_CONNECTIONS,
);
const THREADS: CountFlag = CountFlag(
    "--worker-threads",
    "PODWALL_WORKER_THREADS",
    MAX_WORKER_THREADS,
);

/// A count of at least one; `None` where none is given.
fn number(flag: &CountFlag, text: &str, faults: &mut Vec<ConfigFault>) -> Option<usize> {
    let CountFlag(name, variable, highest) = flag;
    if text.is_empty() {
        return None;
    }
    let read = text
        .parse()
        .ok()
        .filter(|count| (1..=*highest).contains(count));
    if read.is_none() {
        let mend = format!("write a number from 1 to {highest}");
        faults.push(ConfigFault::new(name, variable, text, &mend));
    }
    read
}
