//! Everything known at this moment: who owns which address, and what holds for the subject.
//!
//! One writer, many readers. A reader sees the state before a change or after it, never between.
//! May enter: [`Change`]s, addresses, flows. Deliberately absent: where changes come from, waiting
//! (see [`World::changes`]), connections (see [`Touched`]).
//!
//! Closed until known: before the first whole state every arrival is refused `not_synced`; while the
//! subject's Pod or the Namespace it is in have not been seen, `subject_unknown`. A subject that was
//! known and is gone keeps its last labels; one whose object cannot be read any more is unknown (P26).
//!
//! Work: a pod's event costs its addresses, not the index. A table is compiled only when the policies
//! that select the subject or its identity changed, and outside the readers' lock.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Instant, SystemTime};

use podwall_policy::cluster::Cluster;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::explain::Miss;
use podwall_policy::flow::Flow;
use podwall_policy::object::{Object, ObjectName};
use podwall_policy::verdict::AllowReason;
use tokio::sync::watch;

use crate::identify::feed::{Change, Gone, Kind};
use crate::identify::index::{Effect, Index};
use crate::ruling::{Decision, Refusal, Ruling};
use books::Books;
use health::{Health, Saying};
use state::State;

mod books;
mod health;
mod lists;
mod nodes;
mod state;
#[cfg(test)]
mod tests;
mod touched;

pub use health::{REMINDER, SubjectStatus, WorldStatus};
pub use nodes::Nodes;
pub use touched::Touched;

/// Everything known at this moment.
#[derive(Debug)]
pub struct World {
    subject: ObjectName,
    nodes: Nodes,
    /// Held for the whole of a change; readers never meet it.
    books: Mutex<Books>,
    state: RwLock<State>,
    changes: watch::Sender<u64>,
}

impl World {
    /// A world in which nothing is known yet but the subject's node.
    #[must_use]
    pub fn new(subject: ObjectName, nodes: Nodes) -> Arc<Self> {
        Arc::new(Self {
            nodes,
            books: Mutex::new(Books::new(subject.clone())),
            subject,
            state: RwLock::new(State::nothing(0, Health::default())),
            changes: watch::Sender::new(0),
        })
    }

    /// The pod that this sidecar guards.
    #[must_use]
    pub fn subject(&self) -> &ObjectName {
        &self.subject
    }

