//! One access-log line: the schema, version 1.
//!
//! Every key is in every line, `null` where it does not apply, so that a reader needs no cases.
//! Fields are only ever added within a version. Documented in docs/operations.md.

use std::time::{Duration, SystemTime};

use podwall_policy::explain::Miss;
use podwall_policy::flow::Protocol;
use podwall_policy::object::ObjectName;
use serde::Serialize;

use super::Revocation;
use crate::arrival::{Mode, OriginalDst, SourceAddr};
use crate::farewell::Farewell;
use crate::ruling::Ruling;

/// The schema's version, the `v` of each line.
const VERSION: u8 = 1;

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    time: String,
    kind: &'static str,
    mode: &'static str,
    source: String,
    source_port: u16,
    peer: Option<String>,
    destination: Option<String>,
    destination_port: Option<u16>,
    protocol: &'static str,
    verdict: &'static str,
    reason: &'static str,
    policy: Option<String>,
    rule: Option<u32>,
    nearest_miss: Option<NearestMiss<'a>>,
    bytes_in: Option<u64>,
    bytes_out: Option<u64>,
    duration_ms: u64,
    held_ms: Option<u64>,
    end: Option<&'static str>,
}

#[derive(Serialize)]
struct NearestMiss<'a> {
    policy: String,
    rule: Option<u32>,
    clause: &'static str,
    detail: &'a str,
}

impl<'a> From<&'a Miss> for NearestMiss<'a> {
    fn from(miss: &'a Miss) -> Self {
        Self {
            policy: miss.policy.to_string(),
            rule: miss.rule,
            clause: miss.clause.label(),
            detail: &miss.detail,
        }
    }
}

/// What the two kinds of line have in common.
struct Common<'a> {
    time: SystemTime,
    mode: Mode,
    source: SourceAddr,
    destination: Option<OriginalDst>,
    protocol: Protocol,
    ruling: &'a Ruling,
    nearest_miss: Option<&'a Miss>,
    duration: Duration,
}

fn line<'a>(kind: &'static str, common: &Common<'a>) -> Line<'a> {
    let decision = common.ruling.decision;
    let admitted_by = common.ruling.admitted_by.as_ref();
    Line {
        v: VERSION,
        time: humantime::format_rfc3339_millis(common.time).to_string(),
        kind,
        mode: common.mode.label(),
        source: common.source.ip().to_string(),
        source_port: common.source.port(),
        peer: common.ruling.peer.as_ref().map(ObjectName::to_string),
        destination: common.destination.map(|to| to.ip().to_string()),
        destination_port: common.destination.map(OriginalDst::port),
        protocol: common.protocol.label(),
        verdict: decision.label(),
        reason: decision.reason(),
        policy: admitted_by.map(|(policy, _)| policy.to_string()),
        rule: admitted_by.map(|(_, rule)| *rule),
        nearest_miss: common.nearest_miss.map(NearestMiss::from),
        bytes_in: None,
        bytes_out: None,
        duration_ms: millis(common.duration),
        held_ms: None,
        end: None,
    }
}

/// The line of one arrival at its end, newline included.
pub(super) fn connection(farewell: &Farewell) -> String {
    render(&Line {
        bytes_in: farewell.bytes_in,
        bytes_out: farewell.bytes_out,
        held_ms: Some(millis(farewell.held)),
        end: Some(farewell.end.label()),
        ..line(
            "connection",
            &Common {
                time: farewell.time,
                mode: farewell.mode,
                source: farewell.source,
                destination: farewell.destination,
                protocol: farewell.protocol,
                ruling: &farewell.ruling,
                nearest_miss: farewell.nearest_miss.as_ref(),
                duration: farewell.duration,
            },
        )
    })
}

/// The line of one revocation, newline included.
pub(super) fn revocation(mode: Mode, revocation: &Revocation) -> String {
    render(&line(
        "revocation",
        &Common {
            time: revocation.time,
            mode,
            source: revocation.source,
            destination: Some(revocation.destination),
            protocol: revocation.protocol,
            ruling: &revocation.ruling,
            nearest_miss: revocation.nearest_miss.as_ref(),
            duration: revocation.open_for,
        },
    ))
}

/// Strings and numbers always have a JSON form; an empty line would stand for "none".
fn render(line: &Line<'_>) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
