//! What is odd in one object, collected while it is read.
//!
//! Deliberately absent: what a reader does about it.

use super::node::Node;
use crate::diagnostic::{Diagnostic, Severity};

/// A part could not be read and that has been said. The reader decides what stands in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// The findings on one object.
#[derive(Debug)]
pub(super) struct Findings<'d> {
    /// `NetworkPolicy shop/allow-cart`.
    object: String,
    list: &'d mut Vec<Diagnostic>,
}

impl<'d> Findings<'d> {
    /// Findings on `object`, appended to `list`.
    pub(super) fn on(object: String, list: &'d mut Vec<Diagnostic>) -> Self {
        Self { object, list }
    }

    /// A part that cannot be read.
    pub(super) fn error(
        &mut self,
        at: &Node<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Reported {
        self.add(Severity::Error, at, message.into(), help.into());
        Reported
    }

    /// A part that reads differently than it looks.
    pub(super) fn warning(
        &mut self,
        at: &Node<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Warning, at, message.into(), help.into());
    }

    fn add(&mut self, severity: Severity, at: &Node<'_>, message: String, help: String) {
        let path = at.to_string();
        let object = &self.object;
        let place = if path.is_empty() {
            object.clone()
        } else {
            format!("{object}: {path}")
        };
        self.list.push(Diagnostic {
            severity,
            place,
            message,
            help,
        });
    }
}
