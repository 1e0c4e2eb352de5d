//! What `explain` makes of clusters that are not as tidy as they should be.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{CLUSTER, Ran, podwall_reading};

/// Two twins at one address, a pod of two families, one that cannot be read, one of an absent
/// namespace, one on its node's network.
const UNTIDY: &str = include_str!("unusual.yaml");

fn explain(from: &str, to: &str, port: &str) -> Ran {
    podwall_reading(
        UNTIDY,
        &[
            "explain", "-f", "-", "--from", from, "--to", to, "--port", port,
        ],
    )
}

#[track_caller]
fn says(ran: &Ran, code: i32, words: &[&str]) {
    let all = format!("{}{}", ran.out, ran.err);
    assert_eq!(ran.code, code, "{all}");
    for word in words {
        assert!(all.contains(word), "{word:?} is missing:\n{all}");
    }
}

#[test]
fn s77_a_contested_address_is_nobodys() {
    let ran = explain("10.0.0.9", "shop/web", "80/TCP");
    says(
        &ran,
        2,
        &[
            "--from 10.0.0.9",
            "shop/twin1 and shop/twin2",
            "name one of",
        ],
    );
    assert_eq!(ran.out, "");
    says(
        &explain("shop/twin1", "shop/web", "80/TCP"),
        0,
        &["shop/p rule 0"],
    );
}

#[test]
fn the_node_is_let_in_whoever_claims_its_address() {
    let own = "192.168.0.1";
    says(
        &explain(own, "shop/web", "5/TCP"),
        0,
        &["the pod's own node"],
    );
    says(
        &explain("shop/liar", "shop/web", "5/TCP"),
        0,
        &["the pod's own node"],
    );
}

#[test]
fn the_other_address_family_is_told_where_it_answers_otherwise() {
    let ran = explain("shop/cart", "shop/web", "9000/TCP");
    says(
        &ran,
        0,
        &["other address family the verdict is deny", "--from fd00::2"],
    );
    says(&explain("fd00::2", "shop/web", "9000/TCP"), 1, &["DENY"]);
    let same = explain("shop/cart", "shop/web", "80/TCP");
    assert!(!same.err.contains("other address family"), "{}", same.err);
}

#[test]
fn a_pod_that_cannot_be_read_is_not_a_missing_one() {
    let ran = explain("shop/brk", "shop/web", "80/TCP");
    says(
        &ran,
        2,
        &["--from shop/brk", "cannot be read", "metadata.labels.app"],
    );
    // Its address may be any that nobody owns, so an outsider is not certainly one.
    says(
        &explain("10.9.9.9", "shop/web", "80/TCP"),
        1,
        &["peer_unknown"],
    );
}

#[test]
fn a_namespace_that_is_not_given_is_named() {
    let ran = explain("ghost/stray", "shop/web", "81/TCP");
    says(
        &ran,
        1,
        &[
            "warning: Namespace ghost",
            "peer_unknown",
            "labels of namespace ghost are not known",
        ],
    );
    // On a port that no rule names it makes no difference who that is.
    says(
        &explain("ghost/stray", "shop/web", "82/TCP"),
        1,
        &["no_rule_admits", "port 82/TCP is not"],
    );
}

#[test]
fn a_host_network_pod_comes_with_its_nodes_address_of_the_right_family() {
    says(
        &explain("shop/host", "shop/six", "80/TCP"),
        0,
        &["fd99::2 is no pod"],
    );
}

#[test]
fn a_pod_without_an_address_leaves_a_block_undecided() {
    let ran = explain("shop/new", "shop/web", "9000/TCP");
    says(&ran, 1, &["peer_unknown", "no address yet"]);
    says(
        &explain("shop/new", "shop/web", "80/TCP"),
        1,
        &["no_rule_admits", "port 80/TCP is not"],
    );
}

/// A reader that goes away, as `head` does, must not turn a denial into exit 0.
#[test]
fn a_denial_stays_one_where_nobody_reads_it() {
    for output in ["table", "json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = Command::new(env!("CARGO_BIN_EXE_podwall"))
            .args(["explain", "-f", "-", "--from", "shop/cart", "--to"])
            .args(["shop/web", "--port", "81/TCP", "-o", output])
            .stdin(Stdio::piped())
            .stdout(writer)
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(CLUSTER.as_bytes());
        assert_eq!(child.wait().unwrap().code(), Some(1), "-o {output}");
    }
}
