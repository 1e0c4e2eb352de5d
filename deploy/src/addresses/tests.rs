#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn p20_any_v6_address_but_loopback_counts() {
    let rows: [(&[&str], bool); 4] = [
        (&["127.0.0.1", "10.0.0.5"], false),
        (&["127.0.0.1", "::1"], false),
        (&["10.0.0.5", "::1", "fe80::1"], true),
        (&["fd00::5"], true),
    ];
    for (own, reachable) in rows {
        let own: Vec<IpAddr> = own.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(reachable_over_v6(&own), reachable, "{own:?}");
    }
}

#[test]
fn loopback_is_among_the_own_addresses() {
    let own = own_addresses().unwrap();
    assert!(
        own.iter().all(|address| address.to_canonical() == *address),
        "{own:?}"
    );
    assert!(own.is_sorted(), "{own:?}");
}
