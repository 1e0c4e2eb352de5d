//! A label selector (S32 to S39). One fault anywhere breaks all of it, as it does in Kubernetes (S38).

use std::sync::Arc;

use super::findings::{Findings, Reported};
use super::node::{self, Harm, Node};
use super::spelling;
use crate::selector::{Requirement, Selector, Test};

const FIELDS: [&str; 2] = ["matchLabels", "matchExpressions"];
const EXPRESSION_FIELDS: [&str; 3] = ["key", "operator", "values"];

/// The selector at `at`; a missing one selects everything.
pub(super) fn read(at: &Node<'_>, out: &mut Findings) -> Selector {
    requirements(at, out).map_or(Selector::Broken, Selector::All)
}

fn requirements(at: &Node<'_>, out: &mut Findings) -> Result<Vec<Requirement>, Reported> {
    at.map(out)?;
    let unknown = at.unknown_fields(&FIELDS, Harm::Breaks("selector"), out);
    let labels = match_labels(&at.child("matchLabels"), out);
    let expressions = match_expressions(&at.child("matchExpressions"), out);
    if unknown {
        return Err(Reported);
    }
    let mut all = labels?;
    all.extend(expressions?);
    Ok(all)
}

/// In the order of their keys, so that the order in the manifest makes no difference.
fn match_labels(at: &Node<'_>, out: &mut Findings) -> Result<Vec<Requirement>, Reported> {
    let Some(map) = at.map(out)? else {
        return Ok(Vec::new());
    };
    let mut all = Vec::with_capacity(map.len());
    let mut fault = None;
    for key in map.keys() {
        let value = at.child(key);
        let read = label_key(&value, key, out).and_then(|key| Ok((key, label_value(&value, out)?)));
        match read {
            Ok((key, value)) => all.push(Requirement {
                key,
                test: Test::In(vec![value]),
            }),
            Err(reported) => fault = Some(reported),
        }
    }
    all.sort_by(|one, other| one.key.cmp(&other.key));
    fault.map_or(Ok(all), Err)
}

fn match_expressions(at: &Node<'_>, out: &mut Findings) -> Result<Vec<Requirement>, Reported> {
    let mut all = Vec::new();
    let mut fault = None;
    for item in at.items(out)? {
        match expression(&item, out) {
            Ok(one) => all.push(one),
            Err(reported) => fault = Some(reported),
        }
    }
    fault.map_or(Ok(all), Err)
}

fn expression(at: &Node<'_>, out: &mut Findings) -> Result<Requirement, Reported> {
    if at.map(out)?.is_none() {
        return Err(out.error(
            at,
            "an empty item is no expression",
            "write key and operator",
        ));
    }
    if at.unknown_fields(&EXPRESSION_FIELDS, Harm::Breaks("selector"), out) {
        return Err(Reported);
    }
    let key = at.child("key");
    let Some(word) = key.text(out)? else {
        return Err(out.error(&key, "no key is named", "write the label's key"));
    };
    let key = label_key(&key, word, out)?;
    let values = at.child("values");
    let mut list = Vec::new();
    for value in values.items(out)? {
        list.push(label_value(&value, out)?);
    }
    let test = test(at, list, out)?;
    Ok(Requirement { key, test })
}

fn test(at: &Node<'_>, list: Vec<Arc<str>>, out: &mut Findings) -> Result<Test, Reported> {
    let operator = at.child("operator");
    let values = at.child("values");
    match (operator.text(out)?, list.is_empty()) {
        (Some("In"), false) => Ok(Test::In(list)),
        (Some("NotIn"), false) => Ok(Test::NotIn(list)),
        (Some("Exists"), true) => Ok(Test::Exists),
        (Some("DoesNotExist"), true) => Ok(Test::DoesNotExist),
        (Some("In" | "NotIn"), true) => Err(out.error(
            &values,
            "In and NotIn need at least one value",
            "name the values, or use Exists or DoesNotExist",
        )),
        (Some("Exists" | "DoesNotExist"), false) => Err(out.error(
            &values,
            "Exists and DoesNotExist take no values",
            "remove the values, or use In or NotIn",
        )),
        (found, _) => {
            let found = found.map_or_else(
                || "nothing".to_owned(),
                |word| format!("{:?}", node::short(word)),
            );
            let message = format!("{found} is no operator");
            Err(out.error(
                &operator,
                message,
                "write In, NotIn, Exists or DoesNotExist",
            ))
        }
    }
}

fn label_key(at: &Node<'_>, key: &str, out: &mut Findings) -> Result<Arc<str>, Reported> {
    if spelling::is_label_key(key) {
        return Ok(key.into());
    }
    let message = format!("{:?} is no label key", node::short(key));
    Err(out.error(at, message, spelling::LABEL_KEY))
}

fn label_value(at: &Node<'_>, out: &mut Findings) -> Result<Arc<str>, Reported> {
    let Some(text) = at.text(out)? else {
        return Err(out.error(at, "null is no label value", "write \"\" for an empty one"));
    };
    if spelling::is_label_value(text) {
        return Ok(text.into());
    }
    let message = format!("{:?} is no label value", node::short(text));
    Err(out.error(at, message, spelling::LABEL_VALUE))
}
