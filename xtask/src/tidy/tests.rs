#![allow(clippy::unwrap_used)]

use super::*;

/// A made-up checkout, and what tidy says of it: `path:line` and the beginning of each finding.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add(path, (*text).to_owned());
    }
    check(&tree)
        .iter()
        .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.what))
        .collect()
}

fn rust(path: &str, code: &str) -> Vec<String> {
    found(&[(path, &format!("//! Header.\n{code}\n"))])
}

/// `rust` with one line of code finds exactly this in line 2.
fn bites(path: &str, code: &str, what: &str) {
    assert_eq!(
        rust(path, code),
        [format!("{path}:2: {what}")],
        "{path}: {code}"
    );
}

#[track_caller]
fn holds(path: &str, code: &str) {
    assert_eq!(rust(path, code), Vec::<String>::new(), "{path}: {code}");
}

#[test]
fn a_file_has_at_most_400_lines() {
    let lines = |n: usize| format!("//! Header.\n{}", "// line\n".repeat(n - 1));
    assert_eq!(
        found(&[("lab/src/a.rs", &lines(400))]),
        Vec::<String>::new()
    );
    assert_eq!(
        found(&[("lab/src/a.rs", &lines(401))]),
        ["lab/src/a.rs:401: 401 lines, at most 400 are allowed"]
    );
}

#[test]
fn a_source_file_begins_with_its_header() {
    let none = "no `//!` header at the top";
    assert_eq!(
        found(&[("src/main.rs", "fn main() {}\n")]),
        [format!("src/main.rs:1: {none}")]
    );
    assert_eq!(
        found(&[("lab/src/a.rs", "// plain\n")]),
        [format!("lab/src/a.rs:1: {none}")]
    );
    assert_eq!(
        found(&[("lab/src/a.rs", "\n//! Header.\n")]),
        Vec::<String>::new()
    );
    assert_eq!(
        found(&[("lab/src/a/tests.rs", "use super::*;\n")]),
        Vec::<String>::new()
    );
}

#[test]
fn tests_are_in_a_sibling_file() {
    bites(
        "lab/src/a.rs",
        "mod tests {",
        "tests inside the file that they test",
    );
    holds("lab/src/a.rs", "mod tests;");
}

#[test]
fn the_law_imports_one_way() {
    bites(
        "policy/src/verdict.rs",
        "use crate::decide::decide;",
        "`verdict` may not use `decide`",
    );
    bites(
        "policy/src/decide/walk.rs",
        "use crate::explain;",
        "`decide` may not use `explain`",
    );
    bites(
        "policy/src/cidr.rs",
        "use super::flow::Flow;",
        "`cidr` may not use `flow`",
    );
    bites(
        "policy/src/reference.rs",
        "fn a() { crate::compiled::b() }",
        "`reference` may not use `compiled`",
    );
    bites(
        "policy/src/decide.rs",
        "use crate::{compiled::Table, document};",
        "`decide` may not use `document`",
    );
    holds(
        "policy/src/decide.rs",
        "use crate::{compiled::{Table, explain}, flow::Flow};",
    );
    holds(
        "policy/src/verdict.rs",
        "/// See [`decide`](crate::decide).",
    );
    holds("policy/src/explain.rs", "use crate::decide::decide;");
}

#[test]
fn a_group_over_several_lines_is_read_to_its_end() {
    let code = "use crate::{\n    compiled::{\n        Table,\n    },\n    document,\n};";
    assert_eq!(
        rust("policy/src/decide.rs", code),
        ["policy/src/decide.rs:6: `decide` may not use `document`"]
    );
}

#[test]
fn the_doorkeepers_rooms_never_meet() {
    bites(
        "proxy/src/answer/relay.rs",
        "use crate::identify::Index;",
        "`answer` may not use `identify`",
    );
    bites(
        "proxy/src/account.rs",
        "use crate::world::World;",
        "`account` may not use `world`",
    );
    bites(
        "proxy/src/judge.rs",
        "use crate::connection::Story;",
        "`judge` may not use `connection`",
    );
    holds("proxy/src/answer.rs", "use crate::farewell::End;");
    holds(
        "proxy/src/run.rs",
        "use crate::{account::Account, connection, world::World};",
    );
    holds("proxy/src/answer/tests.rs", "use crate::account::Account;");
}

#[test]
fn a_new_room_takes_its_place_in_the_table() {
    assert_eq!(
        rust("policy/src/attic.rs", "use crate::decide;"),
        ["policy/src/attic.rs:1: room `attic` is not in the table of xtask/src/tidy/imports.rs"]
    );
}

