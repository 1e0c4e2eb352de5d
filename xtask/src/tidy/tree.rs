//! The checkout as tidy sees it: paths, and the text of the files that laws speak of.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Kinds of file whose text is read.
const TEXT: [&str; 3] = ["rs", "md", "toml"];

/// Directories that are not ours to judge: build output, and inputs found by fuzzing.
const SKIPPED: [&str; 5] = [
    ".git",
    "target",
    "fuzz/corpus",
    "fuzz/artifacts",
    "fuzz/target",
];

/// One file with its text.
pub(super) struct File {
    /// From the top of the checkout, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A checkout.
#[derive(Default)]
pub(super) struct Tree {
    /// The files whose text is read.
    pub(super) files: Vec<File>,
    /// Every file and directory.
    pub(super) paths: BTreeSet<String>,
}

impl File {
    pub(super) fn is(&self, extension: &str) -> bool {
        self.path.ends_with(&format!(".{extension}"))
    }

    /// Whether it holds tests: a `tests.rs`, or something under a `tests/` directory.
    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.starts_with("tests/")
            || self.path.contains("/tests/")
    }

    /// Its lines of code with their numbers: no comment lines, no blank ones.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with("//"))
    }
}

impl Tree {
    /// Adds a file and the directories above it.
    pub(super) fn add(&mut self, path: &str, text: String) {
        self.note(path);
        self.files.push(File {
            path: path.to_owned(),
            text,
        });
    }

    fn note(&mut self, path: &str) {
        let mut above = path;
        self.paths.insert(path.to_owned());
        while let Some((parent, _)) = above.rsplit_once('/') {
            self.paths.insert(parent.to_owned());
            above = parent;
        }
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is("rs"))
    }

    /// Reads the checkout at `root`.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        tree.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(tree)
    }

    fn walk(&mut self, dir: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let path = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            if SKIPPED.contains(&path.as_str()) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.note(&path);
                self.walk(&entry.path(), &path)?;
            } else if kind.is_file() && TEXT.iter().any(|end| path.ends_with(&format!(".{end}"))) {
                let text = fs::read_to_string(entry.path())?;
                self.add(&path, text);
            } else {
                self.note(&path);
            }
        }
        Ok(())
    }
}
