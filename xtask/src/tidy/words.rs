//! Laws about words: what a room may not name, what is unfinished, what waits by sleeping.

use super::Finding;
use super::tree::{File, Tree};

/// A path's beginning, a word that its code may not contain, and why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    (
        "policy/src/",
        "tokio",
        "the law answers at once; waiting is the door-keeper's work",
    ),
    (
        "policy/src/",
        "async fn",
        "the law answers at once; waiting is the door-keeper's work",
    ),
    (
        "policy/src/",
        "Instant::now",
        "time is an argument, so a test can move it",
    ),
    (
        "policy/src/",
        "SystemTime::now",
        "time is an argument, so a test can move it",
    ),
    (
        "policy/src/",
        "std::net::Tcp",
        "the law knows addresses, not sockets",
    ),
    (
        "policy/src/",
        "std::net::Udp",
        "the law knows addresses, not sockets",
    ),
    (
        "policy/src/",
        "std::env",
        "the law has no configuration; its answer depends on its arguments",
    ),
    (
        "policy/src/",
        "std::process",
        "the law has no outside world",
    ),
    (
        "policy/src/",
        "anyhow",
        "a library names its errors; anyhow is for the binary's outermost layer",
    ),
    (
        "proxy/src/",
        "anyhow",
        "a library names its errors; anyhow is for the binary's outermost layer",
    ),
    (
        "deploy/src/",
        "anyhow",
        "a library names its errors; anyhow is for the binary's outermost layer",
    ),
    (
        "lab/src/",
        "anyhow",
        "a library names its errors; anyhow is for the binary's outermost layer",
    ),
    (
        "proxy/src/judge",
        "async fn",
        "the judge does not wait; connection.rs does",
    ),
    (
        "proxy/src/answer",
        "podwall_policy::decide",
        "the question is settled by then",
    ),
    (
        "proxy/src/answer/session",
        "Instant::now",
        "time is an argument, so a test can move it",
    ),
    (
        "proxy/src/datagram",
        "podwall_policy::decide",
        "the judge is the only one who asks the law",
    ),
    (
        "proxy/src/identify",
        "podwall_policy::decide",
        "who it is and whether it may are two questions",
    ),
    (
        "proxy/src/intercept",
        "podwall_policy::decide",
        "intercepting decides nothing",
    ),
    (
        "proxy/src/connection",
        "podwall_policy::decide",
        "the judge is the only one who asks the law",
    ),
    (
        "proxy/src/judge",
        "feed::files",
        "past identify/feed nobody knows where the state comes from",
    ),
    (
        "proxy/src/world",
        "feed::files",
        "past identify/feed nobody knows where the state comes from",
    ),
    (
        "proxy/src/connection",
        "feed::files",
        "past identify/feed nobody knows where the state comes from",
    ),
];

/// Marks of unfinished work. In two parts, so that this file does not break its own law.
const UNFINISHED: [&str; 5] = [
    concat!("XX", "X"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// Ways to wait for time instead of a condition.
const SLEEPS: [&str; 2] = ["sleep(", "sleep_until("];

/// Files of tests that may sleep: each polls a condition until a deadline, or is slow on purpose.
const MAY_SLEEP: &[(&str, &str)] = &[
    (
        "proxy/tests/relay/rig.rs",
        "polls a condition until a deadline",
    ),
    (
        "proxy/tests/datagram/rig.rs",
        "polls a condition until a deadline",
    ),
    ("proxy/tests/relay/bulk.rs", "plays a slow receiver"),
    ("proxy/tests/relay/ending.rs", "plays a slow sender"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        found.extend(forbidden(file));
        found.extend(sleeping(file));
    }
    for file in &tree.files {
        found.extend(unfinished(file));
    }
    found
}

fn forbidden(file: &File) -> Vec<Finding> {
    if file.is_test() {
        return Vec::new();
    }
    let laws = FORBIDDEN
        .iter()
        .filter(|(prefix, ..)| file.path.starts_with(prefix));
    laws.flat_map(|&(_, word, why)| {
        file.code()
            .filter(move |(_, code)| code.contains(word))
            .map(move |(line, _)| {
                Finding::at(file, line, format!("`{word}` has no place here"), why)
            })
    })
    .collect()
}

fn unfinished(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(at, text)| {
            let mark = UNFINISHED.iter().find(|mark| has_word(text, mark))?;
            let why = "unfinished work is an issue that someone owns, not a mark in a file";
            Some(Finding::at(file, at + 1, format!("`{mark}`"), why))
        })
        .collect()
}

/// Whether `text` has `word` by itself, not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !part(before) && (word.ends_with('(') || !part(after))
    })
}

fn sleeping(file: &File) -> Vec<Finding> {
    let may = MAY_SLEEP.iter().any(|(path, _)| *path == file.path);
    if !file.is_test() || may {
        return Vec::new();
    }
    file.code()
        .filter(|(_, code)| SLEEPS.iter().any(|sleep| has_word(code, sleep)))
        .map(|(line, _)| {
            let why = "a test waits for a condition with a deadline, through a polling helper; time proves nothing";
            Finding::at(file, line, "a test sleeps".to_owned(), why)
        })
        .collect()
}