    /// The UDP ports that it declares, as far as is known. Waits for the writer; to be asked by it.
    #[must_use]
    pub fn declared_udp_ports(&self) -> Arc<[u16]> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.udp_ports()
    }

    /// Rules on a flow from `source` by what is known now. Never waits for more to be known.
    ///
    /// The node is let in without asking what is known; elsewhere than on its ports, if it has such,
    /// it is judged by its address alone. The subject's own traffic never comes here.
    #[must_use]
    pub fn judge(&self, source: IpAddr, flow: &Flow) -> Ruling {
        if self.nodes.admit(source, flow) {
            return Ruling {
                decision: Decision::Allow(AllowReason::Node),
                admitted_by: None,
                peer: None,
                generation: 0,
            };
        }
        let Some(state) = self.read() else {
            return Refusal::NotSynced.into();
        };
        if !state.synced {
            return state.refuse(Refusal::NotSynced);
        }
        match &state.judge {
            Some(judge) => judge.rule(flow, state.sender(source), state.generation),
            None => state.refuse(Refusal::SubjectUnknown),
        }
    }

    /// By how little each policy missed a denied flow. Asked after a denial only: it allocates.
    #[must_use]
    pub fn misses(&self, source: IpAddr, flow: &Flow) -> Vec<Miss> {
        let Some(state) = self.read() else {
            return Vec::new();
        };
        match &state.judge {
            Some(judge) if state.synced => judge.misses(flow, state.sender(source)),
            _ => Vec::new(),
        }
    }

    /// Takes a change in, as one step for every reader, and says who must be judged again.
    pub fn apply(&self, change: Change) -> Touched {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Resync(cluster) => self.resync(&mut books, &cluster),
            Change::Relist(kind) => {
                self.begin(&mut books, &[kind]);
                Touched::Nothing
            }
            Change::Listed(object) => {
                self.listed(&mut books, &object);
                Touched::Nothing
            }
            Change::Relisted(kind) => self.end(&mut books, &[kind]),
            Change::Upsert(object) => self.upsert(&mut books, &object),
            Change::Delete(gone) => self.delete(&mut books, &gone),
            Change::Findings(findings) => self.note(|health| health.documents(findings)),
            Change::SourceProblem(problem) => {
                let (now, wall) = (Instant::now(), SystemTime::now());
                self.note(|health| health.problem(problem, now, wall))
            }
            Change::SourceHealthy(as_of) => {
                self.note(|health| health.confirmed(as_of, Instant::now()))
            }
        }
    }

    /// Puts into the log how old the state in force is, at most once per [`REMINDER`] and only while
    /// the source is in trouble. To be called from time to time.
    pub fn remind(&self) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let _ = self.note(|health| health.remind(now, wall));
    }

    /// What alters no ruling.
    fn note(&self, what: impl FnOnce(&mut Health)) -> Touched {
        let mut state = self.write();
        what(&mut state.health);
        let said = state.health.unsaid();
        drop(state);
        said.iter().for_each(Saying::say);
        Touched::Nothing
    }

    /// Wakes whoever holds arrivals; the value is the generation.
    ///
    /// Mark it seen, then judge, then wait: a change after the judgement is then never missed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The state's number; it grows with every change that could alter a verdict, once that change is in force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.changes.borrow()
    }

    /// How the world stands, for readiness, metrics and the log.
    #[must_use]
    pub fn status(&self) -> WorldStatus {
        let state = self.known();
        WorldStatus {
            synced: state.synced,
            subject: state.subject,
            generation: state.generation,
            pods: state.index.pods(),
            namespaces: state.index.namespaces(),
            policies: state.policies,
            contested: state.index.contested(),
            diagnostics: state.health.count(),
            last_change_at: state.health.last_change_at,
            last_confirmed_at: state.health.last_confirmed_at,
            problem: state.health.problem_now().map(str::to_owned),
        }
    }

    /// What is odd in the documents and policies, and which addresses several pods claim.
    #[must_use]
    pub fn findings(&self) -> Vec<Diagnostic> {
        let state = self.known();
        state.health.findings(&state.index)
    }

    /// `None` where a writer broke off in the middle: what it left must not be asked.
    fn read(&self) -> Option<RwLockReadGuard<'_, State>> {
        self.state.read().ok()
    }

    /// For the one writer, who alone makes and mends a broken-off state.
    fn known(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole state at once: all three lists, ended in one step.
    fn resync(&self, books: &mut Books, cluster: &Cluster) -> Touched {
        self.begin(books, &Kind::ALL);
        for object in objects(cluster) {
            self.listed(books, &object);
        }
        let touched = self.end(books, &Kind::ALL);
        let now = Instant::now();
        let _ = self.note(|health| health.confirmed(now, now));
        touched
    }

    /// Lists begin. After a writer that broke off they begin from nothing: what it left is no base.
    fn begin(&self, books: &mut Books, kinds: &[Kind]) {
        if self.state.is_poisoned() {
            *books = Books::new(self.subject.clone());
            let mut state = self.write();
            *state = State::nothing(state.generation, std::mem::take(&mut state.health));
            drop(state);
            self.state.clear_poison();
        }
        kinds.iter().for_each(|kind| books.lists.begin(*kind));
    }

    /// One object of a list. Before the first whole list of pods nobody is judged by the index, so
    /// they go right in: the first list needs no second copy of them.
    fn listed(&self, books: &mut Books, object: &Object) {
        let unjudged = books.lists.is_first(Kind::Pod);
        if let (Object::Pod(pod), true) = (object, unjudged) {
            let mut state = self.write();
            let effect = state.index.upsert_pod(pod);
            state.renumber(&effect);
            books.lists.upserted(&state.index, object);
            return;
        }
        books.lists.listed(&self.known().index, object);
    }

    /// Lists are whole: what they say otherwise becomes known in one step (P25).
    fn end(&self, books: &mut Books, kinds: &[Kind]) -> Touched {
        let ended = books.lists.end(&self.known().index, kinds);
        let Some(ended) = ended else {
            return Touched::Nothing;
        };
        if let Some(policies) = ended.policies {
            books.replace_policies(policies);
        }
        ended.about_subject.iter().for_each(|one| books.upsert(one));
        let whole = books.lists.all_whole();
        self.step(books, whole, |index| index.catch_up(&ended.difference))
    }

    fn upsert(&self, books: &mut Books, object: &Object) -> Touched {
        books.upsert(object);
        let touched = self.step(books, false, |index| match object {
            Object::Pod(pod) => index.upsert_pod(pod),
            Object::Namespace(namespace) => index.upsert_namespace(namespace),
            Object::BrokenPod(name) => index.break_pod(name),
            Object::BrokenNamespace(name) => index.forget_namespace(name),
            Object::Policy(_) => Effect::default(),
        });
        books.lists.upserted(&self.known().index, object);
        touched
    }

    fn delete(&self, books: &mut Books, gone: &Gone) -> Touched {
        books.delete(gone);
        books.lists.deleted(gone);
        self.step(books, false, |index| match gone {
            Gone::Pod { name, uid } => index.delete_pod(name, uid.as_deref()),
            Gone::Namespace(name) => index.forget_namespace(name),
            Gone::Policy(_) => Effect::default(),
        })
    }

    /// Compiles if it must, then changes index and judge in one locked step.
    fn step(
        &self,
        books: &mut Books,
        whole: bool,
        change: impl FnOnce(&mut Index) -> Effect,
    ) -> Touched {
        let next = *self.changes.borrow() + 1;
        let holds = books.renew(next);
        let mut state = self.write();
        let effect = change(&mut state.index);
        let (touched, old) = state.settle(holds, effect, whole, next);
        let generation = state.generation;
        let said = state.health.unsaid();
        drop(state);
        drop(old);
        said.iter().for_each(Saying::say);
        if touched != Touched::Nothing {
            self.changes.send_replace(generation);
        }
        touched
    }
}

/// Every object of a whole state; namespaces first, so that pods meet their labels.
fn objects(cluster: &Cluster) -> impl Iterator<Item = Object> {
    let namespaces = cluster.namespaces().cloned().map(Object::Namespace);
    let pods = cluster.pods().cloned().map(Object::Pod);
    let policies = cluster.policies().iter().cloned().map(Object::Policy);
    let broken_pods = cluster.broken_pods().cloned().map(Object::BrokenPod);
    let broken_namespaces = cluster
        .broken_namespaces()
        .cloned()
        .map(Object::BrokenNamespace);
    let readable = namespaces.chain(pods).chain(policies);
    readable.chain(broken_pods).chain(broken_namespaces)
}
