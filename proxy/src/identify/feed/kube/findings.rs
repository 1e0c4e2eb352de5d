//! What is odd in the cluster's objects, as long as they are there.

use std::collections::BTreeMap;

use podwall_policy::diagnostic::{Diagnostic, Severity};

use crate::identify::feed::Kind;

/// Of how many objects findings are kept: more are no help to a reader, and memory is bounded.
const OBJECTS: usize = 1_000;

/// An object as findings call it, such as `Pod shop/web`.
type Place = (Kind, String);

/// Findings by object.
#[derive(Debug, Default)]
pub(super) struct Findings {
    known: BTreeMap<Place, Vec<Diagnostic>>,
    /// Of the objects listed so far, for each kind that is being listed anew.
    open: BTreeMap<Kind, BTreeMap<Place, Vec<Diagnostic>>>,
    /// There were more than are kept.
    beyond: bool,
}

impl Findings {
    /// All objects of `kind` are told anew.
    pub(super) fn on_listing(&mut self, kind: Kind) {
        self.open.insert(kind, BTreeMap::new());
    }

    /// What is odd in an object of a list.
    pub(super) fn on_listed(&mut self, kind: Kind, place: &str, findings: Vec<Diagnostic>) {
        let Some(open) = self.open.get_mut(&kind) else {
            return;
        };
        if findings.is_empty() {
            return;
        }
        if open.len() < OBJECTS {
            open.insert((kind, place.to_owned()), findings);
        } else {
            self.beyond = true;
        }
    }

    /// The list is whole; whether anything changed.
    pub(super) fn on_end(&mut self, kind: Kind) -> bool {
        let listed = self.open.remove(&kind).unwrap_or_default();
        let before: Vec<Place> = self
            .known
            .keys()
            .filter(|(of, _)| *of == kind)
            .cloned()
            .collect();
        let mut changed = false;
        for place in before.iter().filter(|place| !listed.contains_key(*place)) {
            changed |= self.known.remove(place).is_some();
        }
        for ((_, place), findings) in listed {
            changed |= self.on_changed(kind, &place, findings);
        }
        changed
    }

    /// What is odd in an object that is new or changed; whether that is news.
    pub(super) fn on_changed(
        &mut self,
        kind: Kind,
        place: &str,
        findings: Vec<Diagnostic>,
    ) -> bool {
        if findings.is_empty() {
            return self.on_gone(kind, place);
        }
        let place = (kind, place.to_owned());
        if self.known.get(&place) == Some(&findings) {
            return false;
        }
        if self.known.len() >= OBJECTS && !self.known.contains_key(&place) {
            return !std::mem::replace(&mut self.beyond, true);
        }
        self.known.insert(place, findings);
        true
    }

    /// An object is gone; whether anything was odd in it.
    pub(super) fn on_gone(&mut self, kind: Kind, place: &str) -> bool {
        // Almost always empty: then no key is made.
        if self.known.is_empty() || self.known.remove(&(kind, place.to_owned())).is_none() {
            return false;
        }
        if self.known.is_empty() {
            self.beyond = false;
        }
        true
    }

    /// All of them, sorted by kind and object.
    pub(super) fn all(&self) -> Vec<Diagnostic> {
        let more = self.beyond.then(|| Diagnostic {
            severity: Severity::Warning,
            place: "cluster".to_owned(),
            message: format!("there are findings on more than {OBJECTS} objects"),
            help: "mend those shown; the others are shown then".to_owned(),
        });
        self.known.values().flatten().cloned().chain(more).collect()
    }
}

#[cfg(test)]
mod tests;
