//! What is installed against what is wanted.
//!
//! May enter: [`Wanted`] and a parsed dump. Deliberately absent: programs, mending.

use std::fmt;

use crate::dump::{Rule, TableDump};
use crate::foreign::ForeignRule;
use crate::plan::{Table, is_ours, jumps, own_chains};
use crate::rules::{self, Chain, Hook};
use crate::wanted::{Family, Wanted};

/// One way in which the installed rules are not the wanted ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// The rules are whole, but of another flag.
    Flag {
        /// The flag.
        flag: &'static str,
        /// What it was when the rules were installed.
        installed: String,
        /// What it is now.
        wanted: String,
    },
    /// A wanted rule is not there, or not at its place.
    Missing {
        /// The family of the table.
        family: Family,
        /// The table that should hold it.
        table: Table,
        /// The rule, with `-A CHAIN`.
        rule: String,
    },
    /// A rule in one of our chains, or a jump into one, that is not wanted there.
    Unwanted {
        /// The family of the table.
        family: Family,
        /// The table that holds it.
        table: Table,
        /// The rule, as the save program prints it.
        rule: String,
    },
    /// A rule of others stands before our jump, so packets meet it first.
    Ahead {
        /// The family of the table.
        family: Family,
        /// The table that holds it.
        table: Table,
        /// The rule, as the save program prints it.
        rule: String,
    },
    /// A chain with our prefix that the wanted rules do not have.
    Leftover {
        /// The family of the table.
        family: Family,
        /// The table that holds it.
        table: Table,
        /// The chain's name.
        chain: String,
    },
    /// A rule of others that takes packets away before ours see them.
    Foreign(ForeignRule),
    /// The tables of a family could not be read.
    Unreadable {
        /// The family.
        family: Family,
        /// What the program said.
        message: String,
    },
    /// Rules of ours stand in a second back end too.
    OtherBackend {
        /// The family.
        family: Family,
        /// The other back end.
        backend: crate::Backend,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag {
                flag,
                installed,
                wanted,
            } => write!(f, "installed {flag} {installed}, wanted {flag} {wanted}"),
            Self::Missing {
                family,
                table,
                rule,
            } => {
                write!(f, "{family} {table}: missing or out of place: {rule}")
            }
            Self::Unwanted {
                family,
                table,
                rule,
            } => {
                write!(f, "{family} {table}: not wanted: {rule}")
            }
            Self::Ahead {
                family,
                table,
                rule,
            } => {
                write!(
                    f,
                    "{family} {table}: foreign rule ahead of podwall's: {rule}"
                )
            }
            Self::Leftover {
                family,
                table,
                chain,
            } => {
                write!(f, "{family} {table}: chain {chain} is not wanted")
            }
            Self::Foreign(rule) => write!(f, "{rule}"),
            Self::Unreadable { family, message } => {
                write!(f, "{family}: rules cannot be read: {message}")
            }
            Self::OtherBackend { family, backend } => {
                write!(f, "{family}: back end {backend} holds rules of podwall too")
            }
        }
    }
}

/// Lists every difference of one table; an empty list means that it is as wanted.
pub(crate) fn differences(
    wanted: &Wanted,
    family: Family,
    table: Table,
    now: &TableDump,
) -> Vec<Difference> {
    let content = rules::content(wanted, family, table);
    let mut found = Vec::new();
    for chain in &content.chains {
        compare_chain(family, table, chain, now, &mut found);
    }
    for hook in &content.hooks {
        compare_hook(family, table, hook, now, &mut found);
    }
    compare_jumps(family, table, &content.hooks, now, &mut found);
    for name in own_chains(now) {
        if !content.chains.iter().any(|chain| chain.name == name) {
            found.push(Difference::Leftover {
                family,
                table,
                chain: name.to_owned(),
            });
        }
    }
    found
}

/// Our chain must hold exactly the wanted rules in the wanted order.
fn compare_chain(
    family: Family,
    table: Table,
    chain: &Chain,
    now: &TableDump,
    found: &mut Vec<Difference>,
) {
    let wanted: Vec<Rule> = chain
        .rules
        .iter()
        .map(|rule| Rule::new(chain.name, rule))
        .collect();
    let seen = now.chain(chain.name).unwrap_or_default();
    // Walks both in order: a seen rule that is not the next wanted one is unwanted.
    let mut rest = seen.iter();
    for rule in &wanted {
        let mut ahead = rest.clone();
        let same = |other: &Rule| other.clauses == rule.clauses;
        if let Some(skipped) = ahead.position(same) {
            let passed = rest.by_ref().take(skipped);
            found.extend(passed.map(|other| unwanted(family, table, other)));
            rest.next();
        } else {
            found.push(Difference::Missing {
                family,
                table,
                rule: rule.line(),
            });
        }
    }
    found.extend(rest.map(|other| unwanted(family, table, other)));
}

/// The first rule of the base chain must be our jump.
fn compare_hook(
    family: Family,
    table: Table,
    hook: &Hook,
    now: &TableDump,
    found: &mut Vec<Difference>,
) {
    let wanted = Rule::new(hook.base, &hook.rule);
    let seen = now.chain(hook.base).unwrap_or_default();
    match seen.iter().position(|rule| rule.clauses == wanted.clauses) {
        None => found.push(Difference::Missing {
            family,
            table,
            rule: wanted.line(),
        }),
        Some(place) => {
            let others = seen
                .iter()
                .take(place)
                .filter(|r| !r.target().is_some_and(is_ours));
            found.extend(others.map(|rule| Difference::Ahead {
                family,
                table,
                rule: rule.line(),
            }));
        }
    }
}

/// Every jump into our chains from outside must be a wanted one, each only once.
fn compare_jumps(
    family: Family,
    table: Table,
    hooks: &[Hook],
    now: &TableDump,
    found: &mut Vec<Difference>,
) {
    let mut due: Vec<Rule> = hooks
        .iter()
        .map(|hook| Rule::new(hook.base, &hook.rule))
        .collect();
    for jump in jumps(now) {
        let same = |rule: &Rule| rule.chain == jump.chain && rule.clauses == jump.clauses;
        match due.iter().position(same) {
            Some(place) => drop(due.swap_remove(place)),
            None => found.push(unwanted(family, table, jump)),
        }
    }
}

fn unwanted(family: Family, table: Table, rule: &Rule) -> Difference {
    Difference::Unwanted {
        family,
        table,
        rule: rule.line(),
    }
}

#[cfg(test)]
mod tests;
