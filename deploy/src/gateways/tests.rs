#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn check(family: Family, text: &str, expected: &[&str]) {
    let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(parse(family, text), expected, "{text}");
}

#[cfg(target_endian = "little")]
#[test]
fn p10_default_routes_with_a_next_hop_are_gateways() {
    let text = "\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100F40A	0003	0	0	0	00000000	0	0	0
eth1	00000000	01FEFEA9	0003	0	0	5	00000000	0	0	0
eth0	0000F40A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	0000090A	0700F40A	0003	0	0	0	0000FFFF	0	0	0
eth0	00000000	00000000	0001	0	0	0	00000000	0	0	0
eth0	00000000	0900F40A	0002	0	0	0	00000000	0	0	0
";
    check(Family::Ipv4, text, &["10.244.0.1", "169.254.254.1"]);
}

#[test]
fn p10_the_same_for_ipv6() {
    let zero = "0".repeat(32);
    let hop = "fd000000000000000000000000000001";
    let line = |to: &str, length: &str, hop: &str, flags: &str| {
        format!("{to} {length} {zero} 00 {hop} 00000400 00000001 00000000 {flags}     eth0\n")
    };
    let text = [
        line(&zero, "00", hop, "00000003"),
        line(&zero, "00", "fe800000000000000000000000000001", "00450003"),
        line(&zero, "00", &zero, "00200200"),
        line("fd000000000000000000000000000000", "40", &zero, "00000001"),
        line("fd010000000000000000000000000000", "40", hop, "00000003"),
    ];
    check(Family::Ipv6, &text.concat(), &["fd00::1", "fe80::1"]);
}

#[test]
fn broken_lines_are_no_routes() {
    for family in Family::ALL {
        check(family, "", &[]);
        check(
            family,
            "eth0 00000000\nnonsense\n\neth0 xx yy zz 0 0 0 ww\n",
            &[],
        );
    }
}
