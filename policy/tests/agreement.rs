//! The compiled law against the plain reading, over generated clusters and flows.
//!
//! Each cluster is written as manifests, read back, compiled for the subject and asked; the plain
//! reading is asked about what was meant. A disagreement prints as a case for `tests/cases/`.
//! `PODWALL_AGREEMENT_CLUSTERS` asks for more clusters than the usual number.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::thread;

use podwall_policy::object::NAMESPACE_NAME_LABEL as NAME_LABEL;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestError, TestRunner};

#[path = "cases/agree.rs"]
mod agree;
#[path = "agreement/check.rs"]
mod check;
#[path = "cases/format.rs"]
mod format;
#[path = "agreement/manifest.rs"]
mod manifest;
#[path = "agreement/model.rs"]
mod model;
#[path = "cases/runner.rs"]
mod runner;
#[path = "agreement/scene.rs"]
mod scene;
#[path = "agreement/strategy.rs"]
mod strategy;
#[path = "agreement/tally.rs"]
mod tally;
#[path = "cases/world.rs"]
mod world;

use tally::Tally;

/// Clusters generated in every run, each with its own manifests, policies and pods.
const CLUSTERS: u32 = 20_000;
/// Questions about each of them.
const FLOWS: usize = 4;
/// Threads that share the clusters.
const WORKERS: u32 = 2;
/// How often each reason and each clause must come up in each direction, of `CLUSTERS * FLOWS` questions.
const LEAST: usize = 100;

#[test]
fn the_compiled_law_agrees_with_the_plain_reading() {
    let clusters = match std::env::var("PODWALL_AGREEMENT_CLUSTERS") {
        Ok(more) => more.parse().expect("a number of clusters"),
        Err(_) => CLUSTERS,
    };
    let tally = thread::scope(|scope| {
        let share = clusters.div_ceil(WORKERS);
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| scope.spawn(move || sample(share)))
            .collect();
        let mut whole = Tally::default();
        for worker in workers {
            whole.add(worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        whole
    });
    assert!(
        tally.compared >= clusters as usize * FLOWS,
        "{} compared",
        tally.compared
    );
    assert!(tally.refined > 0, "no certain answer was asked again");
    if clusters >= CLUSTERS {
        tally.assert_everything_occurs(LEAST);
    }
}

/// What a failure prints can be pasted into a case file: it is read by that format, and its rows are
/// answered as they say.
#[test]
fn what_a_failure_prints_is_a_case() {
    let mut runner = TestRunner::new(config(1));
    for _ in 0..200 {
        let scene = strategy::scene(FLOWS)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let text = format!("section: x\ntitle: pasted\ncases:\n{scene}");
        let file: format::CaseFile =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let failures = runner::failures(&file);
        assert!(failures.is_empty(), "{}\n{text}", failures.join("\n"));
    }
}

/// Generates and checks clusters; panics with the smallest that fails.
fn sample(clusters: u32) -> Tally {
    let tally = RefCell::new(Tally::default());
    let mut runner = TestRunner::new(config(clusters));
    let held = runner.run(&strategy::scene(FLOWS), |scene| {
        check::check(&scene, &mut tally.borrow_mut())
    });
    match held {
        Ok(()) => tally.into_inner(),
        Err(TestError::Fail(what, _)) => panic!("{what}"),
        Err(TestError::Abort(what)) => panic!("gave up: {what}"),
    }
}

/// No file remembers failures: a failure is remembered as a case.
fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}
