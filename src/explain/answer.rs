//! The answer as programs read it. `version` changes when a field changes its meaning.

use std::net::IpAddr;

use podwall_policy::explain::Miss;
use podwall_policy::object::ObjectName;
use serde::Serialize;

use super::question::{Asked, Judged};
use crate::offline::ENFORCED;

/// The whole answer.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    version: u32,
    from: &'a str,
    to: &'a str,
    port: String,
    verdict: &'static str,
    /// The directions that podwall enforces; the other is the source's side's work.
    enforced: Vec<&'static str>,
    node_addresses: &'a [IpAddr],
    /// Where they are always allowed: TCP ports; empty: everywhere.
    node_ports: &'a [u16],
    ingress: Side,
    egress: Side,
}

/// One direction's verdict.
#[derive(Debug, Serialize)]
struct Side {
    verdict: &'static str,
    reason: &'static str,
    policy: Option<String>,
    rule: Option<u32>,
    misses: Vec<SideMiss>,
    /// The policies that isolate this side.
    isolated_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SideMiss {
    policy: String,
    rule: Option<u32>,
    clause: &'static str,
    detail: String,
}

impl<'a> Answer<'a> {
    /// What was asked and answered.
    pub fn of(asked: &'a Asked) -> Self {
        Self {
            version: 1,
            from: &asked.from,
            to: &asked.to,
            port: asked.port.to_string(),
            verdict: if asked.is_allow() { "allow" } else { "deny" },
            enforced: ENFORCED.iter().map(|one| one.label()).collect(),
            node_addresses: &asked.node_addresses,
            node_ports: &asked.node_ports,
            ingress: Side::of(&asked.ingress),
            egress: asked.egress.as_ref().map_or_else(Side::of_no_pod, Side::of),
        }
    }
}

impl Side {
    fn of(judged: &Judged) -> Self {
        let rule = judged
            .verdict
            .rule()
            .and_then(|rule| judged.table.rule_name(rule));
        let isolating = judged.table.isolating(judged.direction);
        Self {
            verdict: judged.verdict.label(),
            reason: judged.verdict.reason(),
            policy: rule.map(|(policy, _)| policy.to_string()),
            rule: rule.map(|(_, rule)| rule),
            misses: judged.misses.iter().map(SideMiss::of).collect(),
            isolated_by: isolating.map(ObjectName::to_string).collect(),
        }
    }

    /// The egress side of an address that no pod owns: there is none.
    fn of_no_pod() -> Self {
        Self {
            verdict: "allow",
            reason: "not_a_pod",
            policy: None,
            rule: None,
            misses: Vec::new(),
            isolated_by: Vec::new(),
        }
    }
}

impl SideMiss {
    fn of(miss: &Miss) -> Self {
        Self {
            policy: miss.policy.to_string(),
            rule: miss.rule,
            clause: miss.clause.label(),
            detail: miss.detail.clone(),
        }
    }
}
