//! Rules of others that would take inbound packets before ours see them, or change what ours see.
//!
//! May enter: parsed dumps. Deliberately absent: programs, judging rules that come after ours.
//!
//! Rules that `nft` made in tables of its own do not show in the save programs:
//! [`native`](crate::native) lists those.

mod marks;

use std::collections::BTreeMap;
use std::fmt;

use crate::backend::Backend;
use crate::dump::{Dump, Rule, TableDump};
use crate::mode::Mode;
use crate::plan::is_ours;
use crate::wanted::Family;

/// A rule of others ahead of ours, or of the relay, that rewrites or takes inbound packets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForeignRule {
    /// The back end that holds it.
    pub backend: Backend,
    /// The family of its table.
    pub family: Family,
    /// Its table: `nat`, `mangle`, or one of nft's own with its chain.
    pub table: String,
    /// The rule, as the save program prints it.
    pub rule: String,
}

impl fmt::Display for ForeignRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            backend,
            family,
            table,
            rule,
        } = self;
        write!(
            f,
            "foreign rule in {table} ({family}, back end {backend}): {rule}"
        )
    }
}

/// The targets of table nat that give a packet another destination.
const REWRITING: &[&str] = &["REDIRECT", "DNAT", "NETMAP"];

/// The targets of nat INPUT that give a packet another source. After our filter rules, but before
/// the relay asks who came: everybody would look like a pod that is let in, or like the node.
const DISGUISING: &[&str] = &["SNAT", "NETMAP"];

/// Where to look: table, base chain, and what counts there.
type Place = (&'static str, &'static str, fn(&Rule) -> bool);

/// Where to look in both modes.
const PLACES: [Place; 3] = [
    ("nat", "PREROUTING", |rule| has(rule, REWRITING)),
    ("nat", "INPUT", |rule| has(rule, DISGUISING)),
    ("mangle", "PREROUTING", |rule| has(rule, &["TPROXY"])),
];

/// Where to look in mode queue besides: between our verdict and our refusal nobody else may admit. Nor before that,
/// though we clear the bit: where our half of `mangle` is missing, which alone does, `filter` would let everybody in.
/// And what is tracked in a zone is not found when it is to be cut.
const MARKING: [Place; 6] = [
    ("raw", "PREROUTING", marks::hides),
    ("raw", "PREROUTING", marks::admits),
    ("mangle", "PREROUTING", marks::admits),
    ("nat", "PREROUTING", marks::admits),
    ("mangle", "INPUT", marks::admits),
    ("filter", "INPUT", marks::admits),
];

fn has(rule: &Rule, targets: &[&str]) -> bool {
    rule.target()
        .is_some_and(|target| targets.contains(&target))
}

/// Lists the foreign rules of one dump that defeat `mode`, in the order of their chains.
///
/// In nat PREROUTING these are the rewriting rules ahead of our jump, or all of them where our
/// jump is not there: they came first. In mangle PREROUTING it is any TPROXY, because mangle
/// always comes before nat. A jump counts if its chain, or one that it leads to, holds such a
/// rule; both are named.
///
/// In mode queue also what admits by the packet's mark in PREROUTING or ahead of our jump into INPUT, what puts flows
/// into a zone of connection tracking, and, in whatever chain, what writes our bits of the connection's mark: a flow
/// passes every chain with its entry, and who clears the refused bit lets a refused one in again.
pub(crate) fn foreign(
    mode: &Mode,
    backend: Backend,
    family: Family,
    dump: &Dump,
) -> Vec<ForeignRule> {
    let is_queue = matches!(mode, Mode::Queue(_));
    let places = PLACES
        .into_iter()
        .chain(MARKING.into_iter().filter(|_| is_queue));
    let mut found = Vec::new();
    for (table, base, counts) in places {
        let mut walk = Walk {
            dump: dump.table(table),
            counts,
            seen: BTreeMap::new(),
        };
        let rules = walk.dump.chain(base).unwrap_or_default();
        let ours = rules
            .iter()
            .position(|rule| rule.target().is_some_and(is_ours));
        let ahead = rules.get(..ours.unwrap_or(rules.len())).unwrap_or_default();
        for rule in walk.taking(ahead) {
            found.push(ForeignRule {
                backend,
                family,
                table: table.to_owned(),
                rule: rule.line(),
            });
        }
    }
    let others = dump.tables().filter(|_| is_queue);
    for (table, chains) in others {
        let chains = chains.chains().filter(|(name, _)| !is_ours(name));
        let rules = chains.flat_map(|(_, rules)| rules);
        found.extend(
            rules
                .filter(|rule| marks::remembers(rule))
                .map(|rule| ForeignRule {
                    backend,
                    family,
                    table: table.to_owned(),
                    rule: rule.line(),
                }),
        );
    }
    found
}

/// A walk along jumps; each chain is entered once, so it ends whatever the jumps say.
struct Walk<'a> {
    dump: &'a TableDump,
    counts: fn(&Rule) -> bool,
    /// The chains entered so far, and whether each holds such a rule.
    seen: BTreeMap<&'a str, bool>,
}

impl<'a> Walk<'a> {
    /// The rules among `rules` that count, and the jumps that lead to such rules,
    /// each followed by what it leads to where that was not named before.
    fn taking(&mut self, rules: &'a [Rule]) -> Vec<&'a Rule> {
        let mut found = Vec::new();
        for rule in rules {
            let Some(target) = rule.target().filter(|target| !is_ours(target)) else {
                continue;
            };
            if (self.counts)(rule) {
                found.push(rule);
            } else if let Some(&taking) = self.seen.get(target) {
                found.extend(taking.then_some(rule));
            } else if let Some(chain) = self.dump.chain(target) {
                self.seen.insert(target, false);
                let inner = self.taking(chain);
                self.seen.insert(target, !inner.is_empty());
                found.extend((!inner.is_empty()).then_some(rule));
                found.extend(inner);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
