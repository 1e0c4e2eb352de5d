//! What the tests want installed.
#![allow(clippy::unwrap_used, dead_code)]

use std::net::IpAddr;

use podwall_deploy::{Mode, Queue, Redirect, Transport, UdpDeny, Wanted};

const NODES: [&str; 3] = ["10.1.0.1", "fd00::1", "::ffff:10.1.0.9"];

/// A mode, with nodes of both families.
pub fn with(mode: impl Into<Mode>) -> Wanted {
    let nodes = NODES.map(|node| node.parse::<IpAddr>().unwrap());
    Wanted::new(mode, nodes).unwrap()
}

/// Mode redirect without options.
pub fn wanted() -> Wanted {
    with(Redirect::new(15006, 15007).unwrap())
}

/// Mode queue.
pub fn queue(queues: &str, udp_deny: UdpDeny) -> Wanted {
    let queues = queues.parse().unwrap();
    with(Queue { queues, udp_deny })
}

/// Both modes, without options and with.
pub fn wishes() -> [Wanted; 4] {
    let ports = [(Transport::Udp, 123), (Transport::Sctp, 3868)];
    let rich = Redirect::new(15006, 15007).unwrap();
    let rich = rich.with_udp_ports([53, 5353], 15874).unwrap();
    [
        wanted(),
        with(rich).with_unguarded(ports).unwrap(),
        queue("15871:1", UdpDeny::Drop),
        queue("5:64", UdpDeny::Unreachable)
            .with_unguarded(ports)
            .unwrap(),
    ]
}
