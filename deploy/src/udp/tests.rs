#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn pairs(ports: &[u16], first: u16) -> Result<Vec<(u16, u16)>, UdpFault> {
    let assigned = UdpPort::assign(ports.iter().copied(), first, &[])?;
    Ok(assigned.iter().map(|one| (one.port, one.listen)).collect())
}

#[test]
fn p2_sorted_ports_get_consecutive_listeners() {
    assert_eq!(pairs(&[], 15874), Ok(vec![]));
    assert_eq!(
        pairs(&[5353, 53, 5353, 161], 15874),
        Ok(vec![(53, 15874), (161, 15875), (5353, 15876)])
    );
    assert_eq!(pairs(&[53, 54], 65534), Ok(vec![(53, 65534), (54, 65535)]));
}

#[test]
fn p2_what_cannot_be_is_refused() {
    let many: Vec<u16> = (1..=65).collect();
    assert_eq!(pairs(&many[..64], 15874).unwrap().len(), 64);
    for (ports, first, fault) in [
        (&[53, 0][..], 15874, UdpFault::Zero),
        (&many, 15874, UdpFault::TooMany { count: 65 }),
        (&[53, 54], 65535, UdpFault::PastTheLast { count: 2 }),
        (&[], 0, UdpFault::PastTheLast { count: 0 }),
        (&[53, 15875], 15874, UdpFault::Taken { port: 15875 }),
    ] {
        assert_eq!(pairs(ports, first), Err(fault), "{ports:?} {first}");
    }
}
