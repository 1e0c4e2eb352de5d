//! Whether what was told of the three kinds is still true, and since when it may not be.
//!
//! May enter: what became of requests, and the time. Leaves [`Change::SourceHealthy`] and
//! [`Change::SourceProblem`]. Deliberately absent: a clock, waiting, what the server said.
//!
//! A kind's *contact* is the last moment at which the server could have told a change of it: bytes of
//! its watch, the start of an answer, the end of a list. While the kind is being listed anew its contact
//! stands still, because what is in force is what was told before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::words::Trouble;
use crate::identify::feed::{Change, Kind};

/// How long a kind that was listed may fail before that is told.
///
/// 2 s: longer than the first three attempts after a dropped connection (0.2, 0.4 and 0.8 s), so what
/// heals by itself at once makes no noise. A kind that was never listed is told of at once.
const GRACE: Duration = Duration::from_secs(2);

/// How long the server may let a request wait before that is told.
const SILENCE: Duration = Duration::from_secs(5);

/// How often at most health is told while nothing is wrong, and a problem that changes its words.
const RATE: Duration = Duration::from_secs(1);

/// The health of the source.
#[derive(Debug)]
pub(super) struct Health {
    server: String,
    kinds: [One; Kind::ALL.len()],
    problem: Option<String>,
    /// Since when the problem is another one than was told.
    differs: Option<Instant>,
    /// What was last told to be true, and when.
    healthy: Option<(Instant, Instant)>,
}

/// The health of one kind.
#[derive(Debug, Default)]
struct One {
    /// It was listed once.
    listed: bool,
    /// It is being listed anew.
    listing: bool,
    contact: Option<Instant>,
    /// Since when a request waits for an answer.
    asked: Option<Instant>,
    /// Since when it fails, and why.
    failing: Option<(Instant, Trouble)>,
}

impl One {
    /// What keeps it from being true, told or not yet.
    fn trouble(&self, now: Instant) -> Option<Trouble> {
        let silent = self.asked.is_some_and(|at| now - at >= SILENCE);
        match &self.failing {
            Some((_, trouble)) => Some(trouble.clone()),
            None => silent.then(Trouble::no_answer),
        }
    }

    /// Whether that is to be told.
    fn matters(&self, now: Instant) -> bool {
        match &self.failing {
            Some((since, _)) => !self.listed || now - *since >= GRACE,
            None => self.trouble(now).is_some(),
        }
    }
}

impl Health {
    /// Nothing is known yet of what `server`, an address, tells.
    pub(super) fn new(server: String) -> Self {
        Self {
            server,
            kinds: std::array::from_fn(|_| One::default()),
            problem: None,
            differs: None,
            healthy: None,
        }
    }

    /// The server is at another address from now on.
    pub(super) fn moved(&mut self, server: String) {
        self.server = server;
    }

    /// A request for `kind` goes out.
    pub(super) fn on_asked(&mut self, kind: Kind, now: Instant) {
        self.kinds[kind as usize].asked = Some(now);
    }

    /// An answer came, good or bad, or none will.
    pub(super) fn on_answered(&mut self, kind: Kind) {
        self.kinds[kind as usize].asked = None;
    }

    /// A good answer to a watch from a known version on began.
    pub(super) fn on_resumed(&mut self, kind: Kind, now: Instant) {
        let one = &mut self.kinds[kind as usize];
        if one.listed && !one.listing {
            one.failing = None;
            one.contact = Some(now);
        }
    }

    /// Bytes of an answer came.
    pub(super) fn on_heard(&mut self, kind: Kind, now: Instant) {
        let one = &mut self.kinds[kind as usize];
        if one.listed && !one.listing {
            one.contact = Some(now);
        }
    }

    /// `kind` is being listed anew.
    pub(super) fn on_listing(&mut self, kind: Kind) {
        self.kinds[kind as usize].listing = true;
    }

    /// All of `kind` has been told.
    pub(super) fn on_listed(&mut self, kind: Kind, now: Instant) {
        self.kinds[kind as usize] = One {
            listed: true,
            contact: Some(now),
            ..One::default()
        };
    }

    /// A request for `kind` or its answer failed.
    pub(super) fn on_failed(&mut self, kind: Kind, trouble: Trouble, now: Instant) {
        let one = &mut self.kinds[kind as usize];
        let since = one.failing.as_ref().map_or(now, |(since, _)| *since);
        one.failing = Some((since, trouble));
    }

    /// What is to be told now.
    pub(super) fn next_change(&mut self, now: Instant) -> Option<Change> {
        if self.kinds.iter().any(|one| one.matters(now)) {
            if self.gathers(now) {
                return None;
            }
            return self.next_problem(now);
        }
        // A fault that is not told yet keeps a told one standing.
        if self.kinds.iter().any(|one| one.failing.is_some()) {
            return None;
        }
        let contacts = self
            .kinds
            .iter()
            .map(|one| one.contact.filter(|_| one.listed));
        let as_of = contacts.collect::<Option<Vec<_>>>()?.into_iter().min()?;
        let recovered = self.problem.is_some() && self.kinds.iter().all(|one| !one.listing);
        let due = self.problem.is_none()
            && self
                .healthy
                .is_none_or(|(told, at)| as_of > told && now - at >= RATE);
        if !recovered && !due {
            return None;
        }
        self.problem = None;
        self.differs = None;
        self.healthy = Some((as_of, now));
        Some(Change::SourceHealthy(as_of))
    }

    fn next_problem(&mut self, now: Instant) -> Option<Change> {
        let problem = self.words(now);
        if self.problem.as_ref() == Some(&problem) {
            self.differs = None;
            return None;
        }
        // Kinds fail and recover one after another; half of that is no news.
        if self.problem.is_some() && now - *self.differs.get_or_insert(now) < RATE {
            return None;
        }
        self.differs = None;
        self.problem = Some(problem.clone());
        Some(Change::SourceProblem(problem))
    }

    /// Whether one sentence would soon be two: of the first requests, some are not answered yet.
    fn gathers(&self, now: Instant) -> bool {
        let waits = |one: &One| one.failing.is_none() && one.asked.is_some();
        let waits = |one: &One| waits(one) && one.trouble(now).is_none();
        self.problem.is_none() && self.kinds.iter().any(waits)
    }

    /// All that is wrong; kinds that suffer the same stand together.
    fn words(&self, now: Instant) -> String {
        let mut causes: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        let mut mends = BTreeSet::new();
        for kind in Kind::ALL {
            if let Some(Trouble { cause, mend }) = self.kinds[kind as usize].trouble(now) {
                causes.entry(cause).or_default().push(plural(kind));
                mends.insert(mend);
            }
        }
        let causes: Vec<String> = causes
            .iter()
            .map(|(cause, kinds)| format!("{}: {cause}", kinds.join(", ")))
            .collect();
        let mends: Vec<String> = mends.into_iter().collect();
        let (causes, mends) = (causes.join("; "), mends.join("; "));
        format!("cannot follow {} ({causes}); {mends}", self.server)
    }
}

/// What the API server calls all objects of a kind, with the group.
pub(super) const fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "pods",
        Kind::Namespace => "namespaces",
        Kind::Policy => "networkpolicies.networking.k8s.io",
    }
}

#[cfg(test)]
mod tests;
