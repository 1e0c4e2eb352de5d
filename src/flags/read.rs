//! The shared flags from text to values; every fault is told.

use std::collections::BTreeSet;
use std::net::IpAddr;

use podwall_deploy::{Queues, QueuesFault, UdpDeny, UdpFault, UdpPort};
use podwall_policy::flow::Protocol;
use podwall_proxy::arrival::Mode;
use podwall_proxy::config::{
    ADMIN_PORT, CANARY_PORT, ConfigFault, FIRST_QUEUE, LISTEN_PORT, UDP_LISTEN_PORT, check_ports,
};

use super::{Effective, Shared};
use crate::port::Port;

impl Shared {
    /// Reads every flag and adds what is wrong to `faults`; a faulty value reads as its default.
    pub fn read(&self, faults: &mut Vec<ConfigFault>) -> Effective {
        let mode = self.mode(faults);
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
            mode,
            listen_port,
            admin_port,
            canary_port,
            node_addresses: node.into_iter().collect(),
            is_node_given,
            node_ports: self.node_ports(admin_port, faults),
            udp_ports: self.udp_ports(udp_listen_port, &unguarded_ports, faults),
            udp_listen_port,
            queues: self.queues(mode, faults),
            udp_deny: self.udp_deny(mode, faults),
            unguarded_ports,
        }
    }

    fn mode(&self, faults: &mut Vec<ConfigFault>) -> Mode {
        let modes = [Mode::Redirect, Mode::Queue];
        let read = modes.into_iter().find(|mode| mode.label() == self.mode);
        read.unwrap_or_else(|| {
            let (flag, variable) = MODE;
            let mend = "write redirect or queue";
            faults.push(ConfigFault::new(flag, variable, &self.mode, mend));
            Mode::default()
        })
    }

    /// The queues of `--queues`; one where none are given.
    fn queues(&self, mode: Mode, faults: &mut Vec<ConfigFault>) -> Queues {
        let text = match self.queues.trim() {
            "" => return Queues::one(FIRST_QUEUE),
            text => text,
        };
        only_in_queue(QUEUES, text, mode, faults);
        text.parse().unwrap_or_else(|fault: QueuesFault| {
            let (flag, variable) = QUEUES;
            let mend = fault.to_string();
            faults.push(ConfigFault::new(flag, variable, text, &mend));
            Queues::one(FIRST_QUEUE)
        })
    }

    /// The answer of `--udp-deny`.
    fn udp_deny(&self, mode: Mode, faults: &mut Vec<ConfigFault>) -> UdpDeny {
        let text = match self.udp_deny.trim() {
            "" => return UdpDeny::Drop,
            text => text,
        };
        only_in_queue(UDP_DENY, text, mode, faults);
        let read = UdpDeny::ALL.into_iter().find(|one| one.label() == text);
        read.unwrap_or_else(|| {
            let (flag, variable) = UDP_DENY;
            let mend = "write drop or unreachable";
            faults.push(ConfigFault::new(flag, variable, text, mend));
            UdpDeny::Drop
        })
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
                    (UDP_LISTEN, first.to_string())
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

const MODE: Name = ("--mode", "PODWALL_MODE");
const QUEUES: Name = ("--queues", "PODWALL_QUEUES");
const UDP_DENY: Name = ("--udp-deny", "PODWALL_UDP_DENY");
const NODE_PORT: Name = ("--node-port", "PODWALL_NODE_PORTS");
const UDP_PORT: Name = ("--udp-port", "PODWALL_UDP_PORTS");
const UDP_LISTEN: Name = ("--udp-listen-port", "PODWALL_UDP_LISTEN_PORT");

/// Refuses a flag that would be thought to do something in mode redirect.
fn only_in_queue((flag, variable): Name, text: &str, mode: Mode, faults: &mut Vec<ConfigFault>) {
    if mode == Mode::Redirect {
        let mend =
            "this does nothing in mode redirect; give --mode queue (PODWALL_MODE), or leave it out";
        faults.push(ConfigFault::new(flag, variable, text, mend));
    }
}

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
