//! A test that cannot run on this machine says so, loudly; where `CI` is set that is a failure.

use std::{env, fmt::Display};

/// Whether `test` must be left out, because of `why` it cannot run here.
///
/// # Panics
/// In CI, where nothing may be left out.
#[must_use]
pub fn skipped(test: &str, why: Option<impl Display>) -> bool {
    let Some(why) = why else {
        return false;
    };
    eprintln!("SKIPPED: {test}: {why}");
    assert!(env::var_os("CI").is_none(), "in CI {test} must run: {why}");
    true
}
