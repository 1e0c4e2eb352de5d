//! The law that imports go one way: who may use whom, inside `policy` and inside `proxy`.
//!
//! A room is a file `foo.rs` together with its directory `foo/`. Tests may use what they like.

use super::Finding;
use super::tree::{File, Tree};

const WHY: &str =
    "imports go one way, so that a room can be read, tested and changed without the rooms after it";

/// One crate's table: a room, and the rooms that it may use besides itself.
struct House {
    src: &'static str,
    rooms: &'static [Room],
}

type Room = (&'static str, &'static [&'static str]);

/// For rooms that may use every other one.
const ALL: &[&str] = &["*"];

/// The nouns of the law.
const LAW: &[&str] = &[
    "cidr",
    "diagnostic",
    "flow",
    "labels",
    "object",
    "peer",
    "rule_set",
    "segments",
    "selector",
    "spec",
    "verdict",
];

const POLICY: House = House {
    src: "policy/src/",
    rooms: &[
        ("lib", &[]),
        ("cidr", &[]),
        ("diagnostic", &[]),
        ("flow", &[]),
        ("labels", &[]),
        ("rule_set", &[]),
        ("segments", &[]),
        ("verdict", &[]),
        ("selector", &["labels"]),
        ("spec", &["cidr", "flow", "object", "selector"]),
        ("object", &["flow", "labels", "spec"]),
        ("peer", &["flow", "labels", "object", "rule_set"]),
        ("document", LAW),
        ("cluster", LAW),
        ("compiled", LAW),
        ("compile", COMPILED_AND_LAW),
        ("decide", COMPILED_AND_LAW),
        ("explain", DECIDE_AND_LAW),
        ("reference", DOCUMENT_AND_LAW),
        // Only in test builds.
        ("samples", ALL),
    ],
};

const COMPILED_AND_LAW: &[&str] = &[
    "compiled",
    "cidr",
    "diagnostic",
    "flow",
    "labels",
    "object",
    "peer",
    "rule_set",
    "segments",
    "selector",
    "spec",
    "verdict",
];

const DECIDE_AND_LAW: &[&str] = &[
    "decide",
    "compiled",
    "cidr",
    "diagnostic",
    "flow",
    "labels",
    "object",
    "peer",
    "rule_set",
    "segments",
    "selector",
    "spec",
    "verdict",
];

/// The plain reading shares no machinery with what it is compared with: no sets, no segments.
const DOCUMENT_AND_LAW: &[&str] = &[
    "document",
    "cidr",
    "diagnostic",
    "flow",
    "labels",
    "object",
    "peer",
    "selector",
    "spec",
    "verdict",
];

const NOUNS: &[&str] = &["access", "arrival", "farewell", "ruling", "sys"];

/// The five rooms never meet; `world` joins identify and judge, `connection` and `run` join all.
const PROXY: House = House {
    src: "proxy/src/",
    rooms: &[
        ("lib", &[]),
        ("access", &[]),
        ("arrival", &[]),
        ("ruling", &[]),
        ("farewell", &["arrival", "ruling"]),
        ("sys", &[]),
        ("config", &["access", "arrival"]),
        ("hold", &[]),
        ("kernel", &["sys"]),
        ("quota", &[]),
        ("clerk", &["account", "quota", "ruling", "world"]),
        ("intercept", NOUNS),
        ("identify", NOUNS),
        ("judge", NOUNS),
        ("answer", NOUNS),
        ("account", NOUNS),
        ("world", &["arrival", "ruling", "identify", "judge"]),
        ("live", &["world"]),
        ("connection", CONNECTION),
        ("datagram", DATAGRAM),
        ("drain", &["connection", "live"]),
        ("gate", GATE),
        ("admin", &["account", "world", "sys"]),
        ("run", ALL),
    ],
};

const GATE: &[&str] = &[
    "account",
    "arrival",
    "clerk",
    "config",
    "farewell",
    "hold",
    "intercept",
    "kernel",
    "ruling",
    "sys",
    "world",
];

const CONNECTION: &[&str] = &[
    "arrival",
    "clerk",
    "farewell",
    "ruling",
    "sys",
    "intercept",
    "answer",
    "account",
    "hold",
    "live",
    "world",
];

/// As `connection`, whose door-keeper it shares.
const DATAGRAM: &[&str] = &[
    "arrival",
    "farewell",
    "ruling",
    "intercept",
    "answer",
    "account",
    "clerk",
    "hold",
    "world",
    "connection",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for house in [&POLICY, &PROXY] {
        for file in tree
            .rust()
            .filter(|file| file.path.starts_with(house.src) && !file.is_test())
        {
            found.extend(breaches(house, file));
        }
    }
    found
}

fn breaches(house: &House, file: &File) -> Vec<Finding> {
    let below = &file.path[house.src.len()..];
    let top = !below.contains('/');
    let own = below.split('/').next().unwrap_or(below);
    let own = own.trim_end_matches(".rs");
    let finding = |line, what| Finding::at(file, line, what, WHY);
    let Some((_, allowed)) = house.rooms.iter().find(|(room, _)| *room == own) else {
        let what = format!("room `{own}` is not in the table of xtask/src/tidy/imports.rs");
        return vec![finding(1, what)];
    };
    let free = |room: &str| room == own || allowed == &ALL || allowed.contains(&room);
    let known = |room: &str| house.rooms.iter().any(|(other, _)| *other == room);
    used(file, top)
        .into_iter()
        .filter(|(_, room)| known(room) && !free(room))
        .map(|(line, room)| finding(line, format!("`{own}` may not use `{room}`")))
        .collect()
}

/// Every `crate::room` of the code, with its line; in a top-level file `super::room` is the same.
fn used(file: &File, top: bool) -> Vec<(usize, String)> {
    let mut rooms = Vec::new();
    let mut group: Option<i32> = None;
    for (number, code) in file.code() {
        let mut rest = code;
        if let Some(depth) = group.take() {
            group = group_names(rest, depth, number, &mut rooms);
            continue;
        }
        loop {
            let from_crate = rest.find("crate::").map(|at| (at, "crate::".len()));
            let from_super = if top {
                rest.find("super::").map(|at| (at, "super::".len()))
            } else {
                None
            };
            let Some((at, len)) = from_crate.or(from_super) else {
                break;
            };
            rest = &rest[at + len..];
            if let Some(inside) = rest.strip_prefix('{') {
                group = group_names(inside, 1, number, &mut rooms);
                break;
            }
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            rooms.push((number, name));
        }
    }
    rooms
}

/// The names at the outermost level of a `{...}` group; the depth that is open where it goes on
/// in the next line.
fn group_names(
    text: &str,
    mut depth: i32,
    line: usize,
    rooms: &mut Vec<(usize, String)>,
) -> Option<i32> {
    let mut name = String::new();
    let mut head = true;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => head = true,
            c if head && depth == 1 && (c.is_alphanumeric() || c == '_') => {
                name.push(c);
                continue;
            }
            _ => {}
        }
        if !name.is_empty() {
            rooms.push((line, std::mem::take(&mut name)));
            head = c == ',';
        }
        if depth == 0 {
            return None;
        }
    }
    if !name.is_empty() {
        rooms.push((line, name));
    }
    Some(depth)
}
