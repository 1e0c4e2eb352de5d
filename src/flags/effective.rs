//! The shared flags, read, and the one form in which both programs print them.

use std::fmt;
use std::net::IpAddr;

use podwall_deploy::{Queues, UdpDeny, UdpPort};
use podwall_proxy::arrival::Mode;

use crate::port::Port;

/// The shared flags, read.
#[derive(Clone, Debug)]
pub struct Effective {
    /// How arrivals reach podwall.
    pub mode: Mode,
    /// Mode redirect: port of the relay.
    pub listen_port: u16,
    /// Port of the endpoints.
    pub admin_port: u16,
    /// Mode redirect: port of the canary.
    pub canary_port: u16,
    /// The node's addresses, canonical, sorted, each once.
    pub node_addresses: Vec<IpAddr>,
    /// Whether any of them was given; else they are the gateways, if anything.
    pub is_node_given: bool,
    /// Where the node is let in whatever the policies say, the admin port among them; sorted, each
    /// once. Empty: everywhere.
    pub node_ports: Vec<u16>,
    /// Mode redirect: UDP ports that are judged, with their listeners; sorted, each once.
    pub udp_ports: Vec<UdpPort>,
    /// Mode redirect: the first port of those listeners.
    pub udp_listen_port: u16,
    /// Mode queue: where arrivals wait.
    pub queues: Queues,
    /// Mode queue: what a datagram gets that is not admitted.
    pub udp_deny: UdpDeny,
    /// UDP and SCTP ports that are left to everybody; sorted, each once.
    pub unguarded_ports: Vec<Port>,
}

impl fmt::Display for Effective {
    /// The flags of the mode, no others.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "--mode {}", self.mode.label())?;
        let (node, ports) = (
            list(&self.node_addresses, "none"),
            list(&self.node_ports, "all"),
        );
        match self.mode {
            Mode::Redirect => {
                let udp: Vec<u16> = self.udp_ports.iter().map(|one| one.port).collect();
                write!(
                    out,
                    " --listen-port {} --admin-port {} --canary-port {} --node-address {node} --node-port {ports} \
                     --udp-port {} --udp-listen-port {}",
                    self.listen_port,
                    self.admin_port,
                    self.canary_port,
                    list(&udp, "none"),
                    self.udp_listen_port,
                )?;
            }
            Mode::Queue => write!(
                out,
                " --queues {} --admin-port {} --node-address {node} --node-port {ports} --udp-deny {}",
                self.queues,
                self.admin_port,
                self.udp_deny.label(),
            )?,
        }
        let unguarded = list(&self.unguarded_ports, "none");
        write!(out, " --unguarded-port {unguarded}")
    }
}

fn list<T: ToString>(items: &[T], nothing: &str) -> String {
    match items {
        [] => nothing.to_owned(),
        items => items.iter().map(T::to_string).collect::<Vec<_>>().join(","),
    }
}
