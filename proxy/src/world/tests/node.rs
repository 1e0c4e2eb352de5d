//! S65: the node where its exemption is narrowed to some ports.

use super::*;

/// Admits 192.168.0.1 and nobody else.
const BLOCK: &str = "
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {name: block, namespace: shop}
spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.0.1/32}}]}]}
---
";

fn at(world: &World, source: &str, protocol: Protocol, port: u16) -> &'static str {
    let flow = Flow::with_peer_address(Direction::Ingress, protocol, port, Some(ip(source)));
    world.judge(ip(source), &flow).decision.reason()
}

#[test]
fn p11_s65_off_its_ports_the_node_is_judged_by_its_address() {
    let world = world_with(&[80, 15872]);
    let rows = |world: &World, first: &str, second: &str, when: &str| {
        for node in ["192.168.0.1", "::ffff:192.168.0.1", "192.168.0.2"] {
            assert_eq!(at(world, node, Protocol::Tcp, 80), "node", "{when}");
            assert_eq!(at(world, node, Protocol::Tcp, 15872), "node", "{when}");
        }
        let other = |node: &str| at(world, node, Protocol::Tcp, 9000);
        assert_eq!(other("192.168.0.1"), first, "{when}");
        assert_eq!(other("::ffff:192.168.0.1"), first, "{when}");
        assert_eq!(other("192.168.0.2"), second, "{when}");
        assert_eq!(at(world, "192.168.0.2", Protocol::Udp, 80), second);
    };
    rows(&world, "not_synced", "not_synced", "nothing known");
    let _ = world.apply(state(&[SPACES]));
    let unknown = "subject_unknown";
    rows(&world, unknown, unknown, "subject not known");
    let _ = world.apply(state(&[SPACES, SUBJECT]));
    rows(&world, "not_isolated", "not_isolated", "not isolated");
    let pods_only = policy("pods", "app: web", TEAM_A);
    let _ = world.apply(state(&[SPACES, SUBJECT, &pods_only]));
    rows(&world, "peer_unknown", "peer_unknown", "pods may enter");
    let _ = world.apply(state(&[SPACES, SUBJECT, BLOCK]));
    rows(&world, "rule", "no_rule_admits", "one address may enter");
}
