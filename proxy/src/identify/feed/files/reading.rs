//! Files to one whole state.
//!
//! Deliberately absent: when to read, which is the watcher's.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use podwall_policy::cluster::{Cluster, Conflict, overlay};
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::document;
use podwall_policy::object::Object;

use super::{FeedError, STDIN};

/// How often a state is read anew because a file changed meanwhile, before that is a problem of its own.
const READINGS: usize = 5;

/// Manifests that were read and not put together with anything yet.
#[derive(Debug)]
pub struct Manifests {
    files: Vec<PathBuf>,
    objects: Vec<Object>,
    diagnostics: Vec<Diagnostic>,
    /// Kinds that podwall does not read, once each.
    pub skipped: Vec<String>,
    /// Objects that name no namespace and were taken as of `default`, each as `KIND NAME`.
    pub unplaced: Vec<String>,
}

/// Reads all manifests of `paths`, once. `-` is standard input.
///
/// # Errors
/// Where a path is missing or cannot be read, its text is bad input, or there is no object at all.
pub fn read_manifests(paths: &[PathBuf]) -> Result<Manifests, FeedError> {
    if paths.is_empty() {
        return Err(FeedError::NoPaths);
    }
    let mut read = Manifests {
        files: list(paths)?,
        objects: Vec::new(),
        diagnostics: Vec::new(),
        skipped: Vec::new(),
        unplaced: Vec::new(),
    };
    for file in &read.files {
        let documents = document::read(&name(file), &text(file)?)?;
        read.objects.extend(documents.objects);
        read.diagnostics.extend(documents.diagnostics);
        read.skipped.extend(documents.skipped);
        read.unplaced.extend(documents.unplaced);
    }
    read.skipped.sort_unstable();
    read.skipped.dedup();
    match read.objects.is_empty() {
        true => Err(FeedError::Empty(names(paths))),
        false => Ok(read),
    }
}

impl Manifests {
    /// The state that they are on top of these objects, and what is odd in it.
    ///
    /// # Errors
    /// Where two objects conflict.
    pub fn over(self, under: Vec<Object>) -> Result<(Cluster, Vec<Diagnostic>), FeedError> {
        let mut diagnostics = self.diagnostics;
        let all = overlay(under, self.objects);
        let (cluster, odd) = Cluster::assemble(all).map_err(|conflict| FeedError::Conflict {
            files: holders(&self.files, &conflict),
            conflict,
        })?;
        diagnostics.extend(odd);
        Ok((cluster, diagnostics))
    }
}

/// The state that the manifests of `paths` are, and what is odd in it.
///
/// # Errors
/// As [`read_manifests`] and [`Manifests::over`].
pub fn read_paths(paths: &[PathBuf]) -> Result<(Cluster, Vec<Diagnostic>), FeedError> {
    read_manifests(paths)?.over(Vec::new())
}

/// Reads a state of which no file changed while it was read, and its signature.
pub(super) fn read_steady(
    paths: &[PathBuf],
) -> (Result<(Cluster, Vec<Diagnostic>), FeedError>, Signature) {
    let mut before = Signature::of(paths);
    for _ in 0..READINGS {
        let read = read_paths(paths);
        let after = Signature::of(paths);
        if after == before {
            return (read, after);
        }
        before = after;
    }
    (Err(FeedError::Restless(names(paths))), before)
}

/// What `stat` says of every path and of every file that is read: equal as long as nothing changes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Signature(Vec<(PathBuf, Result<Stat, ErrorKind>)>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stat {
    place: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    /// One `stat` per file; opens none.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut seen = Vec::new();
        for path in paths {
            seen.push((path.clone(), stat(path)));
            if path.is_dir() {
                let files = files_of(path).unwrap_or_default();
                seen.extend(files.into_iter().map(|file| {
                    let stat = stat(&file);
                    (file, stat)
                }));
            }
        }
        Self(seen)
    }
}

fn stat(path: &Path) -> Result<Stat, ErrorKind> {
    let one = path.metadata().map_err(|fault| fault.kind())?;
    if one.is_dir() {
        // What is in it counts by itself; files that are not read must not matter.
        return Ok(Stat {
            place: (one.dev(), one.ino()),
            length: 0,
            modified: (0, 0),
            changed: (0, 0),
        });
    }
    Ok(Stat {
        place: (one.dev(), one.ino()),
        length: one.len(),
        modified: (one.mtime(), one.mtime_nsec()),
        changed: (one.ctime(), one.ctime_nsec()),
    })
}

/// Whether a directory's file of that name is read.
pub(super) fn is_manifest(name: &Path) -> bool {
    let hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
    let extension = name.extension().and_then(|one| one.to_str());
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// The files to read, in order.
fn list(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FeedError> {
    let mut files = Vec::new();
    for path in paths {
        if path != Path::new(STDIN) && path.is_dir() {
            files.extend(files_of(path).map_err(|source| unreachable(path, source))?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// The manifests of a directory, by name.
fn files_of(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        // A symlink that leads nowhere stays in: it is a file that cannot be read, not an absent one.
        if path
            .file_name()
            .is_some_and(|one| is_manifest(Path::new(one)))
            && !path.is_dir()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn text(file: &Path) -> Result<String, FeedError> {
    if file != Path::new(STDIN) {
        return std::fs::read_to_string(file).map_err(|source| unreachable(file, source));
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|source| unreachable(Path::new("standard input"), source))?;
    Ok(text)
}

fn unreachable(path: &Path, source: std::io::Error) -> FeedError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::NotFound => FeedError::Missing(path),
        _ => FeedError::Unreachable { path, source },
    }
}

fn name(file: &Path) -> String {
    if file == Path::new(STDIN) {
        return "standard input".to_owned();
    }
    file.display().to_string()
}

pub(super) fn names(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|one| name(one)).collect();
    names.join(", ")
}

/// The files that hold the object in conflict. Reads them again, since this is asked of a fault only.
fn holders(files: &[PathBuf], conflict: &Conflict) -> String {
    let holds = |file: &&PathBuf| {
        let read = (**file != Path::new(STDIN))
            .then(|| text(file).ok())
            .flatten();
        let documents = read.and_then(|text| document::read("", &text).ok());
        documents.is_some_and(|one| one.objects.iter().any(|object| is(object, conflict)))
    };
    let holders: Vec<PathBuf> = files.iter().filter(holds).cloned().collect();
    if holders.is_empty() {
        names(files)
    } else {
        names(&holders)
    }
}

fn is(object: &Object, conflict: &Conflict) -> bool {
    let (kind, name) = match object {
        Object::Pod(pod) => ("Pod", pod.name.to_string()),
        Object::BrokenPod(name) => ("Pod", name.to_string()),
        Object::Namespace(one) => ("Namespace", one.name.to_string()),
        Object::BrokenNamespace(name) => ("Namespace", name.to_string()),
        Object::Policy(policy) => ("NetworkPolicy", policy.name.to_string()),
    };
    kind == conflict.kind && name == conflict.name
}
