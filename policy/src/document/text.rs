//! Text to values, one per document.
//!
//! JSON is read as the YAML that it is. Deliberately absent: what the values mean.

use std::borrow::Cow;

use serde_json::Value;
use serde_saphyr::{Error, Spanned};

use super::excerpt::Excerpt;
use super::limits;
use super::unreadable::{Fault, Place, Unreadable};

/// One document of a text.
pub(super) struct Document {
    /// Where it starts.
    pub(super) place: Place,
    /// What it holds.
    pub(super) value: Value,
}

/// The documents of `text`; empty ones are left out.
pub(super) fn documents(
    source: &str,
    text: &str,
) -> Result<impl Iterator<Item = Document>, Unreadable> {
    let place = |position| Place {
        source: source.to_owned(),
        position,
    };
    if text.len() > limits::MAX_TEXT {
        return Err(Unreadable {
            place: place(None),
            fault: Box::new(Fault::TooLong { bytes: text.len() }),
        });
    }
    let text = quote_overflowing(text);
    let documents: Vec<Spanned<Excerpt>> =
        serde_saphyr::from_multiple_with_options(&text, limits::options()).map_err(|error| {
            Unreadable {
                place: place(error.location().map(|at| (at.line(), at.column()))),
                fault: Box::new(Fault::Syntax(message(&error))),
            }
        })?;
    Ok(documents.into_iter().map(move |document| {
        let at = document.referenced;
        Document {
            place: place((at.line() > 0).then_some((at.line(), at.column()))),
            value: document.value.0,
        }
    }))
}

/// What the parser says, on one line and without the place, which comes ahead of it.
fn message(error: &Error) -> String {
    match error.without_snippet() {
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!(
                "the key {:?} is given twice; keep one of the two",
                super::node::short(key)
            ),
            None => "a key is given twice; keep one of the two".to_owned(),
        },
        Error::NonFiniteFloat { .. } => {
            "this number is too large for any field; quote it if it is a text".to_owned()
        }
        other => {
            let text = other.to_string();
            let line = text.lines().next().unwrap_or_default();
            let bare = line
                .rsplit_once(" at line ")
                .map_or(line, |(message, _)| message);
            let bare = bare.replace(char::is_control, " ");
            format!("{bare}; mend the text there")
        }
    }
}

/// Quotes what looks like a number and is too large for one, such as the commit `123e4567`.
///
/// kubectl leaves such a text unquoted, since for its own parser it is no number. Looks at the ends
/// of block-style lines, which is where kubectl writes it.
fn quote_overflowing(text: &str) -> Cow<'_, str> {
    let mut quoted = String::new();
    let mut done = 0;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        if let Some(at) = overflowing(content) {
            quoted.push_str(&text[done..start + at]);
            quoted.extend(["\"", &content[at..], "\""]);
            done = start + content.len();
        }
        start += line.len();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(&text[done..]);
    Cow::Owned(quoted)
}

/// Where in the line the overflowing number starts, if the line ends with one.
fn overflowing(line: &str) -> Option<usize> {
    let at = line.rfind(' ')? + 1;
    let (before, word) = (line[..at].trim_end(), &line[at..]);
    let looks = word
        .bytes()
        .all(|one| one.is_ascii_digit() || b"+-._eE".contains(&one))
        && word.len() > 4;
    let value_place = before.ends_with(':') || before.ends_with('-');
    if !looks || !value_place {
        return None;
    }
    let plain = word.replace('_', "");
    let infinite = plain.parse::<f64>().is_ok_and(f64::is_infinite);
    infinite.then_some(at)
}

#[cfg(test)]
mod tests;
