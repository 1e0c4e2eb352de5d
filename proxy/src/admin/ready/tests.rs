#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io;
use std::time::Duration;

use super::*;
use crate::admin::canary::CanaryFault;

fn well(now: Instant) -> WorldStatus {
    WorldStatus {
        synced: true,
        subject: SubjectStatus::Known,
        generation: 7,
        pods: 3,
        namespaces: 2,
        policies: 1,
        contested: 0,
        diagnostics: 0,
        last_change_at: Some(now),
        last_confirmed_at: Some(now),
        problem: None,
    }
}

fn silent() -> String {
    let fault = CanaryFault::Silent {
        address: "127.0.0.1:15873".parse().unwrap(),
        source: io::ErrorKind::ConnectionRefused.into(),
    };
    fault.to_string()
}

#[test]
fn ready_when_nothing_speaks_against_it() {
    let now = Instant::now();
    let report = report(&well(now), &[], false, now + Duration::from_secs(3));
    assert!(report.ready);
    assert_eq!(
        report.text,
        "ready\n- source: last well 3.0 s ago; generation 7, 3 pods, 2 namespaces, 1 policies select this pod\n"
    );
}

#[test]
fn each_reason_alone_makes_it_unready() {
    let now = Instant::now();
    let subject = |subject| WorldStatus {
        subject,
        ..well(now)
    };
    let rows = [
        (
            WorldStatus {
                synced: false,
                ..well(now)
            },
            "not_synced",
        ),
        (subject(SubjectStatus::Unknown), "subject_unknown"),
        (subject(SubjectStatus::NamespaceUnknown), "Namespace"),
        (subject(SubjectStatus::HostNetwork), "node's network"),
    ];
    for (status, word) in rows {
        let report = report(&status, &[], false, now);
        assert!(
            !report.ready && report.text.contains(word),
            "{word}: {}",
            report.text
        );
    }
    let stopping = report(&well(now), &[], true, now);
    assert!(
        !stopping.ready && stopping.text.contains("stopping"),
        "{}",
        stopping.text
    );
    let mute = report(&well(now), &[silent()], false, now);
    assert!(
        !mute.ready && mute.text.contains("canary 127.0.0.1:15873"),
        "{}",
        mute.text
    );
}

#[test]
fn every_reason_has_its_line() {
    let now = Instant::now();
    let status = WorldStatus {
        synced: false,
        last_confirmed_at: None,
        problem: Some("state/a.yaml:3: tab\n  at column 1".to_owned()),
        ..well(now)
    };
    let report = report(&status, &[silent(), silent()], true, now);
    let lines: Vec<&str> = report.text.lines().collect();
    assert_eq!(lines.len(), 7, "{}", report.text);
    assert_eq!(lines[0], "not ready");
    assert!(lines[5].contains("last well never"), "{}", report.text);
    assert!(
        lines[6].starts_with("- source problem: state/a.yaml:3"),
        "{}",
        report.text
    );
}

#[test]
fn a_source_in_trouble_is_told_and_does_not_count() {
    let now = Instant::now();
    let status = WorldStatus {
        problem: Some("state: no such directory".to_owned()),
        ..well(now)
    };
    let report = report(&status, &[], false, now);
    assert!(report.ready);
    assert!(report.text.contains("no such directory"), "{}", report.text);
}
