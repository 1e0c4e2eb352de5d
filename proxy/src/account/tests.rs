#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::UNIX_EPOCH;

use expect_test::expect;
use podwall_policy::explain::Clause;
use podwall_policy::object::ObjectName;
use podwall_policy::selector::Picks;
use podwall_policy::verdict::{AllowReason, DenyReason};
use serde_json::Value;

use super::*;
use crate::ruling::{Decision, Refusal};

mod documented;

const PATIENCE: Duration = Duration::from_secs(10);

/// A log that can be read while the account writes it; remembers where each write ended.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<Vec<u8>>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn writes(&self) -> Vec<String> {
        let writes = self.0.lock().unwrap();
        writes
            .iter()
            .map(|one| String::from_utf8(one.clone()).unwrap())
            .collect()
    }
}

fn account() -> (Arc<Account>, Paper) {
    let paper = Paper::default();
    (Account::new(paper.clone(), Mode::Redirect).unwrap(), paper)
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn admitted() -> Farewell {
    Farewell {
        time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_042),
        mode: Mode::Redirect,
        source: socket("[::ffff:10.0.0.7]:40000").into(),
        destination: Some(socket("10.0.0.9:80").into()),
        protocol: Protocol::Tcp,
        ruling: Ruling {
            decision: Decision::Allow(AllowReason::NotIsolated),
            admitted_by: Some((ObjectName::new("shop", "allow-cart"), 1)),
            peer: Some(ObjectName::new("shop", "cart")),
            generation: 3,
        },
        nearest_miss: None,
        bytes_in: Some(70),
        bytes_out: Some(615),
        duration: Duration::from_micros(12_900),
        held: Duration::from_millis(3),
        end: End::Closed,
    }
}

fn miss() -> Miss {
    Miss {
        policy: ObjectName::new("shop", "allow-cart"),
        rule: Some(0),
        clause: Clause::Port,
        peer: Picks::Yes,
        detail: "81 is not \"80\"\n".to_owned(),
    }
}

fn denied() -> Farewell {
    Farewell {
        destination: Some(socket("[fd00::9]:81").into()),
        source: socket("[fd00::7]:40001").into(),
        ruling: Ruling {
            decision: Decision::Deny(DenyReason::NoRuleAdmits),
            admitted_by: None,
            peer: Some(ObjectName::new("shop", "rogue")),
            generation: 3,
        },
        nearest_miss: Some(miss()),
        bytes_in: Some(0),
        bytes_out: Some(0),
        end: End::Denied,
        ..admitted()
    }
}

fn revocation() -> Revocation {
    Revocation {
        time: UNIX_EPOCH,
        source: socket("10.0.0.7:40000").into(),
        destination: socket("10.0.0.9:80").into(),
        protocol: Protocol::Tcp,
        ruling: denied().ruling,
        nearest_miss: Some(miss()),
        open_for: Duration::from_secs(61),
    }
}

fn reading() -> SourceReading {
    SourceReading {
        synced: true,
        subject_known: true,
        age: Some(Duration::from_millis(1500)),
        problem: true,
        generation: 5,
        pods: 4,
        namespaces: 2,
        policies: 1,
        contested: 3,
        findings: 6,
    }
}

/// What was written once all of it is.
fn written(account: &Account, paper: &Paper) -> Vec<String> {
    assert!(account.flush(PATIENCE), "the writer hangs");
    paper.writes()
}

