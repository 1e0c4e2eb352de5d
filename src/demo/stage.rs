//! What a stage has to be able to do, so that the scenario can be played on it.
//!
//! The stages themselves are `lab` and `kubernetes`. Deliberately absent: what is expected of anybody.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use podwall_lab::{CurlResult, LabError, LabResult, Process};
use serde_json::Value;

use super::script::Step;

/// Namespace and name of a pod.
pub type Name<'n> = (&'n str, &'n str);

/// Bound on one request; a reset takes a millisecond, so whoever waits this long was dropped.
pub const REQUEST: Duration = Duration::from_secs(5);

/// The page of app2 that says on which port it is and whom app2 takes its client for.
pub const WHO: &str = "who";

/// What nginx in app2 answers on every port, followed by `port PORT`.
pub const PAGE: &str = "This is the page of app2.";

/// The scenario's pods, nginx in app2, podwall beside it. Dropping it ends all of it.
pub trait Stage {
    /// How it is called in `-o json`: `lab` or `kubernetes`.
    fn platform(&self) -> &'static str;

    /// Replaces the policies by those of `step`, gives the namespace its label, and returns when the sidecar has
    /// taken that in.
    ///
    /// # Errors
    /// Where the change is refused, or not taken in.
    fn prepare(&mut self, step: &Step) -> LabResult<()>;

    /// One request for [`WHO`] of app2, sent from the client's pod. Bounded by [`REQUEST`].
    ///
    /// # Errors
    /// Where it could not be sent; whatever came of it is an answer.
    fn ask(&self, client: Name<'_>, port: u16) -> LabResult<CurlResult>;

    /// curl in the client's pod, which loads a page from port 80 of app2 so slowly that it takes many minutes.
    ///
    /// # Errors
    /// Where it could not be started.
    fn open_stream(&self, client: Name<'_>) -> LabResult<Process>;

    /// Takes all labels away from a pod, and returns when the sidecar has taken that in.
    ///
    /// # Errors
    /// As [`Stage::prepare`].
    fn take_labels(&mut self, pod: Name<'_>) -> LabResult<()>;

    /// The address by which app2 knows the pod.
    ///
    /// # Errors
    /// Where the scenario has no such pod.
    fn address(&self, pod: Name<'_>) -> LabResult<IpAddr>;

    /// How many access-log lines the sidecar has written.
    fn lines(&self) -> usize;

    /// Waits for the first access-log line from the `skip`-th on for which `wanted` holds; none where it does not
    /// come within [`REQUEST`].
    ///
    /// # Errors
    /// Where the sidecar, or the way to its log, has ended.
    fn line(&self, skip: usize, wanted: &dyn Fn(&Value) -> bool) -> LabResult<Option<Value>>;

    /// What a person does to go on by hand, for `--keep`.
    fn how_to_enter(&self) -> String;
}

/// This program, to be started beside app2.
///
/// # Errors
/// Where the system does not say where it is.
pub fn program() -> LabResult<PathBuf> {
    std::env::current_exe().map_err(|source| LabError::Io {
        what: "find the podwall program".to_owned(),
        source,
    })
}
