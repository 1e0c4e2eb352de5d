//! The vocabulary of changes: what any source of pods, namespaces and policies can tell.
//!
//! May enter: objects that [`podwall_policy::document`] has read. Deliberately absent: where they
//! come from. Nothing past this file may know the source; [`files`] and [`kube`] are two of them.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use podwall_policy::cluster::Cluster;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::object::{Object, ObjectName};

pub mod files;
mod key;
pub mod kube;
pub mod merged;

/// One change, taken in by [`World::apply`](crate::world::World::apply) in one step.
#[derive(Debug)]
pub enum Change {
    /// The whole state, which replaces everything known before; the source is synced from then on.
    Resync(Cluster),
    /// The source begins to list all objects of one kind anew. What was known of the kind stays in
    /// force until [`Relisted`](Self::Relisted). The same again before that begins anew: what was
    /// listed in between counts for nothing.
    Relist(Kind),
    /// One object of a kind that is being listed.
    Listed(Object),
    /// All objects of the kind have been told: they replace what was known of it, as one swap. The
    /// source is synced once this has been told of every kind.
    Relisted(Kind),
    /// An object that is new or changed.
    Upsert(Object),
    /// An object that is gone.
    Delete(Gone),
    /// What is odd in the documents of the newest whole state; replaces the earlier findings.
    Findings(Vec<Diagnostic>),
    /// The newest input cannot be taken, and why: object or `file:line`, and the mend. What was known
    /// before stays in force (S84).
    SourceProblem(String),
    /// The source is well, and what it told is whole as of this moment.
    SourceHealthy(Instant),
}

/// The kinds of objects, each of which a source may list by itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Pods, of the whole cluster.
    Pod,
    /// Namespaces.
    Namespace,
    /// NetworkPolicies, at least those of the subject's namespace.
    Policy,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Pod, Self::Namespace, Self::Policy];

    /// The kind that `object` is of.
    #[must_use]
    pub const fn of(object: &Object) -> Self {
        match object {
            Object::Pod(_) | Object::BrokenPod(_) => Self::Pod,
            Object::Namespace(_) | Object::BrokenNamespace(_) => Self::Namespace,
            Object::Policy(_) => Self::Policy,
        }
    }
}

impl fmt::Display for Kind {
    /// The kind's own name, as in manifests.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pod => "Pod",
            Self::Namespace => "Namespace",
            Self::Policy => "NetworkPolicy",
        })
    }
}

/// An object that is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Gone {
    /// A Pod; ignored unless the UID is that of the pod known under this name (P8).
    Pod {
        /// Its name.
        name: ObjectName,
        /// Its UID, absent where the source knows none.
        uid: Option<Arc<str>>,
    },
    /// A Namespace.
    Namespace(Arc<str>),
    /// A NetworkPolicy.
    Policy(ObjectName),
}
