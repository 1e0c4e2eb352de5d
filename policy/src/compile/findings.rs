//! What is odd about policies only in the light of one subject.
//!
//! Deliberately absent: what [`document`](crate::document) can see without a subject.

use crate::diagnostic::{Diagnostic, Severity};
use crate::flow::{Direction, Protocol};
use crate::peer::Identity;
use crate::spec::{Policy, PortSpec, Ports};

/// Findings about `policies`, all of which select `subject`, in their order.
pub(super) fn findings(policies: &[Policy], subject: &Identity) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for policy in policies {
        findings.extend(policy.terminating.then(|| still_isolates(policy)));
        undeclared_ports(policy, subject, &mut findings);
    }
    findings
}

/// S8: what is being deleted is not gone yet.
fn still_isolates(policy: &Policy) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        place: format!("NetworkPolicy {}: metadata.deletionTimestamp", policy.name),
        message: "the policy or its namespace is being deleted; it isolates until it is gone"
            .to_owned(),
        help: "remove the finalizer that holds it, if it stays".to_owned(),
    }
}

/// S56: an ingress rule names a port that the subject does not declare.
fn undeclared_ports(policy: &Policy, subject: &Identity, findings: &mut Vec<Diagnostic>) {
    let rules = policy.rules(Direction::Ingress).unwrap_or_default();
    for (rule_at, rule) in rules.iter().enumerate() {
        let Ports::OneOf(ports) = &rule.ports else {
            continue;
        };
        for (port_at, port) in ports.iter().enumerate() {
            let PortSpec::Named { protocol, name } = port else {
                continue;
            };
            let place = format!(
                "NetworkPolicy {}: spec.ingress[{rule_at}].ports[{port_at}].port",
                policy.name
            );
            findings.extend(undeclared(place, *protocol, name, subject));
        }
    }
}

fn undeclared(
    place: String,
    protocol: Protocol,
    name: &str,
    subject: &Identity,
) -> Option<Diagnostic> {
    let declared = || {
        subject
            .named_ports
            .iter()
            .filter(|have| *have.name == *name)
    };
    if declared().any(|have| have.protocol == protocol) {
        return None;
    }
    let message = match declared().next() {
        Some(other) => format!(
            "port {name:?} is declared for {}, not {protocol}; it admits nobody",
            other.protocol
        ),
        None => format!("no container declares a port named {name:?}; it admits nobody"),
    };
    Some(Diagnostic {
        severity: Severity::Warning,
        place,
        message,
        help: format!(
            "declare it as a {protocol} container port of the pods, or write the port's number"
        ),
    })
}
