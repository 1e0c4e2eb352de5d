//! Readiness: what the world and the rules say, put into lines for whoever reads the probe.
//!
//! Pure; the clock is an argument.

use std::fmt::Write;
use std::time::Instant;

use crate::world::{SubjectStatus, WorldStatus};

#[cfg(test)]
mod tests;

/// What `/readyz` says.
pub(super) struct Report {
    /// Whether the answer is 200.
    pub(super) ready: bool,
    /// `ready` or `not ready`, each reason, then the state of the source; one line each.
    pub(super) text: String,
}

/// Ready means: a whole state is known, the subject too, the rules are proven, and we are not
/// stopping. A source in trouble is told but does not count: the last good state is in force.
pub(super) fn report(
    status: &WorldStatus,
    rules: &[String],
    draining: bool,
    now: Instant,
) -> Report {
    let mut reasons = Vec::new();
    if draining {
        reasons.push("stopping: no new connections are taken".to_owned());
    }
    if !status.synced {
        reasons.push("not_synced: the source has not delivered a whole state yet".to_owned());
    } else if let Some(reason) = subject(status.subject) {
        reasons.push(reason.to_owned());
    }
    reasons.extend_from_slice(rules);
    let ready = reasons.is_empty();
    let mut text = String::from(if ready { "ready\n" } else { "not ready\n" });
    for reason in reasons {
        line(&mut text, &reason);
    }
    line(&mut text, &source(status, now));
    if let Some(problem) = &status.problem {
        line(&mut text, &format!("source problem: {problem}"));
    }
    Report { ready, text }
}

fn subject(status: SubjectStatus) -> Option<&'static str> {
    match status {
        SubjectStatus::Known => None,
        SubjectStatus::Unknown => {
            Some("subject_unknown: the source has no such pod; compare --pod with what it holds")
        }
        SubjectStatus::NamespaceUnknown => {
            Some("subject_unknown: the source has the pod but not its Namespace object")
        }
        SubjectStatus::HostNetwork => {
            Some("the pod uses its node's network, which podwall cannot guard")
        }
    }
}

fn source(status: &WorldStatus, now: Instant) -> String {
    let age = match status.last_confirmed_at {
        Some(at) => format!(
            "{:.1} s ago",
            now.saturating_duration_since(at).as_secs_f64()
        ),
        None => "never".to_owned(),
    };
    format!(
        "source: last well {age}; generation {}, {} pods, {} namespaces, {} policies select this pod",
        status.generation, status.pods, status.namespaces, status.policies
    )
}

/// One reason, one line, whatever it holds.
fn line(text: &mut String, reason: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "- {}", reason.trim_end().replace('\n', " "));
}
