//! From what is watched to changes: the one place that calls the receiver.
//!
//! Deliberately absent: waiting, and why a watch failed.

use std::sync::Arc;
use std::time::Instant;

use ::kube::runtime::watcher::Event;
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
}

impl<S: FnMut(Change)> Telling<S> {
    pub(super) fn new(send: S, door: Door, namespace: Arc<str>) -> Self {
        Self {
            send,
            door,
            namespace,
            findings: Findings::default(),
        }
    }

    /// Tells what is new about `kind`.
    pub(super) fn on_event<K>(&mut self, kind: Kind, event: Event<Watched<K>>) {
        match event {
            Event::Init => {
                self.door.ledger().health.on_listing(kind);
                self.findings.on_listing(kind);
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
            Event::Apply(watched) => self.on_changed(kind, watched.into_told()),
            Event::Delete(watched) => {
                if let Some(mut gone) = watched.into_gone() {
                    if let Gone::Policy(name) = &mut gone {
                        self.settle(name);
                    }
                    let place = Key::of_gone(&gone).to_string();
                    (self.send)(Change::Delete(gone));
                    let news = self.findings.on_gone(kind, &place);
                    self.tell_findings(news);
                }
            }
        }
    }

    fn on_listed(&mut self, kind: Kind, told: Told) {
        match told {
            Told::Object { object, findings } => {
                let object = self.settled(object);
                if !findings.is_empty() {
                    let place = Key::of(&object).to_string();
                    self.findings.on_listed(kind, &place, findings);
                }
                (self.send)(Change::Listed(object));
            }
            Told::Nameless(finding) => {
                let place = finding.place.clone();
                self.findings.on_listed(kind, &place, vec![finding]);
            }
        }
    }

    fn on_changed(&mut self, kind: Kind, told: Told) {
        let news = match told {
            Told::Object { object, findings } => {
                let object = self.settled(object);
                let place = Key::of(&object).to_string();
                (self.send)(Change::Upsert(object));
                self.findings.on_changed(kind, &place, findings)
            }
            Told::Nameless(finding) => {
                let place = finding.place.clone();
                self.findings.on_changed(kind, &place, vec![finding])
            }
        };
        self.tell_findings(news);
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
