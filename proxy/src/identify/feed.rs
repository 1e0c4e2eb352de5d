//! The vocabulary of changes: what any source of pods, namespaces and policies can tell.
//!
//! May enter: objects that [`podwall_policy::document`] has read. Deliberately absent: where they
//! come from. Nothing past this file may know the source; [`files`] is one of them.

use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::object::{Object, ObjectName};

pub mod files;

/// One change, taken in by [`World::apply`](crate::world::World::apply) in one step.
#[derive(Debug)]
pub enum Change {
    /// The whole state, which replaces everything known before; the source is synced from then on.
    Resync(Cluster),
    /// An object that is new or changed.
    Upsert(Object),
    /// An object that is gone.
    Delete(Gone),
    /// What is odd in the documents of the newest whole state; replaces the earlier findings.
    Findings(Vec<Diagnostic>),
    /// The newest input cannot be taken, and why: object or `file:line`, and the mend. What was known
    /// before stays in force (S84).
    SourceProblem(String),
    /// The source was asked, is well, and has nothing new.
    SourceHealthy,
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
