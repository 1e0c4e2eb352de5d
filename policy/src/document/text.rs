//! Text to values, one per document.
//!
//! JSON is read as the YAML that it is. Deliberately absent: what the values mean.

use serde_json::Value;
use serde_saphyr::Spanned;

use super::limits;
use super::unreadable::{Fault, Place, Unreadable};

/// One document of a text.
pub(super) struct Document {
    /// Where it starts.
    pub(super) place: Place,
    /// What it holds.
    pub(super) value: Value,
}

/// Calls `each` with the documents of `text` in turn; empty ones are left out.
///
/// Only one document is held at a time. Stops at the first fault, of the text or of `each`.
pub(super) fn for_each(
    source: &str,
    text: &str,
    mut each: impl FnMut(Document) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let place = |position| Place {
        source: source.to_owned(),
        position,
    };
    if text.len() > limits::MAX_TEXT {
        let fault = Fault::TooLong { bytes: text.len() };
        return Err(Unreadable {
            place: place(None),
            fault,
        });
    }
    let mut bytes = text.as_bytes();
    for document in
        serde_saphyr::read_with_options::<_, Spanned<Value>>(&mut bytes, limits::options())
    {
        let document = document.map_err(|error| Unreadable {
            place: place(error.location().map(|at| (at.line(), at.column()))),
            fault: Fault::Syntax(message(&error)),
        })?;
        let at = document.referenced;
        let known = at.line() > 0;
        each(Document {
            place: place(known.then_some((at.line(), at.column()))),
            value: document.value,
        })?;
    }
    Ok(())
}

/// What the parser says, on one line and without the place, which comes ahead of it.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.lines().next().unwrap_or("no YAML").trim().to_owned()
}
