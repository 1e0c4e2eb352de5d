//! The fuzz targets' corpus, replayed: every input that was worth keeping must hold in every test run.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "cases/agree.rs"]
mod agree;
#[path = "../../fuzz/src/bodies.rs"]
mod bodies;

/// Runs `body` over the corpora of both targets, each input as long as these eighths of it.
fn replay(body: fn(&[u8]), eighths: impl Iterator<Item = usize> + Clone) {
    for input in ["documents", "compile_decide"].into_iter().flat_map(inputs) {
        let bytes = fs::read(&input).unwrap();
        for eighth in eighths.clone() {
            let part = &bytes[..bytes.len() * eighth / 8];
            catch_unwind(AssertUnwindSafe(|| body(part))).unwrap_or_else(|_| {
                panic!(
                    "{} does not hold, its first {} bytes",
                    input.display(),
                    part.len()
                )
            });
        }
    }
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&corpus)
        .unwrap_or_else(|fault| panic!("{}: {fault}", corpus.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(
        files.len() >= 10,
        "only {} inputs in {}",
        files.len(),
        corpus.display()
    );
    files.sort();
    files
}

/// Texts that break off are the commonest broken ones, so parts of each are read as well.
#[test]
fn documents() {
    replay(bodies::documents, 1..=8);
}

#[test]
fn compile_decide() {
    replay(bodies::compile_decide, 8..=8);
}
