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

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use podwall_policy::cluster::Cluster;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::explain::Miss;
use podwall_policy::flow::Flow;
use podwall_policy::object::ObjectName;
use podwall_policy::verdict::AllowReason;
use tokio::sync::watch;

use crate::identify::feed::{Change, Gone, Kind};
use crate::identify::index::{Effect, Index};
use crate::judge::{Judge, Sender};
use crate::ruling::{Decision, Refusal, Ruling};
use books::{Books, Holds};
use health::Health;

mod books;
mod health;
mod nodes;
mod relist;
#[cfg(test)]
mod tests;

pub use health::{SubjectStatus, WorldStatus};
pub use nodes::Nodes;

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

/// What a reader sees.
#[derive(Debug)]
struct State {
    synced: bool,
    generation: u64,
    index: Index,
    subject: SubjectStatus,
    /// There while the subject is known.
    judge: Option<Judge>,
    /// How many policies select the subject.
    policies: usize,
    health: Health,
}

/// Whose open connections must be judged again after a change (P28).
#[must_use]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Touched {
    /// Nobody's.
    Nothing,
    /// All.
    Everything,
    /// Those from these addresses.
    Addresses(HashSet<IpAddr>),
}

impl World {
    /// A world in which nothing is known yet but the subject's node.
    #[must_use]
    pub fn new(subject: ObjectName, nodes: Nodes) -> Arc<Self> {
        Arc::new(Self {
            nodes,
            books: Mutex::new(Books::new(subject.clone())),
            subject,
            state: RwLock::new(State {
                synced: false,
                generation: 0,
                index: Index::default(),
                subject: SubjectStatus::Unknown,
                judge: None,
                policies: 0,
                health: Health::default(),
            }),
            changes: watch::Sender::new(0),
        })
    }

    /// The pod that this sidecar guards.
    #[must_use]
    pub fn subject(&self) -> &ObjectName {
        &self.subject
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
                books.relists.begin(kind);
                Touched::Nothing
            }
            Change::Listed(object) => {
                books.relists.listed(object);
                Touched::Nothing
            }
            Change::Relisted(kind) => self.relisted(&mut books, kind),
            Change::Upsert(object) => {
                books.upsert(&object);
                self.step(&mut books, |index| index.upsert(&object))
            }
            Change::Delete(gone) => {
                books.delete(&gone);
                self.step(&mut books, |index| delete(index, &gone))
            }
            Change::Findings(findings) => self.note(|health| health.documents(findings)),
            Change::SourceProblem(problem) => self.note(|health| health.problem(problem)),
            Change::SourceHealthy(as_of) => self.note(|health| health.confirmed(as_of)),
        }
    }

    /// What alters no ruling.
    fn note(&self, what: impl FnOnce(&mut Health)) -> Touched {
        what(&mut self.write().health);
        Touched::Nothing
    }

    /// Wakes whoever holds arrivals; the value is the generation.
    ///
    /// Mark it seen, then judge, then wait: a change after the judgement is then never missed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How the world stands, for readiness, metrics and the log.
    #[must_use]
    pub fn status(&self) -> WorldStatus {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
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
            problem: state.health.problem.clone(),
        }
    }

    /// What is odd in the documents and policies, and which addresses several pods claim.
    #[must_use]
    pub fn findings(&self) -> Vec<Diagnostic> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.health.findings(&state.index)
    }

    /// `None` where a writer broke off in the middle: what it left must not be asked.
    fn read(&self) -> Option<RwLockReadGuard<'_, State>> {
        self.state.read().ok()
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole state at once: built beside the old one, then swapped in.
    fn resync(&self, books: &mut MutexGuard<'_, Books>, cluster: &Cluster) -> Touched {
        books.resync(cluster);
        let (index, effect) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            state.index.resync(cluster.namespaces(), cluster.pods())
        };
        let mut index = Some(index);
        let touched = self.step_as(books, true, |old| {
            // The old content leaves with `index`, after the readers' lock is free again.
            if let Some(new) = &mut index {
                std::mem::swap(old, new);
            }
            effect
        });
        self.state.clear_poison();
        touched
    }

    /// All of one kind at once: what is not listed is gone.
    fn relisted(&self, books: &mut Books, kind: Kind) -> Touched {
        let Some(objects) = books.relists.end(kind) else {
            return Touched::Nothing;
        };
        if kind == Kind::Policy {
            books.forget_policies();
        }
        objects.iter().for_each(|object| books.upsert(object));
        let whole = books.relists.all_whole();
        self.step_as(books, whole, |index| index.relist(kind, &objects))
    }

    fn step(&self, books: &mut Books, change: impl FnOnce(&mut Index) -> Effect) -> Touched {
        self.step_as(books, false, change)
    }

    /// Compiles if it must, then changes index and judge in one locked step.
    fn step_as(
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
        drop(state);
        drop(old);
        if touched != Touched::Nothing {
            self.changes.send_replace(generation);
        }
        touched
    }
}

impl State {
    /// Whoever owns that address.
    fn sender(&self, source: IpAddr) -> Sender<'_> {
        self.index
            .find(source)
            .map_or(Sender::Unknown, |found| Sender::Pod {
                name: found.name,
                identity: found.identity,
                slot: found.slot,
            })
    }

    fn refuse(&self, refusal: Refusal) -> Ruling {
        Ruling {
            generation: self.generation,
            ..refusal.into()
        }
    }

    /// The state after a change of the index; gives back the old judge, to be dropped elsewhere.
    fn settle(
        &mut self,
        holds: Option<Holds>,
        effect: Effect,
        whole: bool,
        next: u64,
    ) -> (Touched, Option<Judge>) {
        let first = whole && !self.synced;
        let renewed = holds.is_some();
        let old = holds.and_then(|holds| {
            self.subject = holds.subject;
            self.policies = holds.policies;
            self.health.policies(holds.findings);
            std::mem::replace(&mut self.judge, holds.judge)
        });
        if let Some(judge) = &mut self.judge {
            effect.released.iter().for_each(|slot| judge.forget(*slot));
            judge.make_room(self.index.slots());
        }
        self.synced |= whole;
        let touched = match (first || renewed, effect.touched) {
            (true, _) => Touched::Everything,
            (false, addresses) if addresses.is_empty() => Touched::Nothing,
            (false, addresses) => Touched::Addresses(addresses),
        };
        let now = Instant::now();
        self.health.confirmed(now);
        if touched != Touched::Nothing {
            self.generation = next;
            self.health.last_change_at = Some(now);
        }
        (touched, old)
    }
}

fn delete(index: &mut Index, gone: &Gone) -> Effect {
    match gone {
        Gone::Pod { name, uid } => index.delete_pod(name, uid.as_deref()),
        Gone::Namespace(name) => index.forget_namespace(name),
        Gone::Policy(_) => Effect::default(),
    }
}
