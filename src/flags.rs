//! Flags and environment that `redirect` and `proxy` share, so that rules and sidecar agree.
//!
//! Values are taken as text and read in [`read`], so that every fault is reported, not only the first.

mod effective;
mod read;

use podwall_proxy::config::{ADMIN_PORT, CANARY_PORT, ConfigFault, LISTEN_PORT, UDP_LISTEN_PORT};

use crate::failure::Failure;
pub use effective::Effective;

/// How arrivals reach podwall; the same for `redirect` and `proxy`.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Shared by redirect and proxy: give both the same")]
pub struct Shared {
    /// How arrivals reach podwall. redirect: nat REDIRECT to a relay; the sidecar needs no privilege, a denied client
    /// connects and is then reset. queue: the kernel asks the sidecar about the first packet; needs NET_ADMIN in the
    /// sidecar too, a denied client is refused, the application sees the client's own address
    #[arg(
        long,
        value_name = "MODE",
        env = "PODWALL_MODE",
        default_value = "redirect"
    )]
    pub mode: String,
    /// Mode redirect: port of the relay; every inbound TCP connection is redirected to it
    #[arg(long, value_name = "PORT", env = "PODWALL_LISTEN_PORT", default_value_t = LISTEN_PORT.to_string())]
    pub listen_port: String,
    /// Port of /livez, /readyz and /metrics
    #[arg(long, value_name = "PORT", env = "PODWALL_ADMIN_PORT", default_value_t = ADMIN_PORT.to_string())]
    pub admin_port: String,
    /// Mode redirect: loopback port whose redirect proves that the rules are there; nothing listens on it
    #[arg(long, value_name = "PORT", env = "PODWALL_CANARY_PORT", default_value_t = CANARY_PORT.to_string())]
    pub canary_port: String,
    /// Addresses of the pod's own node, always allowed: the downward API's status.hostIPs, separated by commas
    #[arg(
        long,
        value_name = "ADDRESS,...",
        env = "HOST_IPS",
        default_value = "",
        hide_default_value = true
    )]
    pub host_ips: String,
    /// A further address of the node; repeatable, or separated by commas
    #[arg(
        long = "node-address",
        value_name = "ADDRESS",
        env = "PODWALL_NODE_ADDRESSES",
        value_delimiter = ','
    )]
    pub node_addresses: Vec<String>,
    /// Let the node in whatever the policies say on this TCP port only, one that the pod's own probes
    /// use (podwall's admin port is added); repeatable, or separated by commas [default: every port]
    #[arg(
        long = "node-port",
        value_name = "PORT",
        env = "PODWALL_NODE_PORTS",
        value_delimiter = ','
    )]
    pub node_ports: Vec<String>,
    /// Mode redirect: UDP port of the pod that is judged; on all others inbound UDP is dropped, isolated or not. Name those that
    /// the pod declares; repeatable, or separated by commas
    #[arg(
        long = "udp-port",
        value_name = "PORT",
        env = "PODWALL_UDP_PORTS",
        value_delimiter = ','
    )]
    pub udp_ports: Vec<String>,
    /// Mode redirect: first port of the listeners for --udp-port: the lowest of those ports is redirected here, the next to the next
    #[arg(long, value_name = "PORT", env = "PODWALL_UDP_LISTEN_PORT", default_value_t = UDP_LISTEN_PORT.to_string())]
    pub udp_listen_port: String,
    /// Mode queue: COUNT queues of the kernel from number FIRST on, a thread each; clients are spread over them by their address
    /// [default: 15871:1]
    #[arg(
        long,
        value_name = "FIRST:COUNT",
        env = "PODWALL_QUEUES",
        default_value = "",
        hide_default_value = true
    )]
    pub queues: String,
    /// Mode queue: what a datagram gets that is not admitted: drop, or unreachable (ICMP port unreachable, as if nobody
    /// listened) [default: drop]
    #[arg(
        long,
        value_name = "ANSWER",
        env = "PODWALL_UDP_DENY",
        default_value = "",
        hide_default_value = true
    )]
    pub udp_deny: String,
    /// Take this UDP or SCTP port out of podwall's hands: it is left to everybody, judged by nobody. In mode redirect
    /// inbound SCTP on other ports is dropped, isolated or not, and UDP too but on --udp-port. Written 53/UDP or
    /// 3868/SCTP; repeatable, or separated by commas
    #[arg(
        long = "unguarded-port",
        value_name = "PORT/PROTOCOL",
        env = "PODWALL_UNGUARDED_PORTS",
        value_delimiter = ','
    )]
    pub unguarded_ports: Vec<String>,
    /// Do not count the pod's default gateways among the node's addresses
    #[arg(long, env = "PODWALL_NO_GATEWAY", value_parser = clap::builder::BoolishValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub no_gateway: bool,
}

/// All faults in one message, so that one run shows them all.
///
/// # Errors
/// Where there is any.
pub fn faults_together(faults: &[ConfigFault]) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = faults.iter().map(|one| format!("\n  {one}")).collect();
    Err(Failure::input(format_args!(
        "bad configuration:{}",
        lines.concat()
    )))
}
