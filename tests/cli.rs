//! The offline front doors: `explain`, `matrix`, and how wrong input is answered.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

#[path = "cli/help.rs"]
mod help;
#[path = "cli/modes.rs"]
mod modes;
#[path = "cli/node_ports.rs"]
mod node_ports;
#[path = "cli/udp_ports.rs"]
mod udp_ports;
#[path = "cli/unusual.rs"]
mod unusual;

/// Two namespaces, of which only one has labels; four pods; one policy each way.
const CLUSTER: &str = include_str!("cli/cluster.yaml");

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs podwall with CLUSTER on stdin.
fn podwall(args: &[&str]) -> Ran {
    podwall_reading(CLUSTER, args)
}

fn podwall_reading(stdin: &str, args: &[&str]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_podwall"))
        .args(args)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read; that is no fault of the test.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn explain(from: &str, to: &str, port: &str) -> (i32, Value) {
    let ran = podwall(&[
        "explain", "-f", "-", "--from", from, "--to", to, "--port", port, "-o", "json",
    ]);
    let answer =
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err));
    (ran.code, answer)
}

#[test]
fn explain_names_the_rule_that_admits() {
    let (code, answer) = explain("shop/cart", "shop/web", "80/TCP");
    assert_eq!(code, 0, "{answer:#}");
    assert_eq!(answer["version"], 1);
    assert_eq!(answer["verdict"], "allow");
    assert_eq!(answer["enforced"], json!(["ingress"]));
    let ingress = &answer["ingress"];
    assert_eq!(
        (&ingress["reason"], &ingress["policy"], &ingress["rule"]),
        (&json!("rule"), &json!("shop/web-in"), &json!(0))
    );
    assert_eq!(ingress["misses"], json!([]));
    assert_eq!(answer["egress"]["reason"], "not_isolated");
    assert_eq!(
        (&answer["egress"]["policy"], &answer["egress"]["rule"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn explain_names_the_nearest_miss() {
    let (code, answer) = explain("shop/cart", "shop/web", "81/TCP");
    assert_eq!(
        (code, &answer["ingress"]["reason"]),
        (1, &json!("no_rule_admits"))
    );
    let miss = &answer["ingress"]["misses"][0];
    assert_eq!(
        (&miss["policy"], &miss["rule"], &miss["clause"]),
        (&json!("shop/web-in"), &json!(0), &json!("port"))
    );
    let detail = miss["detail"].as_str().unwrap();
    assert!(
        detail.contains("81/TCP") && detail.contains("80/TCP"),
        "{detail}"
    );
}

#[test]
fn explain_asks_both_ends() {
    // shop/locked may be entered by everyone, but may itself reach shop/cart only.
    let (code, answer) = explain("shop/locked", "other/idle", "80/TCP");
    assert_eq!((code, &answer["verdict"]), (1, &json!("deny")));
    assert_eq!(
        (&answer["ingress"]["verdict"], &answer["egress"]["verdict"]),
        (&json!("allow"), &json!("deny"))
    );
}

#[test]
fn explain_takes_an_address_as_the_pod_that_owns_it_or_as_an_outsider() {
    let (code, answer) = explain("10.1.0.2", "shop/web", "80/TCP");
    assert_eq!((code, &answer["from"]), (0, &json!("shop/cart")));
    let (code, answer) = explain("192.0.2.7", "shop/web", "443/TCP");
    assert_eq!(
        (code, &answer["egress"]["reason"]),
        (0, &json!("not_a_pod"))
    );
    assert_eq!(answer["ingress"]["rule"], 1, "the ipBlock rule");
    let (code, answer) = explain("192.0.2.99", "shop/web", "443/TCP");
    assert_eq!(
        (code, &answer["ingress"]["misses"][0]["clause"]),
        (1, &json!("except"))
    );
}

#[test]
fn explain_allows_the_node_and_the_pod_itself() {
    let (_, answer) = explain("172.16.0.9", "shop/web", "9/TCP");
    assert_eq!(answer["ingress"]["reason"], "node");
    let (_, answer) = explain("shop/web", "shop/web", "9/TCP");
    assert_eq!(answer["ingress"]["reason"], "own");
}

#[test]
fn explain_says_it_to_people_too() {
    let ran = podwall(&[
        "explain",
        "-f",
        "-",
        "--from",
        "shop/rogue",
        "--to",
        "shop/web",
        "--port",
        "80/TCP",
    ]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out
            .starts_with("DENY  80/TCP  shop/rogue -> shop/web  no_rule_admits\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("shop/web-in rule 0"), "{}", ran.out);
}

#[test]
fn bad_input_names_what_is_wrong_and_exits_2() {
    let base = ["explain", "-f", "-", "--to", "shop/web"];
    for (more, words) in [
        (
            vec!["--from", "shop/nobody", "--port", "80/TCP"],
            vec!["--from shop/nobody", "no such pod"],
        ),
        (
            vec!["--from", "cart", "--port", "80/TCP"],
            vec!["--from", "NAMESPACE/POD"],
        ),
        (
            vec!["--from", "shop/cart", "--port", "80"],
            vec!["80", "80/TCP"],
        ),
        (
            vec!["--from", "shop/cart", "--port", "0/TCP"],
            vec!["0/TCP"],
        ),
        (
            vec!["--from", "shop/cart", "--port", "80/tcp"],
            vec!["tcp", "TCP"],
        ),
        (
            vec!["--from", "fd00::7", "--port", "80/TCP"],
            vec!["fd00::7", "family"],
        ),
    ] {
        let ran = podwall(&[&base[..], &more[..]].concat());
        assert_eq!(ran.code, 2, "{more:?}: {}", ran.err);
        for word in words {
            assert!(
                ran.err.contains(word),
                "{more:?} does not say {word:?}: {}",
                ran.err
            );
        }
        assert_eq!(ran.out, "", "{more:?}");
    }
}

#[test]
fn broken_manifests_name_their_place() {
    let ask = ["matrix", "-f", "-", "--port", "80/TCP"];
    let ran = podwall_reading("kind: Pod\n  oops: [", &ask);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains(":2:") || ran.err.contains("line 2"),
        "{}",
        ran.err
    );
    let twice = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {x: y}}\n";
    let ran = podwall_reading(twice, &ask);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("Namespace a") || ran.err.contains("namespace a"),
        "{}",
        ran.err
    );
    let ran = podwall(&["matrix", "-f", "/nonexistent/podwall", "--port", "80/TCP"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("/nonexistent/podwall"), "{}", ran.err);
}

#[test]
fn matrix_lists_every_pair_of_running_pods_in_order() {
    let ran = podwall(&[
        "matrix", "-f", "-", "--port", "81/TCP", "--port", "80/TCP", "-o", "json",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&answer["version"], &answer["ports"]),
        (&json!(1), &json!(["80/TCP", "81/TCP"]))
    );
    let flows = answer["flows"].as_array().unwrap();
    // Five pods run and have a network of their own; one has ended, one is on its node's network.
    assert_eq!(flows.len(), 5 * 4 * 2);
    let key =
        |flow: &Value| ["from", "to", "port"].map(|name| flow[name].as_str().unwrap().to_owned());
    assert!(flows.is_sorted_by_key(key), "sorted by from, to, port");
    let find = |from: &str, to: &str, port: &str| {
        flows
            .iter()
            .find(|flow| key(flow) == [from, to, port].map(str::to_owned))
            .unwrap_or_else(|| panic!("{from} {to}"))
    };
    assert_eq!(find("shop/cart", "shop/web", "80/TCP")["verdict"], "allow");
    assert_eq!(find("shop/cart", "shop/web", "81/TCP")["verdict"], "deny");
    let locked = find("shop/locked", "other/idle", "80/TCP");
    assert_eq!(
        (&locked["ingress"], &locked["egress"], &locked["verdict"]),
        (&json!("allow"), &json!("deny"), &json!("deny"))
    );
    assert!(
        ran.err.contains("shop/hostly"),
        "the hostNetwork pod is listed: {}",
        ran.err
    );
    assert!(
        !ran.out.contains("shop/done") && !ran.out.contains("hostly"),
        "{}",
        ran.out
    );
}

#[test]
fn matrix_agrees_with_explain_and_speaks_csv() {
    let ran = podwall(&["matrix", "-f", "-", "--port", "80/TCP", "-o", "csv"]);
    let mut lines = ran.out.lines();
    assert_eq!(lines.next(), Some("from,to,port,ingress,egress,verdict"));
    let mut seen = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let (_, answer) = explain(fields[0], fields[1], fields[2]);
        assert_eq!(answer["ingress"]["verdict"], fields[3], "{line}");
        assert_eq!(answer["egress"]["verdict"], fields[4], "{line}");
        assert_eq!(answer["verdict"], fields[5], "{line}");
        seen += 1;
    }
    assert_eq!(seen, 20);
    let ran = podwall(&["matrix", "-f", "-", "--port", "80/TCP"]);
    assert!(ran.out.contains("deny: ingress"), "{}", ran.out);
}

#[test]
fn the_sidecar_reports_all_its_faults_at_once() {
    let ran = podwall(&[
        "proxy",
        "--pod",
        "Shop",
        "--listen-port",
        "0",
        "--node-address",
        "nowhere",
        "--drain-timeout",
        "soon",
        "--mode",
        "magic",
    ]);
    assert_eq!(ran.code, 2);
    for word in [
        "--pod",
        "--listen-port",
        "--node-address",
        "nowhere",
        "--drain-timeout",
        "soon",
        "-f",
        "magic",
    ] {
        assert!(ran.err.contains(word), "{word} is not named: {}", ran.err);
    }
    let ran = podwall(&["redirect", "--listen-port", "x", "--canary-port", "y"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("--listen-port") && ran.err.contains("--canary-port"),
        "{}",
        ran.err
    );
}

#[test]
fn redirect_prints_the_rules_it_would_install() {
    let ran = podwall(&[
        "redirect",
        "--print",
        "--no-gateway",
        "--node-address",
        "10.9.9.9",
        "--node-address",
        "fd09::9",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for word in [
        "iptables-restore",
        "ip6tables-restore",
        "10.9.9.9",
        "fd09::9",
        "--to-ports 15871",
        "tcp-reset",
    ] {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
}
