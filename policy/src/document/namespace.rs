//! A Namespace.

use std::sync::Arc;

use super::findings::Findings;
use super::metadata;
use super::node::{self, Node};
use super::unreadable::Fault;
use crate::object::{NAMESPACE_NAME_LABEL, Namespace, Object};

/// Reads a Namespace and adds the label that the API server puts on it (S27).
pub(super) fn read(
    object: &Node<'_>,
    name: &Arc<str>,
    out: &mut Findings,
) -> Result<Object, Fault> {
    check_name_label(object, name)?;
    let status = object.child("status");
    let phase = status.child("phase");
    if metadata::is_terminating(object) || phase.as_text() == Some("Terminating") {
        out.warning(
            &object.child("metadata"),
            "the namespace is being deleted; its policies isolate until they are gone",
            "look for finalizers if that takes long",
        );
    }
    let Ok(labels) = metadata::labels(object, out) else {
        return Ok(Object::BrokenNamespace(Arc::clone(name)));
    };
    Ok(Object::Namespace(Namespace {
        name: Arc::clone(name),
        labels: labels.with(NAMESPACE_NAME_LABEL, name),
    }))
}

fn check_name_label(object: &Node<'_>, name: &str) -> Result<(), Fault> {
    let metadata = object.child("metadata");
    let labels = metadata.child("labels");
    let label = labels.child(NAMESPACE_NAME_LABEL);
    match label.value() {
        None => Ok(()),
        Some(value) if value.as_str() == Some(name) => Ok(()),
        Some(value) => Err(Fault::NameLabel {
            path: label.to_string(),
            namespace: name.to_owned(),
            found: node::shown(value),
        }),
    }
}
