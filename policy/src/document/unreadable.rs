//! Why a text is bad input as a whole: nothing of it is used.

use std::fmt;

/// A text that cannot be used, with the place and the mend.
///
/// A malformed part of a readable object is no reason for this; that is a
/// [`Diagnostic`](crate::diagnostic::Diagnostic).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Unreadable {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub fault: Box<Fault>,
}

/// Where in which text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The text's name, such as its file; empty for values that came without a text.
    pub source: String,
    /// Line and column, both from 1; `None` where they are not known.
    pub position: Option<(u64, u64)>,
}

impl fmt::Display for Place {
    /// `FILE:LINE:COLUMN`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = if self.source.is_empty() {
            "object"
        } else {
            &self.source
        };
        match self.position {
            Some((line, column)) => write!(out, "{source}:{line}:{column}"),
            None => out.write_str(source),
        }
    }
}

/// What is wrong with a text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No YAML and no JSON, a key given twice, or a limit of [`limits`](super::limits) exceeded.
    #[error("{0}")]
    Syntax(String),
    /// More than [`MAX_TEXT`](super::limits::MAX_TEXT) bytes.
    #[error("{bytes} bytes of text, at most {limit} are read; split it into several files", limit = super::limits::MAX_TEXT)]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// A document or a list item that is no object.
    #[error("{path}: {found} is no object; write a manifest with apiVersion, kind and metadata")]
    NotAnObject {
        /// Path inside the document, such as `items[3]`.
        path: String,
        /// What is there.
        found: String,
    },
    /// `kind` or `apiVersion` missing or no text.
    #[error("{path} is missing or no text; write it, for example {example}")]
    Untyped {
        /// Path inside the document.
        path: String,
        /// What to write.
        example: &'static str,
    },
    /// One of our kinds in a version that is not known. Passing over it could open a door.
    #[error("{path}: {found:?} is no known version of {kind}; write {known}")]
    OtherVersion {
        /// Path inside the document.
        path: String,
        /// The kind.
        kind: &'static str,
        /// The `apiVersion` there.
        found: String,
        /// The `apiVersion` that is read.
        known: &'static str,
    },
    /// A kind or field that may be meant for one of ours. Passing over it could open a door.
    #[error("{path}: {found:?} is not known; write {meant}")]
    Misspelt {
        /// Path inside the document.
        path: String,
        /// The word there.
        found: String,
        /// The word that is read.
        meant: &'static str,
    },
    /// The `items` of a list are no list.
    #[error("{path}: {found} is no list; write the objects as items, each after a hyphen")]
    ItemsNoList {
        /// Path inside the document.
        path: String,
        /// What is there.
        found: String,
    },
    /// An object of ours whose name or namespace cannot be read, so that nobody could say which it is.
    #[error("{path}: {found} names no {kind}; write {rule}")]
    Unnamed {
        /// Path inside the document.
        path: String,
        /// The kind.
        kind: &'static str,
        /// What is there.
        found: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// A namespace carries [`NAMESPACE_NAME_LABEL`](crate::object::NAMESPACE_NAME_LABEL) with another
    /// name than its own, which no API server stores (S27).
    #[error(
        "Namespace {namespace}: {path}: {found} is not the namespace's name; remove this label, the API server sets it to {namespace:?}"
    )]
    NameLabel {
        /// Path inside the document.
        path: String,
        /// The namespace.
        namespace: String,
        /// What is there.
        found: String,
    },
}
