//! Numbers to addresses: never the same twice, never one that looks like a network's or a broadcast's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::HashSet, net::IpAddr};

use super::{GATEWAY4, GATEWAY6, Pool, check, hardware};

#[test]
fn the_pool_gives_each_address_once() {
    let mut pool = Pool::new();
    let given: Vec<_> = (0..60_000).map(|_| pool.next()).collect();
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len());
    for (v4, v6) in given {
        assert!(!matches!(v4.octets()[3], 0 | 255), "{v4}");
        check(v4.into()).unwrap();
        check(v6.into()).unwrap();
    }
}

#[test]
fn the_gateway_and_foreign_addresses_are_refused() {
    for refused in [
        IpAddr::from(GATEWAY4),
        GATEWAY6.into(),
        [10, 245, 0, 7].into(),
        "fd00:245::7".parse().unwrap(),
    ] {
        assert!(check(refused).is_err(), "{refused}");
    }
}

#[test]
fn the_hardware_address_follows_the_address() {
    assert_eq!(hardware([10, 244, 1, 2].into()), "0a:58:0a:f4:01:02");
    assert_eq!(
        hardware("fd00:244::102".parse().unwrap()),
        "0a:58:00:00:01:02"
    );
}
