//! Bridge, veth pairs, addresses and routes, by `ip -batch` inside the right namespace. Knows no pod by name.

use std::{fmt::Write, net::IpAddr, time::Duration};

use crate::{LabResult, Place, address};

/// Bound on one `ip -batch`.
const DEADLINE: Duration = Duration::from_secs(20);

/// Settings of every namespace, before it has interfaces: addresses usable at once (no duplicate detection), no
/// router advertisements, sources not filtered (tests forge some), a new owner of an address announces itself, and
/// a congestion control that does not pace (bbr's pacing hides every cost on veth).
const SETTINGS: [(&str, &str); 13] = [
    ("net.ipv4.tcp_congestion_control", "reno"),
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.all.accept_ra", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.ndisc_notify", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.conf.default.arp_notify", "1"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
];

/// Settings of the node besides: it routes.
const ROUTER: [(&str, &str); 2] = [
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
];

/// A pod's connection to the bridge.
#[derive(Debug)]
pub(crate) struct Plug {
    /// Name of the veth end at the bridge.
    pub(crate) port: String,
    /// Addresses within the pods' networks.
    pub(crate) addresses: Vec<IpAddr>,
    /// Foreign addresses, routed to the pod by the node.
    pub(crate) also: Vec<IpAddr>,
    /// Whether the pod gets default routes.
    pub(crate) default_route: bool,
}

/// Makes the empty namespace `node` the node: bridge `br0` with the gateway addresses, host addresses on loopback.
pub(crate) fn build_node(node: &Place) -> LabResult<()> {
    node.net().sysctl(&SETTINGS)?;
    node.net().sysctl(&ROUTER)?;
    let (gateway4, gateway6) = (address::GATEWAY4, address::GATEWAY6);
    let (host4, host6) = (address::HOST4, address::HOST6);
    let hardware = address::hardware(gateway4.into());
    batch(
        node,
        &format!(
            "link set lo up\n\
         link add br0 address {hardware} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n\
         addr add {gateway4}/16 dev br0\n\
         addr add {gateway6}/64 dev br0 nodad\n\
         addr add {host4}/32 dev lo\n\
         addr add {host6}/128 dev lo nodad\n\
         link set br0 up\n"
        ),
    )
}

/// Makes the empty namespace `pod` a pod on the node's bridge. Its addresses answer when this returns.
pub(crate) fn plug_in(node: &Place, pod: &Place, plug: &Plug) -> LabResult<()> {
    pod.net().sysctl(&SETTINGS)?;
    let Plug { port, .. } = plug;
    let hardware = plug
        .addresses
        .first()
        .map(|first| format!("address {} ", address::hardware(*first)));
    let mut outside = format!(
        "link add {port} type veth peer name eth0 {}netns {}\nlink set {port} master br0 up\n",
        hardware.unwrap_or_default(),
        pod.net().path()
    );
    for (foreign, via) in plug.foreign() {
        let _ = writeln!(outside, "route replace {foreign} via {via} dev br0");
    }
    batch(node, &outside)?;
    batch(pod, &plug.inside())
}

/// Takes the pod off the bridge: its interface is gone when this returns, also for those who still hold the pod.
pub(crate) fn pull_out(node: &Place, plug: &Plug) -> LabResult<()> {
    let mut lines = format!("link del {}\n", plug.port);
    for (foreign, _) in plug.foreign() {
        let _ = writeln!(lines, "route del {foreign}");
    }
    batch(node, &lines)
}

impl Plug {
    fn inside(&self) -> String {
        let mut lines = String::from("link set lo up\n");
        for address in &self.addresses {
            let _ = match address {
                IpAddr::V4(_) => writeln!(lines, "addr add {address}/16 dev eth0"),
                IpAddr::V6(_) => writeln!(lines, "addr add {address}/64 dev eth0 nodad"),
            };
        }
        for address in &self.also {
            let _ = match address {
                IpAddr::V4(_) => writeln!(lines, "addr add {address}/32 dev eth0"),
                IpAddr::V6(_) => writeln!(
                    lines,
                    "addr add {address}/128 dev eth0 nodad preferred_lft 0"
                ),
            };
        }
        lines.push_str("link set eth0 up\n");
        if self.default_route {
            for address in &self.addresses {
                let _ = writeln!(lines, "route add default via {}", gateway(*address));
            }
        }
        lines
    }

    /// Foreign addresses with the pod address of the same family, by which the node reaches them.
    fn foreign(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        self.also.iter().filter_map(|foreign| {
            let via = self
                .addresses
                .iter()
                .find(|address| address.is_ipv4() == foreign.is_ipv4());
            via.map(|via| (*foreign, *via))
        })
    }
}

fn gateway(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address::GATEWAY4.into(),
        IpAddr::V6(_) => address::GATEWAY6.into(),
    }
}

fn batch(place: &Place, lines: &str) -> LabResult<()> {
    place
        .command("ip")
        .args(["-batch", "-"])
        .stdin(lines)
        .succeed(DEADLINE)
        .map(drop)
}
