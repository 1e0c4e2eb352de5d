//! Flags and environment that `redirect` and `proxy` share, so that rules and sidecar agree.
//!
//! Values are taken as text and read here, so that every fault is reported, not only the first.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use podwall_policy::flow::Protocol;

use crate::failure::Failure;
use crate::port::Port;
use podwall_deploy::{UdpFault, UdpPort};
use podwall_proxy::config::{ADMIN_PORT, CANARY_PORT, ConfigFault, LISTEN_PORT, check_ports};

/// The first port of the UDP listeners; after podwall's TCP ports, so that they are easy to remember.
const UDP_LISTEN_PORT: u16 = 15874;

/// How arrivals reach podwall; the same for `redirect` and `proxy`.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Shared by redirect and proxy: give both the same")]
pub struct Shared {
    /// How arrivals reach podwall: redirect (nat REDIRECT to the relay; no privilege at run time)
    #[arg(
        long,
        value_name = "MODE",
        env = "PODWALL_MODE",
        default_value = "redirect"
    )]
    pub mode: String,
    /// Port of the relay; every inbound TCP connection is redirected to it
    #[arg(long, value_name = "PORT", env = "PODWALL_LISTEN_PORT", default_value_t = LISTEN_PORT.to_string())]
    pub listen_port: String,
    /// Port of /livez, /readyz and /metrics
    #[arg(long, value_name = "PORT", env = "PODWALL_ADMIN_PORT", default_value_t = ADMIN_PORT.to_string())]
    pub admin_port: String,
    /// Loopback port whose redirect proves that the rules are there; nothing listens on it
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
    /// UDP port of the pod that is judged; on all others inbound UDP is dropped, isolated or not. Name those that
    /// the pod declares; repeatable, or separated by commas
    #[arg(
        long = "udp-port",
        value_name = "PORT",
        env = "PODWALL_UDP_PORTS",
        value_delimiter = ','
    )]
    pub udp_ports: Vec<String>,
    /// First port of the listeners for --udp-port: the lowest of those ports is redirected here, the next to the next
    #[arg(long, value_name = "PORT", env = "PODWALL_UDP_LISTEN_PORT", default_value_t = UDP_LISTEN_PORT.to_string())]
    pub udp_listen_port: String,
    /// Take this UDP or SCTP port out of podwall's hands: it is left to everybody, judged by nobody. Inbound SCTP on
    /// other ports is dropped, isolated or not, and UDP too but on --udp-port. Written 53/UDP or 3868/SCTP;
    /// repeatable, or separated by commas
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

/// The shared flags, read.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Port of the relay.
    pub listen_port: u16,
    /// Port of the endpoints.
    pub admin_port: u16,
    /// Port of the canary.
    pub canary_port: u16,
    /// The node's addresses, canonical, sorted, each once.
    pub node_addresses: Vec<IpAddr>,
    /// Whether any of them was given; else they are the gateways, if anything.
    pub is_node_given: bool,
    /// Where the node is let in whatever the policies say, the admin port among them; sorted, each
    /// once. Empty: everywhere.
    pub node_ports: Vec<u16>,
    /// UDP ports that are judged, with their listeners; sorted, each once.
    pub udp_ports: Vec<UdpPort>,
    /// The first port of those listeners.
    pub udp_listen_port: u16,
    /// UDP and SCTP ports that are left to everybody; sorted, each once.
    pub unguarded_ports: Vec<Port>,
}

impl Shared {
    /// Reads every flag and adds what is wrong to `faults`; a faulty value reads as its default.
    pub fn read(&self, faults: &mut Vec<ConfigFault>) -> Effective {
        if self.mode != "redirect" {
            faults.push(ConfigFault::new(
                "--mode",
                "PODWALL_MODE",
                &self.mode,
                "the one mode there is so far is redirect",
            ));
        }
        let listen_port = port(
            "--listen-port",
            "PODWALL_LISTEN_PORT",
            &self.listen_port,
            LISTEN_PORT,
            faults,
        );
        let admin_port = port(
            "--admin-port",
            "PODWALL_ADMIN_PORT",
            &self.admin_port,
            ADMIN_PORT,
            faults,
        );
        let canary_port = port(
            "--canary-port",
            "PODWALL_CANARY_PORT",
            &self.canary_port,
            CANARY_PORT,
            faults,
        );
        check_ports(listen_port, admin_port, canary_port, faults);
        let mut node = self.given_node(faults);
        let is_node_given = !node.is_empty();
        if !self.no_gateway {
            match podwall_deploy::gateways() {
                Ok(gateways) => node.extend(gateways),
                Err(error) => faults.push(ConfigFault::new(
                    "--no-gateway",
                    "PODWALL_NO_GATEWAY",
                    "",
                    &format!("the default gateways cannot be read ({error}); give --no-gateway and --node-address"),
                )),
            }
        }
        let udp_listen_port = port(
            "--udp-listen-port",
            "PODWALL_UDP_LISTEN_PORT",
            &self.udp_listen_port,
            UDP_LISTEN_PORT,
            faults,
        );
        let unguarded_ports = self.unguarded_ports(faults);
        Effective {
            listen_port,
            admin_port,
            canary_port,
            node_addresses: node.into_iter().collect(),
            is_node_given,
            node_ports: self.node_ports(admin_port, faults),
            udp_ports: self.udp_ports(udp_listen_port, &unguarded_ports, faults),
            udp_listen_port,
            unguarded_ports,
        }
    }

