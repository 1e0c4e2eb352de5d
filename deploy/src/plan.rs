//! The steps from what is installed to what is wanted, each one atomic commit of one table.
//!
//! May enter: [`Wanted`] and what a save program printed. Deliberately absent: programs; steps
//! are text, [`redirect`](crate::redirect) runs them.
//!
//! INVARIANT: `filter` of every family comes first, then what the other mode left is taken away, then
//! the mode's own table is committed; removal goes the other way. So a family is closed to strangers
//! from its `filter` commit on, after every prefix of the steps.
//!
//! Why what is left of other wishes opens nothing behind a new `filter`: an old `nat` sends to a port
//! that mode redirect's `filter` refuses unless a relay of the new wish is to have it, and mode queue's
//! refuses all without a verdict; an old `mangle` asks an old queue, whose yes is a mark that mode
//! redirect's `filter` does not look at. The other mode's table goes before the own one comes, because
//! a verdict on a port that `nat` has changed would be one on the wrong port.

use std::fmt;

use crate::dump::{Rule, TableDump};
use crate::mode::Mode;
use crate::rules::{self, PREFIX};
use crate::wanted::{Family, Wanted};

/// A table that holds rules of ours.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// The half that refuses.
    Filter,
    /// The half that redirects, in mode redirect.
    Nat,
    /// The half that asks the queue, in mode queue.
    Mangle,
}

impl Table {
    /// All of them, the one that refuses first.
    pub const ALL: [Self; 3] = [Self::Filter, Self::Nat, Self::Mangle];

    /// The order of installation: what refuses, what must go, what opens.
    pub(crate) const fn order(mode: &Mode) -> [Self; 3] {
        match mode {
            Mode::Redirect(_) => [Self::Filter, Self::Mangle, Self::Nat],
            Mode::Queue(_) => [Self::Filter, Self::Nat, Self::Mangle],
        }
    }

    /// The table's name in the save format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Mangle => "mangle",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One commit: the text for one run of a restore program with `--noflush`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The family whose restore program takes it.
    pub family: Family,
    /// The one table that it changes.
    pub table: Table,
    /// The text, from `*TABLE` to `COMMIT`.
    pub payload: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.table)
    }
}

/// Whether a chain is one of ours, of this version or another.
pub(crate) fn is_ours(chain: &str) -> bool {
    chain.starts_with(PREFIX)
}

/// The commit that makes `table` as wanted, whatever it holds of ours now; `None` where it shall hold
/// nothing and does.
pub(crate) fn install_step(
    wanted: &Wanted,
    family: Family,
    table: Table,
    now: &TableDump,
) -> Option<Step> {
    let content = rules::content(wanted, family, table);
    if content.is_nothing() {
        return remove_step(family, table, now);
    }
    let is_wanted = |name: &str| content.chains.iter().any(|chain| chain.name == name);
    let stale: Vec<&str> = own_chains(now).filter(|name| !is_wanted(name)).collect();
    let mut before = declarations(&stale);
    before.push_str(&deletions(now));
    before.push_str(&drops(&stale));
    Some(Step {
        family,
        table,
        payload: rules::payload(table, &content, &before),
    })
}

/// The commit that takes everything of ours out of `table`, or `None` if nothing is in it.
pub(crate) fn remove_step(family: Family, table: Table, now: &TableDump) -> Option<Step> {
    let ours: Vec<&str> = own_chains(now).collect();
    if ours.is_empty() {
        return None;
    }
    let (declared, deleted, dropped) = (declarations(&ours), deletions(now), drops(&ours));
    let payload = format!("*{table}\n{declared}{deleted}{dropped}COMMIT\n");
    Some(Step {
        family,
        table,
        payload,
    })
}

/// The names of our chains in a table.
pub(crate) fn own_chains(now: &TableDump) -> impl Iterator<Item = &str> {
    now.chains()
        .map(|(name, _)| name)
        .filter(|name| is_ours(name))
}

/// The rules outside our chains that lead into one of them.
pub(crate) fn jumps(now: &TableDump) -> impl Iterator<Item = &Rule> {
    now.chains()
        .filter(|(name, _)| !is_ours(name))
        .flat_map(|(_, rules)| rules)
        .filter(|rule| rule.target().is_some_and(is_ours))
}

/// Declaring a chain in a `--noflush` restore empties it.
fn declarations(chains: &[&str]) -> String {
    chains
        .iter()
        .map(|name| format!(":{name} - [0:0]\n"))
        .collect()
}

fn deletions(now: &TableDump) -> String {
    jumps(now)
        .map(|rule| format!("-D {} {}\n", rule.chain, rule.text))
        .collect()
}

fn drops(chains: &[&str]) -> String {
    chains.iter().map(|name| format!("-X {name}\n")).collect()
}

#[cfg(test)]
mod tests;
