//! A pod that calls itself through its node, which rewrites both addresses as it does for Services.

use std::net::SocketAddr;

use crate::inside::run;
use crate::support::Scene;

/// Gives `shop/web` a Service of its own, over both families, on this port of `tcp` or `udp`; its addresses.
pub fn service(scene: &Scene, protocol: &str, port: u16) -> [SocketAddr; 2] {
    let node = scene.lab.node();
    // Rules of the node's own, as kube-proxy writes them.
    for (program, service, pod) in [
        ("iptables-nft", "10.96.0.53/32", scene.web.v4().to_string()),
        (
            "ip6tables-nft",
            "fd96::53/128",
            format!("[{}]", scene.web.v6()),
        ),
    ] {
        run(
            node,
            &format!(
                "{program} -t nat -A PREROUTING -d {service} -p {protocol} -j DNAT --to-destination {pod}:{port}"
            ),
        );
        run(
            node,
            &format!(
                "{program} -t nat -A POSTROUTING -m conntrack --ctstate DNAT -p {protocol} -j MASQUERADE"
            ),
        );
    }
    // As the bridge plug-in's hairpinMode does it.
    for bridged in run(node, "ip -o link show master br0").lines() {
        let name = bridged.split([':', '@']).nth(1).unwrap();
        run(
            node,
            &format!("ip link set dev {name} type bridge_slave hairpin on"),
        );
    }
    ["10.96.0.53", "fd96::53"].map(|address| SocketAddr::new(address.parse().unwrap(), port))
}
