#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const NEAT: Sloppiness = Sloppiness {
    host_bits: false,
    leading_zeros: false,
    v4_mapped: false,
};

#[track_caller]
fn check(text: &str, range: &str, sloppiness: Sloppiness) {
    let (read, found) = parse(text).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(
        (read.to_string().as_str(), found),
        (range, sloppiness),
        "{text}"
    );
}

#[test]
fn s43_host_bits_are_masked_off() {
    let host_bits = Sloppiness {
        host_bits: true,
        ..NEAT
    };
    check("10.0.0.0/24", "10.0.0.0/24", NEAT);
    check("10.0.0.5/24", "10.0.0.0/24", host_bits);
    check("10.0.0.5/32", "10.0.0.5/32", NEAT);
    check("10.0.0.5/0", "0.0.0.0/0", host_bits);
    check("fd00::5/64", "fd00::/64", host_bits);
    check("::/0", "::/0", NEAT);
}

#[test]
fn s44_leading_zeros_are_decimal() {
    let leading_zeros = Sloppiness {
        leading_zeros: true,
        ..NEAT
    };
    check("010.0.0.0/8", "10.0.0.0/8", leading_zeros);
    check("10.000.00.08/32", "10.0.0.8/32", leading_zeros);
    check("192.168.0012.0/24", "192.168.12.0/24", leading_zeros);
    check("0.0.0.0/0", "0.0.0.0/0", NEAT);
}

#[test]
fn s45_mapped_ranges_become_ipv4() {
    let v4_mapped = Sloppiness {
        v4_mapped: true,
        ..NEAT
    };
    check("::ffff:10.0.0.0/104", "10.0.0.0/8", v4_mapped);
    check("::ffff:a00:5/128", "10.0.0.5/32", v4_mapped);
    check("::ffff:0:0/96", "0.0.0.0/0", v4_mapped);
    let all = Sloppiness {
        host_bits: true,
        leading_zeros: true,
        v4_mapped: true,
    };
    check("::ffff:010.0.0.5/104", "10.0.0.0/8", all);
}

#[test]
fn s45_a_mapped_range_wider_than_ipv4_holds_no_ipv4_address() {
    let (range, _) = parse("::ffff:0:0/95").unwrap();
    let block = IpBlock {
        cidr: range,
        except: vec![],
    };
    assert!(!block.contains("10.0.0.1".parse().unwrap()));
}

#[test]
fn what_is_no_cidr_is_refused_with_the_mend() {
    for text in [
        "",
        "/",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "10.0.0/8",
        "10.0.0.0.0/8",
        "10.0.0.256/8",
        "10..0.0/8",
        "0x0a.0.0.0/8",
        "fd00::/129",
        "fd00::/0128",
        "fe80::1%eth0/64",
        "::ffff:10.0.0/104",
        "example.org/8",
        "10.0.0.0/8/8",
        "10.0.0.0/255.0.0.0",
    ] {
        let fault = parse(text).expect_err(text).to_string();
        assert!(
            fault.contains("is no CIDR; write ADDRESS/PREFIX"),
            "{fault}"
        );
    }
}

#[test]
fn s40_and_s41_exceptions_take_out_what_they_cover() {
    let range = |text: &str| parse(text).unwrap().0;
    let block = IpBlock {
        cidr: range("10.0.0.0/8"),
        except: vec![range("10.1.0.0/16"), range("fd00::/8"), range("0.0.0.0/7")],
    };
    for (address, wanted) in [
        ("10.0.0.1", true),
        ("10.2.0.1", true),
        ("10.1.0.1", false),
        ("11.0.0.1", false),
        ("fd00::1", false),
    ] {
        assert_eq!(
            block.contains(address.parse().unwrap()),
            wanted,
            "{address}"
        );
    }
    assert_eq!(
        block.to_string(),
        "10.0.0.0/8 except 10.1.0.0/16, fd00::/8, 0.0.0.0/7"
    );
}

#[test]
fn s42_families_never_mix() {
    let block = |text: &str| IpBlock {
        cidr: parse(text).unwrap().0,
        except: vec![],
    };
    assert!(!block("0.0.0.0/0").contains("fd00::1".parse().unwrap()));
    assert!(!block("::/0").contains("10.0.0.1".parse().unwrap()));
}