#[test]
fn a_room_has_words_that_it_may_not_say() {
    let no = |word: &str| format!("`{word}` has no place here");
    bites(
        "policy/src/flow.rs",
        "let t = Instant::now();",
        &no("Instant::now"),
    );
    bites(
        "policy/src/flow.rs",
        "use std::net::TcpStream;",
        &no("std::net::Tcp"),
    );
    bites("policy/src/flow.rs", "use tokio::net;", &no("tokio"));
    bites("proxy/src/run.rs", "use anyhow::Result;", &no("anyhow"));
    bites(
        "proxy/src/answer.rs",
        "podwall_policy::decide::decide();",
        &no("podwall_policy::decide"),
    );
    holds("policy/src/flow.rs", "// tokio is elsewhere");
    holds("proxy/src/run.rs", "let t = Instant::now();");
}

#[test]
fn unfinished_work_is_no_mark_in_a_file() {
    for mark in [
        concat!("XX", "X"),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
    ] {
        bites(
            "lab/src/a.rs",
            &format!("// {mark}: later"),
            &format!("`{mark}`"),
        );
        assert_eq!(found(&[("a.md", mark)]), [format!("a.md:1: `{mark}`")]);
    }
    let mark = concat!("todo", "!(");
    bites("lab/src/a.rs", &format!("{mark})"), &format!("`{mark}`"));
    holds("lab/src/a.rs", concat!("let SIZE_XX", "XL = 1;"));
}

/// In two parts, so that this file does not break the law that it tests.
const NAP: &str = concat!("sle", "ep");

#[test]
fn a_test_does_not_sleep() {
    let sleeps = "a test sleeps";
    let nap = format!("thread::{NAP}(SECOND);");
    bites("lab/tests/pods.rs", &nap, sleeps);
    bites(
        "proxy/src/hold/tests.rs",
        &format!("tokio::time::{NAP}(x).await;"),
        sleeps,
    );
    bites("tests/demo.rs", &format!("{NAP}_until(x).await;"), sleeps);
    holds("lab/src/wait.rs", &nap);
    holds("proxy/tests/relay/rig.rs", &nap);
    holds("lab/tests/pods.rs", &format!("does_not_{NAP}();"));
}

#[test]
fn a_link_leads_somewhere() {
    let dead = |target: &str| format!("docs/a.md:1: link to `{target}`, which is not there");
    let with = |text: &str| found(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", "")]);
    for good in [
        "[b](b.md)",
        "[b](./b.md#part)",
        "[up](../README.md) [dir](../docs)",
        "[out](https://example.org/x) [here](#part)",
        "<img src=\"b.md\">",
    ] {
        assert_eq!(with(good), Vec::<String>::new(), "{good}");
    }
    assert_eq!(with("[c](c.md)"), [dead("c.md")]);
    assert_eq!(
        with("[b](b.md) and [c](../c.md \"title\")"),
        [dead("../c.md")]
    );
    assert_eq!(with("<img src=\"flow.svg\">"), [dead("flow.svg")]);
    assert_eq!(with("[out of the house](../../x)"), [dead("../../x")]);
    assert_eq!(with("```\n[c](c.md)\n```"), Vec::<String>::new());
}

#[test]
fn a_dependency_has_its_reason() {
    let manifest = "[workspace.dependencies]\nours = { path = \"ours\" }\nserde = \"1\"\n";
    let with =
        |reasons: &str| found(&[("Cargo.toml", manifest), ("docs/dependencies.md", reasons)]);
    assert_eq!(with("| `serde` | reading |"), Vec::<String>::new());
    assert_eq!(
        with("| `serde_json` | writing |"),
        ["Cargo.toml:3: dependency `serde` has no line in docs/dependencies.md"]
    );
}

#[test]
fn a_members_dependencies_come_from_the_workspace() {
    let with = |line: &str| found(&[("lab/Cargo.toml", &format!("[dependencies]\n{line}\n"))]);
    assert_eq!(with("serde.workspace = true"), Vec::<String>::new());
    assert_eq!(
        with("lab = { workspace = true, optional = true }"),
        Vec::<String>::new()
    );
    assert_eq!(
        with("serde = \"1\""),
        ["lab/Cargo.toml:2: dependency `serde` is not taken from the workspace"]
    );
}

#[test]
fn a_finding_prints_its_place_and_reason() {
    let mut tree = Tree::default();
    tree.add("lab/src/a.rs", "fn a() {}\n".to_owned());
    let printed = check(&tree)[0].to_string();
    assert!(
        printed.starts_with("lab/src/a.rs:1: no `//!` header"),
        "{printed}"
    );
    assert!(printed.contains("deliberately absent"), "{printed}");
}

#[test]
fn a_checkout_is_read_without_its_build_output() {
    let root = std::env::temp_dir().join(format!("podwall-tidy-{}", std::process::id()));
    for dir in ["target/debug", "lab/src", ".git"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    for file in [
        "target/debug/a.rs",
        ".git/b.rs",
        "lab/src/c.rs",
        "lab/picture.svg",
    ] {
        std::fs::write(root.join(file), "x").unwrap();
    }
    let tree = Tree::read(&root).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
    let read: Vec<_> = tree.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(read, ["lab/src/c.rs"]);
    assert!(tree.paths.contains("lab/picture.svg"));
}
