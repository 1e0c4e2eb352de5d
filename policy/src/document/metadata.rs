//! `metadata`: how an object is called, its labels, whether it is going.

use std::sync::Arc;

use super::findings::{Findings, Reported};
use super::node::{self, Node};
use super::spelling;
use super::unreadable::Fault;
use crate::labels::Labels;
use crate::object::ObjectName;

/// The namespace of an object that names none, as for `kubectl apply`.
const DEFAULT_NAMESPACE: &str = "default";

const SUBDOMAIN: &str =
    "lower-case letters, digits, hyphens and dots, at most 253, a letter or digit at both ends";
const LABEL: &str =
    "lower-case letters, digits and hyphens, at most 63, a letter or digit at both ends";

/// Namespace and name of a pod or policy.
pub(super) fn object_name(object: &Node<'_>, kind: &'static str) -> Result<ObjectName, Fault> {
    let metadata = object.child("metadata");
    let name = metadata.child("name");
    let name = named(&name, kind, SUBDOMAIN, spelling::is_dns_subdomain)?;
    let namespace = metadata.child("namespace");
    let namespace = if namespace.is_missing() {
        DEFAULT_NAMESPACE
    } else {
        named(&namespace, "namespace", LABEL, spelling::is_dns_label)?
    };
    Ok(ObjectName::new(namespace, name))
}

/// How an object is called that names no namespace.
pub(super) fn unplaced(object: &Node<'_>, kind: &'static str) -> Option<String> {
    let metadata = object.child("metadata");
    let (name, namespace) = (metadata.child("name"), metadata.child("namespace"));
    let name = name.as_text().filter(|_| namespace.is_missing())?;
    Some(format!("{kind} {}", node::short(name)))
}

/// Name of a namespace.
pub(super) fn namespace_name(object: &Node<'_>) -> Result<Arc<str>, Fault> {
    let metadata = object.child("metadata");
    let name = metadata.child("name");
    Ok(named(&name, "Namespace", LABEL, spelling::is_dns_label)?.into())
}

fn named<'a>(
    at: &Node<'a>,
    kind: &'static str,
    rule: &'static str,
    valid: fn(&str) -> bool,
) -> Result<&'a str, Fault> {
    match at.as_text() {
        Some(name) if valid(name) => Ok(name),
        _ => Err(Fault::Unnamed {
            path: at.to_string(),
            kind,
            found: at.value().map_or_else(|| "nothing".to_owned(), node::shown),
            rule,
        }),
    }
}

/// The labels. Every one that is no text is reported.
pub(super) fn labels(object: &Node<'_>, out: &mut Findings) -> Result<Labels, Reported> {
    let metadata = object.child("metadata");
    let labels = metadata.child("labels");
    let Some(map) = labels.map(out)? else {
        return Ok(Labels::default());
    };
    let mut pairs = Vec::with_capacity(map.len());
    let mut fault = None;
    for key in map.keys() {
        let value = labels.child(key);
        match label_text(&value, out) {
            Ok(text) => pairs.push((key.as_str(), text)),
            Err(reported) => fault = Some(reported),
        }
        if !spelling::is_label_key(key) {
            out.warning(
                &value,
                "the API server refuses this key",
                spelling::LABEL_KEY,
            );
        }
    }
    fault.map_or_else(|| Ok(pairs.into_iter().collect()), Err)
}

fn label_text<'a>(value: &Node<'a>, out: &mut Findings) -> Result<&'a str, Reported> {
    let Some(text) = value.text(out)? else {
        return Err(out.error(
            value,
            "null is no label value",
            "write \"\" for an empty one",
        ));
    };
    if !spelling::is_label_value(text) {
        let message = format!("the API server refuses the value {:?}", node::short(text));
        out.warning(value, message, spelling::LABEL_VALUE);
    }
    Ok(text)
}

/// Whether the object has a deletion time, whatever it says.
pub(super) fn is_terminating(object: &Node<'_>) -> bool {
    !object
        .child("metadata")
        .child("deletionTimestamp")
        .is_missing()
}
