//! What the save programs show of both back ends and both families, at one moment.
//!
//! May enter: parsed dumps and failed attempts. Deliberately absent: wishes, changes.

use crate::backend::{Attempt, Backend, Obstacle, Tools, nft_ruleset};
use crate::dump::Dump;
use crate::error::RedirectError;
use crate::foreign::{ForeignRule, foreign};
use crate::mode::Mode;
use crate::native::native;
use crate::plan::{Table, own_chains};
use crate::rules::PROBE;
use crate::wanted::Family;

/// The tables of one back end and family, as they are now.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) backend: Backend,
    pub(super) family: Family,
    pub(super) tools: Tools,
    pub(super) dump: Dump,
}

impl Reading {
    fn take(backend: Backend, family: Family) -> Result<Self, Attempt> {
        let tools = Tools::find(backend, family)?;
        let dump = tools.dump()?;
        Ok(Self {
            backend,
            family,
            tools,
            dump,
        })
    }

    /// Whether rules of ours stand here; the leftover of a trial is none.
    pub(super) fn holds_ours(&self) -> bool {
        let mut tables = self.dump.tables();
        tables.any(|(_, table)| own_chains(table).any(|name| name != PROBE))
    }

    /// Whether rules of ours stand in one table.
    pub(super) fn holds_ours_in(&self, table: Table) -> bool {
        let table = self.dump.table(table.name());
        own_chains(table).any(|name| name != PROBE)
    }
}

/// Everything that can be read, and why the rest cannot.
#[derive(Debug)]
pub(super) struct Scene {
    outcomes: Vec<Result<Reading, Attempt>>,
    /// What nft lists of its own tables, or why it does not.
    native: Result<String, Attempt>,
}

impl Scene {
    /// Reads the tables of both back ends and both families.
    pub(super) fn read() -> Self {
        let all = |backend| Family::ALL.map(|family| Reading::take(backend, family));
        Self {
            outcomes: Backend::ORDER.into_iter().flat_map(all).collect(),
            native: nft_ruleset(),
        }
    }

    /// What could be read, in the order of back ends and families.
    pub(super) fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().ok())
    }

    fn failures(&self) -> impl Iterator<Item = &Attempt> {
        self.outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
    }

    /// One reading, or why there is none.
    pub(super) fn of(&self, backend: Backend, family: Family) -> Result<&Reading, Attempt> {
        let reading = self
            .readings()
            .find(|r| r.backend == backend && r.family == family);
        let failure = self
            .failures()
            .find(|a| a.backend == backend && a.family == family);
        reading.ok_or_else(|| {
            failure.cloned().unwrap_or_else(|| Attempt {
                backend,
                family,
                obstacle: Obstacle::Other,
                message: "was not tried".to_owned(),
            })
        })
    }

    /// The readings that hold rules of ours.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Reading> {
        self.readings().filter(|reading| reading.holds_ours())
    }

    /// The back end that holds rules of ours, or else the first one that is installed.
    ///
    /// # Errors
    /// No back end is installed, or the first one cannot be read, so that nobody can say whether
    /// rules of ours stand there.
    pub(super) fn holder(&self) -> Result<Backend, RedirectError> {
        if let Some(reading) = self.ours().next() {
            return Ok(reading.backend);
        }
        let missing = |attempt: &Attempt| attempt.obstacle == Obstacle::Missing;
        let mut installed = self
            .outcomes
            .iter()
            .filter(|o| !o.as_ref().is_err_and(missing));
        match installed.next() {
            Some(Ok(reading)) => Ok(reading.backend),
            _ => Err(RedirectError::NoBackend {
                attempts: self.failures().cloned().collect(),
            }),
        }
    }

    /// What could not be read for lack of a privilege.
    pub(super) fn forbidden(&self) -> Vec<Attempt> {
        let lacking = |one: &&Attempt| matches!(one.obstacle, Obstacle::Privilege | Obstacle::Lock);
        self.failures().filter(lacking).cloned().collect()
    }

    /// Foreign rules of every back end and family that defeat this mode.
    pub(super) fn foreign(&self, mode: &Mode) -> Vec<ForeignRule> {
        let saved = self.readings();
        let saved = saved.flat_map(|r| foreign(mode, r.backend, r.family, &r.dump));
        let own_tables = self.native.iter();
        saved
            .chain(own_tables.flat_map(|text| native(mode, text)))
            .collect()
    }

    /// Warnings about other back ends that are installed here but cannot be read, so that rules
    /// of others may stand there unseen.
    pub(super) fn blind_spots(&self, used: Backend) -> Vec<String> {
        let unseen =
            |attempt: &&Attempt| attempt.backend != used && attempt.obstacle != Obstacle::Missing;
        let own_tables = self.native.as_ref().err();
        let own_tables = own_tables.filter(|attempt| attempt.obstacle != Obstacle::Missing);
        let failures = self.failures().filter(unseen).chain(own_tables);
        failures
            .map(|attempt| format!("cannot look for rules of others in {attempt}"))
            .collect()
    }
}
