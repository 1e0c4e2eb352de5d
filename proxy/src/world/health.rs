//! How the world stands: the source's health and what is odd in what it told.
//!
//! Deliberately absent: any effect on a ruling.

use std::time::Instant;

use podwall_policy::diagnostic::{Diagnostic, Severity};

use crate::identify::index::Index;

/// Of how many contested addresses the findings tell; the status counts all of them.
const CONTESTS_TOLD: usize = 16;

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
    pub(super) last_confirmed_at: Option<Instant>,
    pub(super) problem: Option<String>,
    documents: Vec<Diagnostic>,
    policies: Vec<Diagnostic>,
}

impl Health {
    /// The source is well.
    pub(super) fn confirmed(&mut self, now: Instant) {
        self.last_confirmed_at = Some(now);
        if self.problem.take().is_some() {
            tracing::info!("the source is well again");
        }
    }

    /// The source's newest input cannot be taken.
    pub(super) fn problem(&mut self, problem: String) {
        tracing::error!(%problem, "the source's newest state is not taken; the last good one stays in force");
        self.problem = Some(problem);
    }

    /// What is odd in the documents.
    pub(super) fn documents(&mut self, findings: Vec<Diagnostic>) {
        tell(&self.documents, &findings);
        self.documents = findings;
    }

    /// What is odd in the policies in the light of the subject.
    pub(super) fn policies(&mut self, findings: Vec<Diagnostic>) {
        tell(&self.policies, &findings);
        self.policies = findings;
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

/// Logs what was not told before.
fn tell(before: &[Diagnostic], now: &[Diagnostic]) {
    for one in now.iter().filter(|one| !before.contains(one)) {
        match one.severity {
            Severity::Error => tracing::error!("{one}"),
            Severity::Warning => tracing::warn!("{one}"),
        }
    }
}
