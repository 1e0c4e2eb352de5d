//! What two sources say of themselves, as if they were one: well only while both are.

use std::time::Instant;

use podwall_policy::diagnostic::Diagnostic;

use crate::identify::feed::Change;

/// How both sources stand.
#[derive(Debug, Default)]
pub(super) struct Union {
    files: One,
    cluster: One,
    told: Option<String>,
}

#[derive(Debug, Default)]
struct One {
    findings: Vec<Diagnostic>,
    problem: Option<String>,
    as_of: Option<Instant>,
}

impl Union {
    pub(super) fn on_files_findings(&mut self, findings: Vec<Diagnostic>) -> Change {
        // Alone they may lack namespaces; whether the cluster lacks them too is not known here.
        let missing = |one: &Diagnostic| {
            let name = one.place.strip_prefix("Namespace ");
            name.is_some_and(|name| !name.contains(':'))
        };
        self.files.findings = findings.into_iter().filter(|one| !missing(one)).collect();
        self.findings()
    }

    pub(super) fn on_cluster_findings(&mut self, findings: Vec<Diagnostic>) -> Change {
        self.cluster.findings = findings;
        self.findings()
    }

    pub(super) fn on_files_problem(&mut self, problem: String) -> Option<Change> {
        self.files.problem = Some(problem);
        self.health()
    }

    pub(super) fn on_cluster_problem(&mut self, problem: String) -> Option<Change> {
        self.cluster.problem = Some(problem);
        self.health()
    }

    pub(super) fn on_files_healthy(&mut self, as_of: Instant) -> Option<Change> {
        self.files.on_healthy(as_of);
        self.health()
    }

    pub(super) fn on_cluster_healthy(&mut self, as_of: Instant) -> Option<Change> {
        self.cluster.on_healthy(as_of);
        self.health()
    }

    fn findings(&self) -> Change {
        let all = self.files.findings.iter().chain(&self.cluster.findings);
        Change::Findings(all.cloned().collect())
    }

    fn health(&mut self) -> Option<Change> {
        let problems = [&self.files.problem, &self.cluster.problem];
        let problems: Vec<&str> = problems.into_iter().flatten().map(|it| &**it).collect();
        if !problems.is_empty() {
            let problem = problems.join(". Also: ");
            if self.told.as_ref() == Some(&problem) {
                return None;
            }
            self.told = Some(problem.clone());
            return Some(Change::SourceProblem(problem));
        }
        let as_of = self.files.as_of?.min(self.cluster.as_of?);
        self.told = None;
        Some(Change::SourceHealthy(as_of))
    }
}

impl One {
    fn on_healthy(&mut self, as_of: Instant) {
        self.problem = None;
        self.as_of = Some(as_of);
    }
}
