//! docs/operations.md against the code: each table says what there is, no more and no less.

use std::collections::BTreeSet;

use super::*;
use crate::answer::session;
use crate::intercept::queue;
use crate::{account, admin, answer, config, connection, datagram, drain, gate, hold, run, sys};

const DOCS: &str = include_str!("../../../../docs/operations.md");

/// The rows of the one table under `## heading`, each cell trimmed, without the table's head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let start = DOCS
        .find(&format!("\n## {heading}\n"))
        .expect("the heading is there")
        + 1;
    let section = &DOCS[start..];
    let section = section[3..].split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The first column of a table, without its back-ticks.
fn names(heading: &str) -> BTreeSet<&'static str> {
    let rows = table(heading);
    let names: BTreeSet<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(names.len(), rows.len(), "a name is there twice");
    names
}

/// A metric's name as a query spells it.
fn sample(name: &str, kind: &str) -> String {
    match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    }
}

#[test]
fn every_metric_is_documented_with_its_type() {
    let (account, _paper) = account();
    // A family without a series is not rendered.
    account.farewell(&denied());
    account.revoked(&revocation());
    account.datagram_dropped(Dropped::Held);
    account.client_error("too_big");
    account.unreadable("tcp_short");
    let text = account.render(&reading());
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let rendered: BTreeSet<(String, String)> = types
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, kind)| (sample(name, kind), kind.to_owned()))
        .collect();
    let rows = table("Metrics");
    let documented: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].to_owned()))
        .collect();
    assert_eq!(rendered, documented);
}

