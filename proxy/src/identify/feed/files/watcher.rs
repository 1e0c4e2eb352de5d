//! When to read: after a change has come to rest, and from time to time.
//!
//! Deliberately absent: how a change is heard (see [`ears`](super::ears)) and how files are read (see
//! [`reading`](super::reading)).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::Change;
use super::FeedError;
use super::ears::{Ears, Heard};
use super::reading::{Signature, read_steady};

/// How long it must be quiet after an event before files are read: an update is several events.
const QUIET: Duration = Duration::from_millis(3);

/// The same after a change that the slow poll saw: nothing tells when its writer is done.
const QUIET_POLLED: Duration = Duration::from_millis(50);

/// The longest that unceasing events put a reading off.
const RESTLESS: Duration = Duration::from_millis(50);

/// How long a fault that may pass by itself, or a file open for writing, is waited out before it is told.
const PATIENCE: Duration = Duration::from_millis(200);

/// How often the files are looked at although nothing was heard; one `stat` each.
///
/// 1 s: for file systems and links that tell no events.
const POLL: Duration = Duration::from_secs(1);

/// Reads the files when it is time and tells what they say.
pub(super) struct Watcher<S> {
    paths: Vec<PathBuf>,
    ears: Ears,
    send: S,
    /// Of the files as they were last read.
    signature: Signature,
    told: Told,
}

/// What was told last.
#[derive(Debug, Eq, PartialEq)]
enum Told {
    Nothing,
    State,
    Problem(String),
}

/// A change that is not taken in yet.
#[derive(Debug)]
struct Pending {
    since: Instant,
    /// How the files looked to the slow poll; `None` for a change that was heard.
    polled: Option<Signature>,
}

impl<S: FnMut(Change)> Watcher<S> {
    pub(super) fn new(paths: Vec<PathBuf>, ears: Ears, send: S) -> Self {
        Self {
            paths,
            ears,
            send,
            signature: Signature::default(),
            told: Told::Nothing,
        }
    }

    /// Until the watch is to end.
    pub(super) fn run(mut self) {
        if let Err(fault) = self.take_in() {
            self.tell(&fault);
        }
        let mut pending: Option<Pending> = None;
        loop {
            let limit = match &pending {
                None => POLL,
                Some(_) if self.ears.being_written().is_some() => PATIENCE,
                Some(Pending { polled: None, .. }) => QUIET,
                Some(Pending {
                    polled: Some(_), ..
                }) => QUIET_POLLED,
            };
            let now = match self.ears.wait(limit) {
                Heard::Stop => return,
                Heard::Something => pending.get_or_insert_with(Pending::heard).is_restless(),
                Heard::Nothing => true,
            };
            pending = match pending {
                Some(one) if now => self.settle(one),
                None if now => self.look(),
                waiting => waiting,
            };
        }
    }

    /// Nothing was heard for a while: looks whether something changed all the same.
    fn look(&mut self) -> Option<Pending> {
        let seen = Signature::of(&self.paths);
        if seen != self.signature || matches!(self.told, Told::Problem(_)) {
            return Some(Pending {
                since: Instant::now(),
                polled: Some(seen),
            });
        }
        (self.send)(Change::SourceHealthy(std::time::Instant::now()));
        None
    }

    /// A change seems to have come to rest: takes it in, unless it goes on.
    fn settle(&mut self, pending: Pending) -> Option<Pending> {
        let patience_is_over = pending.since.elapsed() >= PATIENCE;
        if let Some(path) = self.ears.being_written() {
            let fault = FeedError::BeingWritten(path.to_owned());
            if patience_is_over {
                self.tell(&fault);
            }
            return Some(pending);
        }
        if let Some(seen) = &pending.polled {
            let now = Signature::of(&self.paths);
            if now != *seen && !patience_is_over {
                return Some(Pending {
                    polled: Some(now),
                    ..pending
                });
            }
        }
        match self.take_in() {
            Err(fault) if fault.may_pass() && !patience_is_over => Some(pending),
            Err(fault) => {
                self.tell(&fault);
                None
            }
            Ok(()) => None,
        }
    }

    /// Reads the files and tells the state, if they make one. Watches first, so that no change
    /// falls between.
    fn take_in(&mut self) -> Result<(), FeedError> {
        self.ears.arm(&self.paths);
        let (read, signature) = read_steady(&self.paths);
        self.signature = signature;
        let (cluster, findings) = read?;
        self.told = Told::State;
        (self.send)(Change::Findings(findings));
        (self.send)(Change::Resync(cluster));
        Ok(())
    }

    /// Tells a problem, once.
    fn tell(&mut self, fault: &FeedError) {
        let problem = fault.to_string();
        if self.told != Told::Problem(problem.clone()) {
            (self.send)(Change::SourceProblem(problem.clone()));
            self.told = Told::Problem(problem);
        }
    }
}

impl Pending {
    fn heard() -> Self {
        Self {
            since: Instant::now(),
            polled: None,
        }
    }

    /// Whether events have been coming for so long that quiet is not waited for.
    fn is_restless(&self) -> bool {
        self.since.elapsed() >= RESTLESS
    }
}
