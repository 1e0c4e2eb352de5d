//! A verdict and its misses, laid out for a person at a terminal.
//!
//! May enter: what was decided. Deliberately absent: deciding anything, colour, and the JSON that
//! programs read.

use std::fmt;

use super::{Clause, Miss};
use crate::compiled::Table;
use crate::flow::{Direction, Protocol};
use crate::selector::Picks;
use crate::verdict::{AllowReason, DenyReason, Verdict};

/// How many isolating policies one line names before it says how many more there are.
const MOST_NAMED: usize = 8;

/// One direction's answer.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Which direction was asked about.
    pub direction: Direction,
    /// The table that was asked.
    pub table: &'a Table,
    /// What it said.
    pub verdict: Verdict,
    /// The nearest misses; empty after an allow.
    pub misses: &'a [Miss],
    /// Whether podwall enforces this direction, or only tells what the API says.
    pub enforced: bool,
}

/// The whole answer for one connection (S4). Prints as several lines, each ended.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a> {
    /// The source, as the reader knows it.
    pub from: &'a str,
    /// The destination, as the reader knows it.
    pub to: &'a str,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The destination's port.
    pub port: u16,
    /// What the destination's policies say.
    pub ingress: Side<'a>,
    /// What the source's policies say; `None` where the source is no pod.
    pub egress: Option<Side<'a>>,
}

impl Explanation<'_> {
    /// The side that decides the whole: the one that denies, ingress before egress.
    fn deciding(&self) -> &Side<'_> {
        match &self.egress {
            Some(egress) if self.ingress.verdict.is_allow() && !egress.verdict.is_allow() => egress,
            _ => &self.ingress,
        }
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.deciding().verdict;
        writeln!(
            out,
            "{}  {}/{}  {} -> {}  {}",
            verdict.label().to_uppercase(),
            self.port,
            self.protocol,
            self.from,
            self.to,
            verdict.reason(),
        )?;
        write!(out, "{}", self.ingress)?;
        match &self.egress {
            Some(egress) => write!(out, "{egress}"),
            None => writeln!(out, "egress   {} is no pod", self.from),
        }
    }
}

impl fmt::Display for Side<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<9}", self.direction.label())?;
        self.summary(out)?;
        if !self.enforced {
            let direction = self.direction.label();
            write!(out, " (podwall does not enforce {direction} yet)")?;
        }
        writeln!(out)?;
        for miss in self.misses {
            write!(out, "{:9}{}", "", miss.policy)?;
            if let Some(rule) = miss.rule {
                write!(out, " rule {rule}")?;
            }
            let matches = match (miss.clause, miss.peer) {
                (Clause::Port | Clause::NamedPort, Picks::Yes) => "the peer matches; ",
                _ => "",
            };
            writeln!(out, ": {matches}{}", miss.detail)?;
        }
        Ok(())
    }
}

impl Side<'_> {
    fn summary(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Allow(AllowReason::NotIsolated) => write!(out, "allow: not isolated"),
            Verdict::Allow(AllowReason::Node) => write!(out, "allow: the pod's own node"),
            Verdict::Allow(AllowReason::Own) => write!(out, "allow: the pod itself"),
            Verdict::Allow(AllowReason::Rule(rule)) => match self.table.rule_name(rule) {
                Some((policy, index)) => write!(out, "allow: {policy} rule {index}"),
                None => write!(out, "allow: by a rule that is no longer in force"),
            },
            Verdict::Deny(DenyReason::NoRuleAdmits) => self.isolated(out),
            Verdict::Deny(DenyReason::PeerUnknown) => {
                write!(out, "deny: it depends on what is not known; ")?;
                self.isolating(out)
            }
        }
    }

    fn isolated(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "deny: ")?;
        self.isolating(out)
    }

    fn isolating(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "isolated by ")?;
        let mut policies = self.table.isolating(self.direction);
        for (at, policy) in policies.by_ref().take(MOST_NAMED).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(out, "{comma}{policy}")?;
        }
        match policies.count() {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests;
