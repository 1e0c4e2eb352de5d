//! `podwall redirect` through its front door: the real command in a real pod, and packets at it.
//!
//! What the rules do packet by packet, and after every prefix of the steps, is proven in
//! `deploy/tests`; here is what the command makes of them: flags, exit codes, messages, a kill.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../deploy/tests/common/doorman.rs"]
#[allow(dead_code)]
mod doorman;
#[path = "redirect/killed.rs"]
mod killed;
#[path = "redirect/modes.rs"]
mod modes;
#[path = "../deploy/tests/common/wire.rs"]
#[allow(dead_code)]
mod wire;

use std::io;
use std::time::Duration;

use podwall_deploy::{Backend, Family};
use podwall_lab::{Cmd, Output, Place};
use wire::{APP, Wire, address, ask, run, serve_relay};

const PATIENCE: Duration = Duration::from_secs(20);
const REFUSED: Result<String, io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);

/// `podwall redirect` with these flags, in a place.
fn command(place: &Place, flags: &str) -> Cmd {
    let command = place.command(env!("CARGO_BIN_EXE_podwall")).arg("redirect");
    command.args(flags.split_whitespace()).env("NO_COLOR", "1")
}

fn redirect(place: &Place, flags: &str) -> Output {
    command(place, flags).run(PATIENCE).unwrap()
}

/// Runs it and wants an exit code; gives all that was said.
fn expect(place: &Place, flags: &str, code: i32) -> String {
    let output = redirect(place, flags);
    let said = output.stdout + &output.stderr;
    assert_eq!(output.status.code(), Some(code), "redirect {flags}: {said}");
    said
}

#[test]
fn p19_install_check_change_and_remove_by_exit_code() {
    let Some(wire) = Wire::lay("p19_install_check_change_and_remove") else {
        return;
    };
    let pod = wire.subject.place();
    assert!(expect(pod, "--check", 1).contains("PODWALL_INPUT"));
    expect(pod, "", 0);
    expect(pod, "--check", 0);
    assert!(!expect(pod, "--check --listen-port 16006", 1).is_empty());
    run(pod, "ip6tables-nft -D PODWALL_INPUT -p udp -j DROP");
    let said = expect(pod, "--check", 1);
    assert!(
        said.contains("ipv6 filter") && said.contains("-p udp -j DROP"),
        "{said}"
    );
    expect(pod, "", 0);
    expect(pod, "--check", 0);
    expect(pod, "--remove", 0);
    expect(pod, "--check", 1);
    for family in Family::ALL {
        wire.is_open(family, "removed");
    }
}

#[test]
fn p10_without_flags_the_gateway_is_the_node_and_no_gateway_takes_it_out() {
    let Some(wire) = Wire::lay("p10_without_flags_the_gateway_is_the_node") else {
        return;
    };
    let (pod, node) = (wire.subject.place(), wire.lab.node());
    expect(pod, "", 0);
    for family in Family::ALL {
        wire.is_closed(family, "installed");
        wire.always_holds(family, "installed");
    }
    expect(pod, "--no-gateway", 0);
    for family in Family::ALL {
        assert_eq!(ask(node, wire.at(family, APP)), REFUSED, "{family}");
    }
    let nodes = format!("--no-gateway --node-address {},{}", node.v4(), node.v6());
    expect(pod, &nodes, 0);
    for family in Family::ALL {
        wire.always_holds(family, "named");
    }
}

#[test]
fn p10_where_only_the_gateways_are_the_node_the_init_step_warns() {
    let Some(wire) = Wire::lay("p10_where_only_the_gateways_are_the_node") else {
        return;
    };
    let pod = wire.subject.place();
    for flags in ["", "--check", "--no-gateway"] {
        let said = expect(pod, flags, 0);
        assert!(said.contains("status.hostIPs"), "{flags}: {said}");
        if flags == "--no-gateway" {
            continue;
        }
        let named = format!("{flags} --node-address {}", wire.lab.node().v4());
        let said = expect(pod, &named, 0);
        assert!(!said.contains("status.hostIPs"), "{named}: {said}");
        assert!(said.contains("--node-port all"), "{named}: {said}");
    }
}

