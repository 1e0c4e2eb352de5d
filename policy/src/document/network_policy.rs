//! A NetworkPolicy (P26): whatever can be read is used, and it isolates in any case.
//!
//! Deliberately absent: a way to fail. Only a name that cannot be read stops a policy, and that is
//! found out before.

use super::findings::{Findings, Reported};
use super::metadata;
use super::node::{self, Harm, Node};
use super::rule;
use super::selector;
use crate::flow::Direction;
use crate::object::ObjectName;
use crate::selector::Selector;
use crate::spec::{Policy, Rule};

/// `status` was an alpha field in Kubernetes 1.24 to 1.27.
const TOP_FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
const FIELDS: [&str; 4] = ["podSelector", "policyTypes", "ingress", "egress"];

/// Reads the NetworkPolicy `name`.
pub(super) fn read(object: &Node<'_>, name: ObjectName, out: &mut Findings) -> Policy {
    object.unknown_fields(&TOP_FIELDS, Harm::Dropped, out);
    let terminating = metadata::is_terminating(object);
    if terminating {
        let metadata = object.child("metadata");
        let help = "look for finalizers if that takes long";
        out.warning(
            &metadata,
            "the policy is being deleted; it isolates until it is gone",
            help,
        );
    }
    let spec = object.child("spec");
    let readable = spec.map(out).is_ok();
    spec.unknown_fields(&FIELDS, Harm::Dropped, out);
    let types = if readable {
        policy_types(&spec, out)
    } else {
        Types::BOTH
    };
    let subjects = subjects(&spec, readable, out);
    Policy {
        name,
        subjects,
        ingress: types.ingress.then(|| rules(&spec, Direction::Ingress, out)),
        egress: types.egress.then(|| rules(&spec, Direction::Egress, out)),
        terminating,
    }
}

/// Which pods the policy isolates; all of its namespace where that cannot be read.
fn subjects(spec: &Node<'_>, readable: bool, out: &mut Findings) -> Selector {
    let field = spec.child("podSelector");
    let subjects = match readable {
        true => selector::read(&field, out),
        false => Selector::Broken,
    };
    if subjects == Selector::Broken {
        let message = "cannot be read, so the policy isolates every pod of its namespace";
        let Reported = out.error(
            &field,
            message,
            "mend what is reported of it; {} means every pod",
        );
    }
    subjects
}

/// For which directions a policy isolates.
#[derive(Clone, Copy)]
struct Types {
    ingress: bool,
    egress: bool,
}

impl Types {
    const BOTH: Self = Self {
        ingress: true,
        egress: true,
    };
}

/// What `policyTypes` names; where it is missing, what the API server would have written (S9).
fn policy_types(spec: &Node<'_>, out: &mut Findings) -> Types {
    let field = spec.child("policyTypes");
    let Ok(items) = field.items(out) else {
        return Types::BOTH;
    };
    if items.len() == 0 {
        return Types {
            ingress: true,
            egress: has_rules(&spec.child("egress")),
        };
    }
    let mut types = Types {
        ingress: false,
        egress: false,
    };
    for item in items {
        match item.as_text() {
            Some("Ingress") => types.ingress = true,
            Some("Egress") => types.egress = true,
            _ => {
                let found = item.value().map_or_else(|| "null".to_owned(), node::shown);
                let message = format!("{found} is no policy type and is ignored");
                let Reported = out.error(&item, message, "write Ingress or Egress");
            }
        }
    }
    if types.ingress || types.egress {
        return types;
    }
    let message = "no known policy type is named, so the policy isolates for both directions";
    let Reported = out.error(&field, message, "write Ingress, Egress or both");
    Types::BOTH
}

/// Whether there is a rule, readable or not.
fn has_rules(rules: &Node<'_>) -> bool {
    rules
        .value()
        .is_some_and(|value| value.as_array().is_none_or(|items| !items.is_empty()))
}

/// The rules of one direction, each at its own index; none where they are missing (S15).
fn rules(spec: &Node<'_>, direction: Direction, out: &mut Findings) -> Vec<Rule> {
    let field = spec.child(direction.label());
    match field.items(out) {
        Ok(items) => items
            .map(|item| rule::read(&item, direction, out))
            .collect(),
        Err(Reported) => vec![rule::broken()],
    }
}