#[test]
fn a_farewell_is_one_line_with_every_field() {
    let (account, paper) = account();
    account.farewell(&admitted());
    expect![[r#"
        {"v":1,"time":"2023-11-14T22:13:20.042Z","kind":"connection","mode":"redirect","source":"10.0.0.7","source_port":40000,"peer":"shop/cart","destination":"10.0.0.9","destination_port":80,"protocol":"TCP","verdict":"allow","reason":"not_isolated","policy":"shop/allow-cart","rule":1,"nearest_miss":null,"bytes_in":70,"bytes_out":615,"duration_ms":12,"held_ms":3,"end":"closed"}
    "#]]
    .assert_eq(&written(&account, &paper).concat());
}

#[test]
fn p32_a_denial_names_its_nearest_miss() {
    let (account, paper) = account();
    account.farewell(&denied());
    expect![[r#"
        {"v":1,"time":"2023-11-14T22:13:20.042Z","kind":"connection","mode":"redirect","source":"fd00::7","source_port":40001,"peer":"shop/rogue","destination":"fd00::9","destination_port":81,"protocol":"TCP","verdict":"deny","reason":"no_rule_admits","policy":null,"rule":null,"nearest_miss":{"policy":"shop/allow-cart","rule":0,"clause":"port","detail":"81 is not \"80\"\n"},"bytes_in":0,"bytes_out":0,"duration_ms":12,"held_ms":3,"end":"denied"}
    "#]]
    .assert_eq(&written(&account, &paper).concat());
}

#[test]
fn p28_a_revocation_has_its_own_line() {
    let (account, paper) = account();
    account.revoked(&revocation());
    expect![[r#"
        {"v":1,"time":"1970-01-01T00:00:00.000Z","kind":"revocation","mode":"redirect","source":"10.0.0.7","source_port":40000,"peer":"shop/rogue","destination":"10.0.0.9","destination_port":80,"protocol":"TCP","verdict":"deny","reason":"no_rule_admits","policy":null,"rule":null,"nearest_miss":{"policy":"shop/allow-cart","rule":0,"clause":"port","detail":"81 is not \"80\"\n"},"bytes_in":null,"bytes_out":null,"duration_ms":61000,"held_ms":null,"end":null}
    "#]]
    .assert_eq(&written(&account, &paper).concat());
}

#[test]
fn what_is_not_known_is_null() {
    let (account, paper) = account();
    account.farewell(&Farewell {
        destination: None,
        ruling: Refusal::NotRedirected.into(),
        ..denied()
    });
    let line: Value = serde_json::from_str(&written(&account, &paper)[0]).unwrap();
    for field in ["peer", "destination", "destination_port", "policy", "rule"] {
        assert!(line[field].is_null(), "{field}: {line}");
    }
    assert_eq!(line["reason"], "not_redirected");
}

#[test]
fn a_write_holds_whole_lines() {
    let (account, paper) = account();
    for _ in 0..100 {
        account.farewell(&denied());
        account.revoked(&revocation());
    }
    let writes = written(&account, &paper);
    assert!(
        writes.iter().all(|write| write.ends_with("}\n")),
        "{writes:?}"
    );
    let lines = writes.concat();
    assert_eq!(lines.lines().count(), 200);
    assert!(
        lines
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
}

/// Blocks in its first write until the sender is dropped.
struct Blocked(Receiver<()>);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn metric(account: &Account, series: &str) -> f64 {
    let text = account.render(&reading());
    let line = text
        .lines()
        .find(|line| line.split(' ').next() == Some(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_blocked_reader_costs_lines_and_no_time() {
    let (release, blocked) = channel();
    let account = Account::new(Blocked(blocked), Mode::Redirect).unwrap();
    // One write's lines are in the writer's hand, LOG_QUEUE wait, the rest is lost; and nobody waited.
    for _ in 0..LOG_QUEUE + 1000 {
        account.farewell(&denied());
    }
    let dropped = metric(&account, "podwall_log_lines_dropped_total");
    assert!((500.0..=1000.0).contains(&dropped), "{dropped}");
    assert!(
        !account.flush(Duration::from_millis(20)),
        "it cannot have written"
    );
    drop(release);
    assert!(account.flush(PATIENCE));
}

#[test]
fn a_reader_that_is_gone_is_counted_too() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let account = Account::new(Gone, Mode::Redirect).unwrap();
    account.farewell(&admitted());
    assert!(account.flush(PATIENCE));
    assert_eq!(metric(&account, "podwall_log_lines_dropped_total"), 1.0);
}

#[test]
fn arrivals_are_counted_by_verdict_and_reason() {
    let (account, _paper) = account();
    account.farewell(&admitted());
    account.farewell(&denied());
    account.farewell(&denied());
    account.revoked(&revocation());
    let series = |verdict: &str, reason: &str| {
        format!(
            "podwall_arrivals_total{{mode=\"redirect\",protocol=\"TCP\",verdict=\"{verdict}\",reason=\"{reason}\"}}"
        )
    };
    assert_eq!(metric(&account, &series("allow", "not_isolated")), 1.0);
    assert_eq!(metric(&account, &series("deny", "no_rule_admits")), 2.0);
    assert_eq!(
        metric(&account, "podwall_revoked_total{reason=\"no_rule_admits\"}"),
        1.0
    );
}

#[test]
fn p15_a_missing_local_port_is_counted() {
    let (account, _paper) = account();
    account.farewell(&Farewell {
        end: End::NoLocalPort,
        ..admitted()
    });
    assert_eq!(metric(&account, "podwall_no_local_port_total"), 1.0);
}

#[test]
fn gauges_follow_their_guards() {
    let (account, _paper) = account();
    let guards = (
        account.live(),
        account.live(),
        account.held(),
        account.half_closed(),
    );
    assert_eq!(metric(&account, "podwall_connections_live"), 2.0);
    assert_eq!(metric(&account, "podwall_held"), 1.0);
    assert_eq!(metric(&account, "podwall_connections_half_closed"), 1.0);
    drop(guards);
    for gauge in [
        "podwall_connections_live",
        "podwall_held",
        "podwall_connections_half_closed",
    ] {
        assert_eq!(metric(&account, gauge), 0.0, "{gauge}");
    }
}

#[test]
fn bytes_decisions_and_accepts_are_counted() {
    let (account, _paper) = account();
    account.carried(10, 200);
    account.carried(1, 2);
    account.decided(Duration::from_nanos(300));
    account.accept_failed();
    assert_eq!(
        metric(&account, "podwall_bytes_total{direction=\"in\"}"),
        11.0
    );
    assert_eq!(
        metric(&account, "podwall_bytes_total{direction=\"out\"}"),
        202.0
    );
    assert_eq!(metric(&account, "podwall_decision_seconds_count"), 1.0);
    assert_eq!(
        metric(&account, "podwall_decision_seconds_bucket{le=\"5e-7\"}"),
        1.0
    );
    assert_eq!(metric(&account, "podwall_accept_errors_total"), 1.0);
}

#[test]
fn the_source_is_told_as_it_stands() {
    let (account, _paper) = account();
    let rows = [
        ("source_age_seconds", 1.5),
        ("source_problem", 1.0),
        ("synced", 1.0),
        ("subject_known", 1.0),
        ("generation", 5.0),
        ("known_pods", 4.0),
        ("known_namespaces", 2.0),
        ("policies", 1.0),
        ("contested_addresses", 3.0),
        ("findings", 6.0),
    ];
    for (name, value) in rows {
        assert_eq!(
            metric(&account, &format!("podwall_{name}")),
            value,
            "{name}"
        );
    }
}

#[test]
fn a_source_that_never_came_ages_from_the_start() {
    let (account, _paper) = account();
    let never = SourceReading {
        age: None,
        ..reading()
    };
    let text = account.render(&never);
    let age = text
        .lines()
        .find_map(|line| line.strip_prefix("podwall_source_age_seconds "));
    let age: f64 = age.unwrap().parse().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[test]
fn p31_no_series_has_more_than_six_labels() {
    let (account, _paper) = account();
    account.farewell(&denied());
    account.revoked(&revocation());
    let text = account.render(&reading());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let labels = line.matches("=\"").count();
        assert!(labels <= MAX_LABELS, "{line}");
    }
}
