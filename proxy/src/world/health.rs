//! How the world stands: the source's health and what is odd in what it told.
//!
//! The clocks are arguments. Deliberately absent: any effect on a ruling, and the log itself: what
//! is to be said waits in [`Health::unsaid`] until no lock is held.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_seconds;

use podwall_policy::diagnostic::{Diagnostic, Severity};

use crate::identify::index::Index;

/// Of how many contested addresses the findings tell; the status counts all of them.
const CONTESTS_TOLD: usize = 16;

#[cfg(test)]
mod tests;

/// How often the age of the state in force is said while the source is in trouble.
///
/// 60 s: often enough to see in the log that it lasts, a few lines in an outage of minutes.
pub const REMINDER: Duration = Duration::from_secs(60);

/// What is known of the subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SubjectStatus {
    /// Its Pod and its Namespace have been seen: it is judged.
    Known,
    /// Its Pod has not been seen alive, or cannot be read.
    Unknown,
    /// Its Pod has been seen, the Namespace it is in has not, or cannot be read.
    NamespaceUnknown,
    /// It uses its node's network: podwall cannot guard it (S66).
    HostNetwork,
}

/// How the world stands at one moment.
#[derive(Clone, Debug)]
pub struct WorldStatus {
    /// The source has delivered a whole state.
    pub synced: bool,
    /// What is known of the subject.
    pub subject: SubjectStatus,
    /// Grows with every change that could alter a verdict.
    pub generation: u64,
    /// Live pods known.
    pub pods: usize,
    /// Namespaces known.
    pub namespaces: usize,
    /// Policies that select the subject.
    pub policies: usize,
    /// Addresses that several live pods claim, so that they belong to nobody (S72).
    pub contested: usize,
    /// Findings about documents and policies.
    pub diagnostics: usize,
    /// When a change last could alter a verdict.
    pub last_change_at: Option<Instant>,
    /// When the source was last seen to be well.
    pub last_confirmed_at: Option<Instant>,
    /// Why the newest input was not taken; the last good state is in force.
    pub problem: Option<String>,
}

/// The source's health, and the findings.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) last_change_at: Option<Instant>,
    /// What is in force was whole and true at that moment.
    pub(super) last_confirmed_at: Option<Instant>,
    trouble: Option<Trouble>,
    documents: Vec<Diagnostic>,
    policies: Vec<Diagnostic>,
    unsaid: Vec<Saying>,
}

/// The source does not tell what can be taken.
#[derive(Debug)]
struct Trouble {
    problem: String,
    since: Instant,
    /// When it was last said.
    said: Instant,
}

/// A line for the log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub(super) struct Saying {
    level: Level,
    text: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Level {
    Error,
    Warning,
    Info,
}

impl Saying {
    /// Puts it into the log.
    pub(super) fn say(&self) {
        let text = &self.text;
        match self.level {
            Level::Error => tracing::error!("{text}"),
            Level::Warning => tracing::warn!("{text}"),
            Level::Info => tracing::info!("{text}"),
        }
    }
}

impl Health {
    /// The source is well, and what it told was whole as of `as_of`.
    pub(super) fn confirmed(&mut self, as_of: Instant, now: Instant) {
        self.last_confirmed_at = self.last_confirmed_at.max(Some(as_of));
        if let Some(trouble) = self.trouble.take() {
            let lasted = seconds(trouble.since, now);
            self.will_say(
                Level::Info,
                format!("the source is well again, after {lasted} s"),
            );
        }
    }

    /// The source's newest input cannot be taken.
    pub(super) fn problem(&mut self, problem: String, now: Instant, wall: SystemTime) {
        let known = self.trouble.as_ref();
        if known.is_some_and(|trouble| trouble.problem == problem) {
            return;
        }
        let since = known.map_or(now, |trouble| trouble.since);
        let text = format!("{problem}; {}", self.in_force(now, wall));
        self.will_say(Level::Error, text);
        self.trouble = Some(Trouble {
            problem,
            since,
            said: now,
        });
    }

    /// Says how old the state in force is, if the source has been in trouble for long and this was not
    /// said for a while.
    pub(super) fn remind(&mut self, now: Instant, wall: SystemTime) {
        let in_force = self.in_force(now, wall);
        let due = |one: &&mut Trouble| now.saturating_duration_since(one.said) >= REMINDER;
        if let Some(trouble) = self.trouble.as_mut().filter(due) {
            trouble.said = now;
            let lasts = seconds(trouble.since, now);
            let text = format!(
                "the source has been in trouble for {lasts} s: {}; {in_force}",
                trouble.problem
            );
            self.will_say(Level::Warning, text);
        }
    }

    /// Why the source's newest input was not taken.
    pub(super) fn problem_now(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| &*trouble.problem)
    }

    /// What holds in the meantime (S84, S85).
    fn in_force(&self, now: Instant, wall: SystemTime) -> String {
        let Some(at) = self.last_confirmed_at else {
            return "no whole state was told yet, so strangers are refused".to_owned();
        };
        let age = now.saturating_duration_since(at);
        match wall.checked_sub(age) {
            Some(wall) => format!(
                "the state of {}, {} s old, stays in force",
                format_rfc3339_seconds(wall),
                age.as_secs()
            ),
            None => format!("the state of {} s ago stays in force", age.as_secs()),
        }
    }

    /// What is odd in the documents.
    pub(super) fn documents(&mut self, findings: Vec<Diagnostic>) {
        self.say_new(&findings, |health| &health.documents);
        self.documents = findings;
    }

    /// What is odd in the policies in the light of the subject.
    pub(super) fn policies(&mut self, findings: Vec<Diagnostic>) {
        self.say_new(&findings, |health| &health.policies);
        self.policies = findings;
    }

    /// What is to be put into the log, once no lock is held.
    pub(super) fn unsaid(&mut self) -> Vec<Saying> {
        std::mem::take(&mut self.unsaid)
    }

    fn will_say(&mut self, level: Level, text: String) {
        self.unsaid.push(Saying { level, text });
    }

    /// Keeps for the log what was not told before.
    fn say_new(&mut self, now: &[Diagnostic], before: impl Fn(&Self) -> &Vec<Diagnostic>) {
        let told: HashSet<String> = before(self).iter().map(ToString::to_string).collect();
        for one in now {
            let text = one.to_string();
            if !told.contains(&text) {
                let level = match one.severity {
                    Severity::Error => Level::Error,
                    Severity::Warning => Level::Warning,
                };
                self.will_say(level, text);
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.documents.len() + self.policies.len()
    }

    /// All findings, the contested addresses of `index` last.
    pub(super) fn findings(&self, index: &Index) -> Vec<Diagnostic> {
        let told = self.documents.iter().chain(&self.policies).cloned();
        let contests = index.contests(CONTESTS_TOLD).map(|(address, pods)| {
            let pods: Vec<String> = pods.iter().map(ToString::to_string).collect();
            Diagnostic {
                severity: Severity::Error,
                place: format!("address {address}"),
                message: format!(
                    "claimed by {}, none of which started last",
                    pods.join(" and ")
                ),
                help: "it counts as unknown until one of them is gone".to_owned(),
            }
        });
        told.chain(contests).collect()
    }
}

fn seconds(since: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(since).as_secs()
}
