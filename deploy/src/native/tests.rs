//! What `nft` lists, and which of it is named.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use expect_test::expect;

use super::native;
use crate::mode::{Mode, Queue, Queues, Redirect, UdpDeny};

const RULESET: &str = "\
# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip nat {
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		counter packets 0 bytes 0 redirect
	}
}
table ip disguise {
	chain in {
		type nat hook input priority filter; policy accept;
		ip protocol tcp snat to 10.0.0.7
	}
	chain out {
		type nat hook postrouting priority srcnat; policy accept;
		masquerade
	}
}
table inet mesh {
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 80 redirect to :15006
		jump more
	}
	chain more {
		ip saddr set 10.0.0.9
		tcp dport 22 accept
	}
}
table ip6 t {
	chain pre {
		type filter hook prerouting priority mangle; policy accept;
		meta l4proto tcp tproxy to :1 accept
	}
}
";

fn redirect() -> Mode {
    Redirect::new(1, 2).unwrap().into()
}

/// What of a chain at a hook counts.
fn marking(mode: &Mode, chain: &str, statement: &str) -> usize {
    native(
        mode,
        &format!("table ip t {{\nchain c {{\n{chain}\n{statement}\n}}\n}}\n"),
    )
    .len()
}

#[test]
fn p36_p37_marks_count_in_mode_queue_where_they_are_read() {
    let queue: Mode = Queue {
        queues: Queues::new(1, 1).unwrap(),
        udp_deny: UdpDeny::Drop,
    }
    .into();
    for (hook, packet, connection) in [
        ("type filter hook input priority -50; policy accept;", 1, 1),
        ("", 1, 1),
        (
            "type filter hook prerouting priority 0; policy accept;",
            1,
            1,
        ),
        ("type route hook output priority 0; policy accept;", 0, 1),
    ] {
        let (meta, ct) = (
            "meta mark set 0x01000000",
            "tcp dport 80 ct mark set 0x1 accept",
        );
        assert_eq!(marking(&queue, hook, meta), packet, "{hook}");
        assert_eq!(marking(&queue, hook, ct), connection, "{hook}");
        assert_eq!(marking(&queue, hook, "ct mark 0x1 meta mark 0x2 accept"), 0);
        assert_eq!(marking(&redirect(), hook, meta), 0, "{hook}");
        assert_eq!(marking(&redirect(), hook, ct), 0, "{hook}");
        for zone in ["udp sport 53 ct zone set 1", "ct original zone set 1"] {
            assert_eq!(marking(&queue, hook, zone), packet, "{hook}");
            assert_eq!(marking(&redirect(), hook, zone), 0, "{hook}");
        }
    }
}

#[test]
fn rules_in_nfts_own_tables_are_named_with_their_place() {
    let found = native(&redirect(), RULESET);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    expect![[r#"
        foreign rule in nft's own table ip disguise, chain in (ipv4, back end nft): ip protocol tcp snat to 10.0.0.7
        foreign rule in nft's own table inet mesh, chain prerouting (ipv4, back end nft): tcp dport 80 redirect to :15006
        foreign rule in nft's own table inet mesh, chain prerouting (ipv6, back end nft): tcp dport 80 redirect to :15006
        foreign rule in nft's own table inet mesh, chain more (ipv4, back end nft): ip saddr set 10.0.0.9
        foreign rule in nft's own table inet mesh, chain more (ipv6, back end nft): ip saddr set 10.0.0.9
        foreign rule in nft's own table ip6 t, chain pre (ipv6, back end nft): meta l4proto tcp tproxy to :1 accept"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn an_empty_ruleset_holds_nothing() {
    assert_eq!(native(&redirect(), ""), []);
}
