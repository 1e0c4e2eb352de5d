//! The laws of the house, executed. Each finding names its place, the law and the reason.
//!
//! One file per family of laws; each is a function from a [`Tree`] to findings, so that its tests
//! hold it against small made-up trees. Deliberately absent: what rustc, clippy and rustfmt know.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

mod docs;
mod imports;
mod shape;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use tree::{File, Tree};

/// One breach of a law.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Finding {
    /// From the top of the checkout.
    path: String,
    /// One-based.
    line: usize,
    /// What is there, and the law that it breaks.
    what: String,
    /// Why the law is there.
    why: &'static str,
}

impl Finding {
    fn at(file: &File, line: usize, what: String, why: &'static str) -> Self {
        Self {
            path: file.path.clone(),
            line,
            what,
            why,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            what,
            why,
        } = self;
        write!(out, "{path}:{line}: {what} ({why})")
    }
}

/// Every law over one tree; sorted by place.
fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(shape::check(tree));
    found.extend(imports::check(tree));
    found.extend(words::check(tree));
    found.extend(docs::check(tree));
    found.sort();
    found
}

/// Reads the checkout at `root` and prints what breaks a law.
pub(crate) fn run(root: &Path) -> ExitCode {
    let tree = match Tree::read(root) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("xtask tidy: cannot read {}: {error}", root.display());
            return ExitCode::from(crate::EXIT_ENVIRONMENT);
        }
    };
    let found = check(&tree);
    for finding in &found {
        eprintln!("{finding}");
    }
    if found.is_empty() {
        eprintln!("xtask tidy: {} files, every law holds", tree.files.len());
        return ExitCode::SUCCESS;
    }
    eprintln!("xtask tidy: {} findings", found.len());
    ExitCode::FAILURE
}