    /// The addresses of `HOST_IPS` and `--node-address`.
    fn given_node(&self, faults: &mut Vec<ConfigFault>) -> BTreeSet<IpAddr> {
        let mut node = BTreeSet::new();
        let host_ips = self
            .host_ips
            .split(',')
            .map(|one| ("--host-ips", "HOST_IPS", one));
        let more = self
            .node_addresses
            .iter()
            .map(|one| ("--node-address", "PODWALL_NODE_ADDRESSES", one.as_str()));
        for (flag, variable, text) in host_ips.chain(more) {
            match text.trim() {
                "" => {}
                text => match text.parse::<IpAddr>() {
                    Ok(address) => drop(node.insert(address.to_canonical())),
                    Err(_) => faults.push(ConfigFault::new(
                        flag,
                        variable,
                        text,
                        "write IP addresses, separated by commas",
                    )),
                },
            }
        }
        node
    }

    /// The ports of `--node-port`, and the admin port beside them: podwall's own probes go there.
    fn node_ports(&self, admin_port: u16, faults: &mut Vec<ConfigFault>) -> Vec<u16> {
        let mut ports = numbers(NODE_PORT, &self.node_ports, faults);
        if !ports.is_empty() {
            ports.insert(admin_port);
        }
        ports.into_iter().collect()
    }

    /// The ports of `--udp-port` with their listeners; none where that cannot be.
    fn udp_ports(
        &self,
        first: u16,
        unguarded: &[Port],
        faults: &mut Vec<ConfigFault>,
    ) -> Vec<UdpPort> {
        let ports = numbers(UDP_PORT, &self.udp_ports, faults);
        let open = unguarded.iter();
        let open: Vec<u16> = open
            .filter(|one| one.protocol == Protocol::Udp)
            .map(|one| one.number)
            .collect();
        UdpPort::assign(ports.iter().copied(), first, &open).unwrap_or_else(|fault| {
            let list: Vec<String> = ports.iter().map(u16::to_string).collect();
            let ((flag, variable), value) = match fault {
                UdpFault::Zero | UdpFault::TooMany { .. } | UdpFault::Unguarded { .. } => {
                    (UDP_PORT, list.join(","))
                }
                UdpFault::PastTheLast { .. } | UdpFault::Taken { .. } => {
                    (UDP_LISTEN_PORT_FLAG, first.to_string())
                }
            };
            faults.push(ConfigFault::new(flag, variable, &value, &fault.to_string()));
            Vec::new()
        })
    }

    /// The ports of `--unguarded-port`.
    fn unguarded_ports(&self, faults: &mut Vec<ConfigFault>) -> Vec<Port> {
        let mut ports = BTreeSet::new();
        let texts = self.unguarded_ports.iter().map(|one| one.trim());
        for text in texts.filter(|text| !text.is_empty()) {
            match unguarded_port(text) {
                Ok(port) => drop(ports.insert(port)),
                Err(mend) => faults.push(ConfigFault::new(
                    "--unguarded-port",
                    "PODWALL_UNGUARDED_PORTS",
                    text,
                    &mend,
                )),
            }
        }
        ports.into_iter().collect()
    }
}

/// A port that is left to everybody. None of TCP is: that is carried, so it is judged.
fn unguarded_port(text: &str) -> Result<Port, String> {
    let port: Port = text.parse()?;
    match port.protocol {
        Protocol::Udp | Protocol::Sctp => Ok(port),
        Protocol::Tcp => {
            Err("TCP is judged; write a policy that admits everybody on that port".to_owned())
        }
    }
}

/// A flag and its variable.
type Name = (&'static str, &'static str);

const NODE_PORT: Name = ("--node-port", "PODWALL_NODE_PORTS");
const UDP_PORT: Name = ("--udp-port", "PODWALL_UDP_PORTS");
const UDP_LISTEN_PORT_FLAG: Name = ("--udp-listen-port", "PODWALL_UDP_LISTEN_PORT");

/// The port numbers that a repeatable flag was given.
fn numbers(
    (flag, variable): Name,
    texts: &[String],
    faults: &mut Vec<ConfigFault>,
) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for text in texts.iter().map(|one| one.trim()) {
        match (text, port_number(text)) {
            ("", _) => {}
            (_, Some(port)) => drop(ports.insert(port)),
            (_, None) => faults.push(ConfigFault::new(
                flag,
                variable,
                text,
                "write port numbers from 1 to 65535, separated by commas",
            )),
        }
    }
    ports
}

/// A port's number, which is not zero.
fn port_number(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port != 0)
}

fn port(
    flag: &str,
    variable: &str,
    text: &str,
    default: u16,
    faults: &mut Vec<ConfigFault>,
) -> u16 {
    port_number(text).unwrap_or_else(|| {
        faults.push(ConfigFault::new(
            flag,
            variable,
            text,
            "write a port number from 1 to 65535",
        ));
        default
    })
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

impl fmt::Display for Effective {
    /// The one form in which both programs print what they run with.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node: Vec<String> = self.node_addresses.iter().map(IpAddr::to_string).collect();
        let ports: Vec<String> = self.node_ports.iter().map(u16::to_string).collect();
        let udp = self.udp_ports.iter().map(|one| one.port.to_string());
        let udp: Vec<String> = udp.collect();
        let unguarded: Vec<String> = self.unguarded_ports.iter().map(Port::to_string).collect();
        let list = |items: &[String], nothing: &str| match items {
            [] => nothing.to_owned(),
            items => items.join(","),
        };
        write!(
            out,
            "--mode redirect --listen-port {} --admin-port {} --canary-port {} --node-address {} --node-port {} \
             --udp-port {} --udp-listen-port {} --unguarded-port {}",
            self.listen_port,
            self.admin_port,
            self.canary_port,
            list(&node, "none"),
            list(&ports, "all"),
            list(&udp, "none"),
            self.udp_listen_port,
            list(&unguarded, "none"),
        )
    }
}
