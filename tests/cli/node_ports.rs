//! `--node-port` and the faults of the flags that `redirect` and `proxy` share.

use serde_json::{Value, json};

use super::podwall;

/// S65: where the node's exemption is narrowed, it is judged like anybody elsewhere.
#[test]
fn p11_s65_explain_lets_the_node_in_on_its_ports_only() {
    let ask = |port: &str, output: &str| {
        podwall(&[
            "explain",
            "-f",
            "-",
            "--from",
            "172.16.0.9",
            "--to",
            "shop/web",
            "--port",
            port,
            "--node-port",
            "9",
            "--node-port",
            "81",
            "-o",
            output,
        ])
    };
    for (port, code, reason) in [
        ("9/TCP", 0, "node"),
        ("81/TCP", 0, "node"),
        ("10/TCP", 1, "no_rule_admits"),
        ("9/UDP", 1, "no_rule_admits"),
    ] {
        let ran = ask(port, "json");
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(
            (ran.code, &answer["ingress"]["reason"]),
            (code, &json!(reason)),
            "{port}"
        );
        assert_eq!(answer["node_ports"], json!([9, 81]));
    }
    let said = ask("10/TCP", "table").out;
    assert!(
        said.contains("always allowed from 172.16.0.9 on TCP 9, 81 only"),
        "{said}"
    );
}

/// What is wrong with the shared flags is wrong for both programs, and told once.
#[test]
fn shared_faults_are_told_once_by_both_programs() {
    let sidecar = ["proxy", "--pod", "shop/web", "-f", "state"];
    let init = ["redirect", "--print"];
    for program in [&sidecar[..], &init[..]] {
        for (flags, words) in [
            (
                &["--listen-port", "15872"][..],
                &["--admin-port", "--listen-port has this port already"][..],
            ),
            (
                &["--canary-port", "15872"],
                &["--canary-port", "--admin-port has this port already"],
            ),
            (&["--node-port", "0"], &["--node-port", "\"0\""]),
            (
                &["--node-port", "80,x"],
                &["--node-port", "PODWALL_NODE_PORTS", "\"x\"", "65535"],
            ),
            (&["--node-port", "65536"], &["--node-port", "\"65536\""]),
        ] {
            let ran = podwall(&[program, flags].concat());
            assert_eq!(ran.code, 2, "{program:?} {flags:?}: {}", ran.err);
            let faults: Vec<&str> = ran.err.lines().filter(|l| l.starts_with("  -")).collect();
            assert_eq!(faults.len(), 1, "{program:?} {flags:?}: {}", ran.err);
            for word in words {
                assert!(faults[0].contains(word), "{faults:?} lacks {word}");
            }
        }
    }
}
