//! One place in a document: the value there, and the path that leads to it.
//!
//! May enter: values of any shape. Deliberately absent: any Kubernetes field name.
//!
//! INVARIANT: `null` and absent are one (S5, S15, S17, S18); nothing past this file can tell them apart.

use std::fmt;

use serde_json::{Map, Value};

use super::findings::{Findings, Reported};

/// How many characters of a foreign text a message repeats.
const QUOTED: usize = 60;

/// A place in a document. Copies are cheap; a child borrows its parent, so no path is spelled out
/// until a message needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    value: Option<&'a Value>,
    parent: Option<&'a Node<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Node<'a> {
    /// The document's top.
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value: Some(value),
            parent: None,
            step: Step::Root,
        }
    }

    /// The field `key`; missing where this is no mapping.
    pub(super) fn child(&'a self, key: &'a str) -> Self {
        let value = self.value.and_then(|value| value.get(key));
        Self {
            value: value.filter(|value| !value.is_null()),
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// The value, `None` where it is missing or null.
    pub(super) fn value(&self) -> Option<&'a Value> {
        self.value.filter(|value| !value.is_null())
    }

    /// Whether there is nothing, or null.
    pub(super) fn is_missing(&self) -> bool {
        self.value().is_none()
    }

    /// The text here if it is one, without a word where it is not.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        self.value().and_then(Value::as_str)
    }

    /// The text here.
    pub(super) fn text(&self, out: &mut Findings) -> Result<Option<&'a str>, Reported> {
        match self.value() {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(out.error(self, not_text(other), quote_it(other))),
        }
    }

    /// The truth value here.
    pub(super) fn flag(&self, out: &mut Findings) -> Result<Option<bool>, Reported> {
        match self.value() {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                let message = format!("{} is neither true nor false", shown(other));
                Err(out.error(self, message, "write true or false, without quotes"))
            }
        }
    }

    /// The mapping here.
    pub(super) fn map(
        &self,
        out: &mut Findings,
    ) -> Result<Option<&'a Map<String, Value>>, Reported> {
        match self.value() {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => {
                let message = format!("{} is no mapping", shown(other));
                Err(out.error(self, message, "write fields below it, or {}"))
            }
        }
    }

    /// The items of the list here; none where it is missing.
    pub(super) fn items(
        &'a self,
        out: &mut Findings,
    ) -> Result<impl ExactSizeIterator<Item = Node<'a>> + use<'a>, Reported> {
        let items: &[Value] = match self.value() {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                let message = format!("{} is no list", shown(other));
                return Err(out.error(
                    self,
                    message,
                    "write a list: start each item with a hyphen",
                ));
            }
        };
        Ok(items.iter().enumerate().map(|(at, value)| Node {
            value: Some(value),
            parent: Some(self),
            step: Step::Index(at),
        }))
    }

    /// Reports each field that is not `known`; whether there was one.
    pub(super) fn unknown_fields(&'a self, known: &[&str], harm: Harm, out: &mut Findings) -> bool {
        let Some(Value::Object(map)) = self.value else {
            return false;
        };
        let mut any = false;
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            any = true;
            let place = Node {
                value: None,
                parent: Some(self),
                step: Step::Key(key),
            };
            let help = super::spelling::mend(key, known);
            match harm {
                Harm::Dropped => out.warning(&place, "unknown field, which has no effect", help),
                Harm::Breaks(part) => {
                    let message = format!("unknown field, so this {part} cannot be understood");
                    let Reported = out.error(&place, message, help);
                }
            }
        }
        any
    }
}

/// What an unknown field does to the part in which it stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    /// Nothing depends on it.
    Dropped,
    /// It may narrow the part, which has this name, so the part counts as broken.
    Breaks(&'static str),
}

impl fmt::Display for Node<'_> {
    /// `spec.ingress[0].from[1].ipBlock.cidr`; a label's key stands in brackets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else {
            return Ok(());
        };
        fmt::Display::fmt(parent, out)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Index(at) => write!(out, "[{at}]"),
            Step::Key(key)
                if !key.is_empty() && key.bytes().all(|one| one.is_ascii_alphanumeric()) =>
            {
                let dot = if matches!(parent.step, Step::Root) {
                    ""
                } else {
                    "."
                };
                write!(out, "{dot}{key}")
            }
            Step::Key(key) => write!(out, "[{:?}]", short(key)),
        }
    }
}

/// A value in the words of a message: `the number 1`, `"x"`, `a list`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("the truth value {flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("{:?}", short(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// The first characters of a text.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Says that a value is no text.
pub(super) fn not_text(value: &Value) -> String {
    format!("{} is no text", shown(value))
}

/// How to make a text of a value.
pub(super) fn quote_it(value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Number(_) => format!("quote it, as in \"{value}\""),
        Value::Null => "write \"\" for an empty text".to_owned(),
        _ => "write a text".to_owned(),
    }
}