#[test]
fn s60_a_port_left_to_everybody_is_said_checked_and_open() {
    let Some(wire) = Wire::lay("s60_a_port_left_to_everybody") else {
        return;
    };
    let pod = wire.subject.place();
    let said = expect(pod, "--unguarded-port 53/UDP,3868/SCTP", 0);
    assert!(said.contains("--unguarded-port 53/UDP,3868/SCTP"), "{said}");
    expect(
        pod,
        "--unguarded-port 3868/SCTP --unguarded-port 53/UDP --check",
        0,
    );
    let said = expect(pod, "--check", 1);
    let flag = "installed --unguarded-port 53/UDP,3868/SCTP, wanted --unguarded-port none";
    assert!(said.contains(flag), "{said}");
    for family in Family::ALL {
        assert_eq!(wire.datagram(family), "stranger", "{family}");
        assert_eq!(wire.receive(), "node");
    }
    for (port, mend) in [
        ("53/TCP", "TCP is judged; write a policy"),
        ("53", "write NUMBER/PROTOCOL"),
        ("0/UDP", "write NUMBER/PROTOCOL"),
    ] {
        let said = expect(pod, &format!("--unguarded-port {port}"), 2);
        for word in ["--unguarded-port", "PODWALL_UNGUARDED_PORTS", port, mend] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    expect(pod, "", 0);
    for family in Family::ALL {
        wire.is_closed(family, "taken back");
    }
}

#[test]
fn p2_udp_ports_are_said_checked_and_redirected() {
    let Some(wire) = Wire::lay("p2_udp_ports_are_said_checked_and_redirected") else {
        return;
    };
    let pod = wire.subject.place();
    let said = expect(pod, "--udp-port 5353,53 --unguarded-port 123/UDP", 0);
    let line = "--udp-port 53,5353 --udp-listen-port 15874 --unguarded-port 123/UDP";
    assert!(said.contains(line), "{said}");
    let same = "--udp-port 53 --udp-port 5353 --unguarded-port 123/UDP --check";
    expect(pod, same, 0);
    let none = expect(pod, "--check --unguarded-port 123/UDP", 1);
    let flag = "installed --udp-port 53,5353, wanted --udp-port none";
    assert!(none.contains(flag), "{none}");
    let moved = expect(pod, &format!("{same} --udp-listen-port 16000"), 1);
    let flag = "installed --udp-listen-port 15874, wanted --udp-listen-port 16000";
    assert!(moved.contains(flag), "{moved}");
    for family in Family::ALL {
        wire.is_closed(family, "nobody listens");
    }
}

#[test]
fn p11_s65_the_admin_port_is_among_the_ports_of_the_node() {
    let Some(wire) = Wire::lay("p11_s65_the_admin_port_is_among") else {
        return;
    };
    let pod = wire.subject.place();
    let strict = "--node-port 8080 --node-port 80 --admin-port 16002";
    let said = expect(pod, strict, 0);
    assert!(said.contains("--node-port 80,8080,16002"), "{said}");
    expect(pod, strict, 0);
    expect(pod, &format!("{strict} --check"), 0);
    let said = expect(pod, "--admin-port 16002 --check", 1);
    let flag = "installed --node-port 80,8080,16002, wanted --node-port all";
    assert!(said.contains(flag), "{said}");
    let printed = redirect(pod, &format!("{strict} --print")).stdout;
    for family in Family::ALL {
        let node = match family {
            Family::Ipv4 => wire.lab.node().v4().to_string() + "/32",
            Family::Ipv6 => wire.lab.node().v6().to_string() + "/128",
        };
        for port in [80, 8080, 16002] {
            for end in ["ACCEPT", "RETURN"] {
                let rule = format!("-s {node} -p tcp -m tcp --dport {port} -j {end}");
                assert!(printed.contains(&rule), "{rule}: {printed}");
            }
        }
    }
    expect(pod, "--admin-port 16002", 0);
    expect(pod, &format!("{strict} --check"), 1);
}

#[test]
fn printed_rules_are_what_is_installed() {
    let Some(wire) = Wire::lay("printed_rules_are_what_is_installed") else {
        return;
    };
    let pod = wire.subject.place();
    for flags in [
        "--udp-port 53",
        "--mode queue --queues 7:3 --udp-deny unreachable",
    ] {
        let printed = redirect(pod, &format!("{flags} --print")).stdout;
        expect(pod, &format!("{flags} --check"), 1);
        for (family, text) in Family::ALL.into_iter().zip(printed.split("# ").skip(1)) {
            let (title, rules) = text.split_once('\n').unwrap();
            assert!(title.starts_with(family.program()), "{title}");
            let restore = pod
                .command(format!("{}-nft-restore", family.program()))
                .arg("--noflush");
            let output = restore.stdin(rules).run(PATIENCE).unwrap();
            assert!(output.status.success(), "{}", output.stderr);
        }
        expect(pod, &format!("{flags} --check"), 0);
        expect(pod, "--remove", 0);
    }
}

#[test]
fn s66_host_network_is_refused_before_any_change() {
    let Some(wire) = Wire::lay("s66_host_network_is_refused") else {
        return;
    };
    for family in Family::ALL {
        let own = address(&wire.subject, family);
        let said = expect(wire.subject.place(), &format!("--host-ips {own}"), 2);
        assert!(
            said.contains("hostNetwork") && said.contains(&own.to_string()),
            "{said}"
        );
        wire.is_open(family, "refused");
    }
}

#[test]
fn foreign_rules_are_named_before_any_change() {
    let Some(wire) = Wire::lay("foreign_rules_are_named") else {
        return;
    };
    let pod = wire.subject.place();
    for backend in Backend::ORDER {
        run(
            pod,
            &format!("ip6tables-{backend} -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 99"),
        );
        let said = expect(pod, "", 3);
        for word in ["--to-ports 99", "nat", "ipv6", &backend.to_string()] {
            assert!(said.contains(word), "{said}: no {word}");
        }
        run(pod, &format!("ip6tables-{backend} -t nat -F PREROUTING"));
        wire.is_open(Family::Ipv4, "refused");
    }
}

#[test]
fn without_privilege_net_admin_is_named() {
    let Some(wire) = Wire::lay("without_privilege_net_admin_is_named") else {
        return;
    };
    for flags in ["", "--check", "--remove"] {
        let output = command(&wire.subject, flags)
            .unprivileged()
            .run(PATIENCE)
            .unwrap();
        assert_eq!(output.status.code(), Some(3), "{flags}: {}", output.stderr);
        assert!(
            output.stderr.contains("NET_ADMIN"),
            "{flags}: {}",
            output.stderr
        );
    }
    let printed = command(&wire.subject, "--print")
        .unprivileged()
        .run(PATIENCE)
        .unwrap();
    assert!(printed.status.success(), "{}", printed.stderr);
}

#[test]
fn p35_podwalls_own_ports_meet_the_relay() {
    let Some(wire) = Wire::lay("p35_podwalls_own_ports_meet_the_relay") else {
        return;
    };
    serve_relay(&wire.subject, podwall_proxy::config::LISTEN_PORT);
    expect(wire.subject.place(), "", 0);
    for family in Family::ALL {
        for port in [APP, podwall_proxy::config::ADMIN_PORT] {
            let to = wire.at(family, port);
            assert_eq!(ask(&wire.stranger, to), Ok(format!("relay {to}")));
        }
    }
}
