//! What must hold between a verdict, its nearest misses and the plain reading, for any question.

use podwall_policy::compiled::Table;
use podwall_policy::explain::{Clause, MOST_MISSES, Miss};
use podwall_policy::flow::Flow;
use podwall_policy::object::ObjectName;
use podwall_policy::peer::Identity;
use podwall_policy::reference::{self, Answer, Because, Other};
use podwall_policy::selector::Picks;
use podwall_policy::spec::Policy;
use podwall_policy::verdict::{AllowReason, DenyReason, Verdict};

/// One question, put plainly.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub policies: &'a [Policy],
    pub subject: &'a Identity,
    pub flow: &'a Flow,
    pub other: Other<'a>,
}

/// Whether the compiled law and the plain reading say the same.
///
/// # Errors
/// What differs, in words.
pub fn agree(
    asked: Asked<'_>,
    table: &Table,
    verdict: Verdict,
    misses: &[Miss],
) -> Result<(), String> {
    let answer = reference::answer(asked.policies, asked.subject, asked.flow, asked.other);
    let same = match (verdict, &answer) {
        (Verdict::Allow(AllowReason::Rule(_)), Answer::Allow(Because::Admitted { .. }))
        | (Verdict::Allow(AllowReason::NotIsolated), Answer::Allow(Because::NotIsolated))
        | (Verdict::Allow(AllowReason::Node), Answer::Allow(Because::Node))
        | (Verdict::Allow(AllowReason::Own), Answer::Allow(Because::Own))
        | (Verdict::Deny(DenyReason::NoRuleAdmits), Answer::Deny)
        | (Verdict::Deny(DenyReason::PeerUnknown), Answer::Unknown) => true,
        (Verdict::Allow(_) | Verdict::Deny(_), _) => false,
    };
    if !same {
        return Err(format!(
            "the plain reading says {answer:?}, not {verdict:?}"
        ));
    }
    named_rule_admits(asked, table, verdict)?;
    misses_name_the_isolating(asked, verdict, misses)?;
    misses
        .iter()
        .try_for_each(|miss| clause_is_true(asked, miss))
}

/// The rule that a verdict names is one of an isolating policy, and admits by itself.
fn named_rule_admits(asked: Asked<'_>, table: &Table, verdict: Verdict) -> Result<(), String> {
    let Some(id) = verdict.rule() else {
        return Ok(());
    };
    let (name, index) = table
        .rule_name(id)
        .ok_or("the admitting rule has no name")?;
    let policy = isolating(asked, name)?;
    let rules = policy.rules(asked.flow.direction).unwrap_or_default();
    let rule = rules
        .get(index as usize)
        .ok_or(format!("{name} has no rule {index}"))?;
    match reference::rule_admits(policy, rule, asked.subject, asked.flow, asked.other) {
        Picks::Yes => Ok(()),
        other => Err(format!(
            "{name} rule {index} is named, and by the plain reading it admits: {other:?}"
        )),
    }
}

/// A denial names every isolating policy once, up to the cap; an allow names none.
fn misses_name_the_isolating(
    asked: Asked<'_>,
    verdict: Verdict,
    misses: &[Miss],
) -> Result<(), String> {
    if verdict.is_allow() {
        return match misses {
            [] => Ok(()),
            _ => Err(format!("allowed, and yet missed: {misses:?}")),
        };
    }
    let all = reference::isolating(asked.policies, asked.subject, asked.flow.direction).count();
    if misses.len() != all.min(MOST_MISSES) {
        return Err(format!("{all} policies isolate; misses: {misses:?}"));
    }
    for (at, miss) in misses.iter().enumerate() {
        isolating(asked, &miss.policy)?;
        if misses[..at].iter().any(|one| one.policy == miss.policy) {
            return Err(format!("{} is named twice: {misses:?}", miss.policy));
        }
        if miss.detail.is_empty() {
            return Err(format!("no word on {miss:?}"));
        }
    }
    Ok(())
}

/// What a nearest miss claims holds by the plain reading.
fn clause_is_true(asked: Asked<'_>, miss: &Miss) -> Result<(), String> {
    let policy = isolating(asked, &miss.policy)?;
    let rules = policy.rules(asked.flow.direction).unwrap_or_default();
    let Some(index) = miss.rule else {
        return match (rules, miss.clause) {
            ([], Clause::NoRules) => Ok(()),
            _ => Err(format!("{} rules, and: {miss:?}", rules.len())),
        };
    };
    let rule = rules
        .get(index as usize)
        .ok_or(format!("no such rule: {miss:?}"))?;
    let peers = reference::peers_match(policy, rule, asked.flow, asked.other);
    let ports = reference::ports_match(rule, asked.subject, asked.flow, asked.other);
    let holds = match miss.clause {
        Clause::Port | Clause::NamedPort => peers != Picks::No && ports == Picks::No,
        Clause::PeerUnknown | Clause::NamespaceUnknown | Clause::AddressUnknown => {
            peers.and(ports) == Picks::Unknown
        }
        Clause::PodLabels
        | Clause::NamespaceLabels
        | Clause::OtherNamespace
        | Clause::IpBlock
        | Clause::NotAPod
        | Clause::Except => peers == Picks::No,
        Clause::Unreadable => peers == Picks::No || ports == Picks::No,
        Clause::NoRules => false,
    };
    if holds {
        Ok(())
    } else {
        Err(format!(
            "peers match: {peers:?}, ports match: {ports:?}, and yet {miss:?}"
        ))
    }
}

fn isolating<'a>(asked: Asked<'a>, name: &ObjectName) -> Result<&'a Policy, String> {
    reference::isolating(asked.policies, asked.subject, asked.flow.direction)
        .find(|policy| policy.name == *name)
        .ok_or(format!("{name} is named and does not isolate"))
}