#[test]
fn every_label_is_documented() {
    let (account, _paper) = account();
    account.farewell(&denied());
    account.revoked(&revocation());
    account.datagram_dropped(Dropped::Held);
    account.client_error("too_big");
    account.unreadable("tcp_short");
    let text = account.render(&reading());
    for row in table("Metrics") {
        let name = row[0].trim_matches('`');
        let series = text.lines().find(|line| {
            line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name}_bucket{{"))
        });
        let inside = series.map_or("", |line| line.split(['{', '}']).nth(1).unwrap());
        for label in inside.split(',').filter_map(|pair| pair.split_once('=')) {
            assert!(
                row[2].contains(&format!("`{}`", label.0)),
                "{name} has {label:?}"
            );
        }
        assert_eq!(
            inside.is_empty(),
            row[2].is_empty(),
            "{name}: {inside} | {}",
            row[2]
        );
    }
}

#[test]
fn every_reason_is_documented_with_its_verdict() {
    assert_eq!(names("Reasons"), BTreeSet::from(Decision::REASONS));
    let allow = ["not_isolated", "rule", "node", "own"];
    for row in table("Reasons") {
        let reason = row[0].trim_matches('`');
        let verdict = if allow.contains(&reason) {
            "allow"
        } else {
            "deny"
        };
        assert_eq!(row[1], verdict, "{reason}");
    }
}

#[test]
fn every_end_is_documented() {
    let ends = [
        End::Denied,
        End::Closed,
        End::ClientGone,
        End::AppRefused,
        End::AppGone,
        End::NoLocalPort,
        End::Revoked,
        End::HalfCloseTimeout,
        End::Stopped,
        End::Idle,
        End::Evicted,
        End::Forgotten,
        End::LeftOpen,
        End::NotFollowed,
    ];
    // A new end breaks this match first.
    for end in ends {
        match end {
            End::Denied | End::Closed | End::ClientGone | End::AppRefused | End::AppGone => {}
            End::NoLocalPort | End::Revoked | End::HalfCloseTimeout | End::Stopped => {}
            End::Idle | End::Evicted | End::Forgotten => {}
            End::LeftOpen | End::NotFollowed => {}
        }
    }
    assert_eq!(names("Ends"), ends.map(End::label).into());
}

#[test]
fn every_clause_is_documented_nearest_first() {
    let clauses = [
        Clause::Port,
        Clause::NamedPort,
        Clause::Except,
        Clause::PeerUnknown,
        Clause::NamespaceUnknown,
        Clause::AddressUnknown,
        Clause::PodLabels,
        Clause::NamespaceLabels,
        Clause::OtherNamespace,
        Clause::IpBlock,
        Clause::NotAPod,
        Clause::Unreadable,
        Clause::NoRules,
    ];
    assert!(clauses.is_sorted());
    // A new clause breaks this match first.
    for clause in clauses {
        match clause {
            Clause::Port | Clause::NamedPort | Clause::Except | Clause::PeerUnknown => {}
            Clause::NamespaceUnknown | Clause::AddressUnknown | Clause::PodLabels => {}
            Clause::NamespaceLabels | Clause::OtherNamespace | Clause::IpBlock => {}
            Clause::NotAPod | Clause::Unreadable | Clause::NoRules => {}
        }
    }
    let rows = table("Clauses");
    let documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(documented, clauses.map(Clause::label));
}

#[test]
fn every_field_of_a_line_is_documented_in_its_order() {
    let (account, paper) = account();
    account.farewell(&denied());
    let line: Value = serde_json::from_str(&written(&account, &paper)[0]).unwrap();
    let fields: Vec<&String> = line.as_object().unwrap().keys().collect();
    let rows = table("Access log");
    let documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(fields, documented);
    let types = rows.iter().zip(line.as_object().unwrap().values());
    for (row, value) in types {
        let kind = match value {
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Object(_) => "object",
            _ => "null",
        };
        assert!(
            row[1].contains(kind),
            "{} is {kind}, documented: {}",
            row[0],
            row[1]
        );
    }
}

#[test]
fn every_bound_is_documented_as_it_is() {
    let time = |time: Duration| humantime::format_duration(time).to_string();
    let bounds = [
        ("HOLD_TIME", time(hold::HOLD_TIME)),
        ("HOLD_PLACES", hold::HOLD_PLACES.to_string()),
        (
            "HOLD_PLACES_PER_SOURCE",
            hold::HOLD_PLACES_PER_SOURCE.to_string(),
        ),
        ("HALF_CLOSE_TIMEOUT", time(config::HALF_CLOSE_TIMEOUT)),
        ("DRAIN_TIMEOUT", time(config::DRAIN_TIMEOUT)),
        ("MAX_TIMEOUT", time(config::MAX_TIMEOUT)),
        ("MAX_CONNECTIONS", config::MAX_CONNECTIONS.to_string()),
        ("MAX_WORKER_THREADS", config::MAX_WORKER_THREADS.to_string()),
        ("DEAD_PEER", time(connection::DEAD_PEER)),
        ("KEEPALIVE_IDLE", time(sys::KEEPALIVE_IDLE)),
        ("KEEPALIVE_INTERVAL", time(sys::KEEPALIVE_INTERVAL)),
        ("SESSIONS", session::SESSIONS.to_string()),
        (
            "SESSIONS_PER_SOURCE",
            session::SESSIONS_PER_SOURCE.to_string(),
        ),
        ("ONE_WAY_IDLE", time(session::ONE_WAY_IDLE)),
        ("STREAM_IDLE", time(session::STREAM_IDLE)),
        ("IDLE_MARGIN", time(datagram::IDLE_MARGIN)),
        ("STREAM_AFTER", time(session::STREAM_AFTER)),
        ("DENIALS", session::DENIALS.to_string()),
        (
            "DENIALS_PER_SOURCE",
            session::DENIALS_PER_SOURCE.to_string(),
        ),
        ("DENIAL_MEMORY", time(session::DENIAL_MEMORY)),
        ("HELD_DATAGRAMS", datagram::HELD_DATAGRAMS.to_string()),
        ("HELD_BYTES", datagram::HELD_BYTES.to_string()),
        ("DRAIN_IDLE", time(datagram::DRAIN_IDLE)),
        ("SPARE_DESCRIPTORS", sys::SPARE_DESCRIPTORS.to_string()),
        ("MAX_PIPES", answer::pipe::MAX_PIPES.to_string()),
        ("MAX_QUEUES", config::MAX_QUEUES.to_string()),
        ("QUEUE_LENGTH", queue::QUEUE_LENGTH.to_string()),
        ("FOLLOWED_FLOWS", run::queue::FOLLOWED_FLOWS.to_string()),
        ("repeats::QUIET", time(gate::repeats::QUIET)),
        ("repeats::MOST", gate::repeats::MOST.to_string()),
        ("cuts::PATIENCE", time(gate::cuts::PATIENCE)),
        ("COMPARE_EVERY", time(gate::ends::COMPARE_EVERY)),
        ("admin::rules::WHILE_GOOD", time(admin::rules::WHILE_GOOD)),
        ("admin::rules::WHILE_BAD", time(admin::rules::WHILE_BAD)),
        ("LAST_WAIT", time(drain::LAST_WAIT)),
        ("FLUSH_PATIENCE", time(run::FLUSH_PATIENCE)),
        ("LOG_QUEUE", account::LOG_QUEUE.to_string()),
        ("admin::MAX_CONNECTIONS", admin::MAX_CONNECTIONS.to_string()),
        ("admin::MAX_RELAYED", admin::MAX_RELAYED.to_string()),
        ("admin::HEAD_TIMEOUT", time(admin::HEAD_TIMEOUT)),
        ("admin::CONNECTION_TIMEOUT", time(admin::CONNECTION_TIMEOUT)),
        ("admin::MAX_HEAD", admin::MAX_HEAD.to_string()),
        ("admin::MAX_HEADERS", admin::MAX_HEADERS.to_string()),
    ];
    let rows = table("Bounds");
    let documented: Vec<(&str, String)> = rows
        .iter()
        .map(|row| (row[0].trim_matches('`'), row[1].to_owned()))
        .collect();
    assert_eq!(bounds.to_vec(), documented);
}
