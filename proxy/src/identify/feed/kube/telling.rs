//! From what is watched to changes: the one place that calls the receiver.
//!
//! Deliberately absent: waiting, and why a watch failed.

use std::sync::Arc;
use std::time::Instant;

use ::kube::runtime::watcher::Event;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::object::{Object, ObjectName};

use super::door::Door;
use super::findings::Findings;
use super::object::{Told, Watched};
use super::words::Trouble;
use crate::identify::feed::key::Key;
use crate::identify::feed::{Change, Gone, Kind};

/// Tells the receiver what is new.
pub(super) struct Telling<S> {
    send: S,
    door: Door,
    /// Whose policies are watched.
    namespace: Arc<str>,
    findings: Findings,
    /// A policy is known under a name that is not its own.
    stands_in: bool,
}

/// Whether what is known of a kind is whole after an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(super) enum After {
    /// It is.
    Whole,
    /// Nobody can say which object the event was of, so what was known of that one still stands: the kind
    /// is to be listed anew.
    Doubtful,
}

impl<S: FnMut(Change)> Telling<S> {
    pub(super) fn new(send: S, door: Door, namespace: Arc<str>) -> Self {
        Self {
            send,
            door,
            namespace,
            findings: Findings::default(),
            stands_in: false,
        }
    }

    /// Tells what is new about `kind`.
    pub(super) fn on_event<K>(&mut self, kind: Kind, event: Event<Watched<K>>) -> After {
        match event {
            Event::Init => {
                self.door.ledger().health.on_listing(kind);
                self.findings.on_listing(kind);
                self.stands_in &= kind != Kind::Policy;
                (self.send)(Change::Relist(kind));
            }
            Event::InitApply(watched) => self.on_listed(kind, watched.into_told()),
            Event::InitDone => {
                (self.send)(Change::Relisted(kind));
                let news = self.findings.on_end(kind);
                self.tell_findings(news);
                let now = Instant::now();
                self.door.ledger().health.on_listed(kind, now);
                self.tell_health(now);
            }
            Event::Apply(watched) => return self.on_changed(kind, watched.into_told()),
            Event::Delete(watched) => return self.on_gone(kind, watched.into_gone()),
        }
        After::Whole
    }

    fn on_listed(&mut self, kind: Kind, told: Told) {
        let (object, findings) = self.parts(told);
        if !findings.is_empty() {
            let place = place(object.as_ref(), &findings);
            self.findings.on_listed(kind, &place, findings);
        }
        if let Some(object) = object {
            (self.send)(Change::Listed(object));
        }
    }

    fn on_changed(&mut self, kind: Kind, told: Told) -> After {
        // A policy that can be told apart may be the one that another stands in for.
        let after = match told {
            Told::Object { .. } if kind != Kind::Policy || !self.stands_in => After::Whole,
            _ => After::Doubtful,
        };
        let (object, findings) = self.parts(told);
        let place = place(object.as_ref(), &findings);
        if let Some(object) = object {
            (self.send)(Change::Upsert(object));
        }
        let news = self.findings.on_changed(kind, &place, findings);
        self.tell_findings(news);
        after
    }

    fn on_gone(&mut self, kind: Kind, gone: Option<Gone>) -> After {
        let Some(mut gone) = gone else {
            return After::Doubtful;
        };
        if let Gone::Policy(name) = &mut gone {
            self.settle(name);
        }
        let place = Key::of_gone(&gone).to_string();
        (self.send)(Change::Delete(gone));
        let news = self.findings.on_gone(kind, &place);
        self.tell_findings(news);
        After::Whole
    }

    fn parts(&mut self, told: Told) -> (Option<Object>, Vec<Diagnostic>) {
        self.stands_in |= matches!(told, Told::StandIn { .. });
        match told {
            Told::Object { object, findings } => (Some(self.settled(object)), findings),
            Told::StandIn { policy, finding } => (Some(self.settled(policy)), vec![finding]),
            Told::Nameless(finding) => (None, vec![finding]),
        }
    }

    /// Whatever a policy says of its namespace, only those of ours were asked for.
    fn settled(&self, mut object: Object) -> Object {
        if let Object::Policy(policy) = &mut object {
            self.settle(&mut policy.name);
        }
        object
    }

    fn settle(&self, name: &mut ObjectName) {
        name.namespace = Arc::clone(&self.namespace);
    }

    /// A request for `kind`, or its answer, failed.
    pub(super) fn on_failed(&mut self, kind: Kind, trouble: Trouble) {
        let now = Instant::now();
        self.door.ledger().health.on_failed(kind, trouble, now);
        self.tell_health(now);
    }

    /// Tells of the source's health, if there is anything to tell.
    pub(super) fn tell_health(&mut self, now: Instant) {
        let change = self.door.ledger().health.next_change(now);
        if let Some(change) = change {
            (self.send)(change);
        }
    }

    fn tell_findings(&mut self, news: bool) {
        if news {
            (self.send)(Change::Findings(self.findings.all()));
        }
    }
}

/// What the findings of an object are kept under; those of a nameless one under its own words.
fn place(object: Option<&Object>, findings: &[Diagnostic]) -> String {
    match (object, findings.first()) {
        (Some(object), _) => Key::of(object).to_string(),
        (None, Some(finding)) => finding.place.clone(),
        (None, None) => String::new(),
    }
}
