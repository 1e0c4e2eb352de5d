//! The cluster's objects, cut down to what a decision can depend on.
//!
//! May enter: values that [`document`](crate::document) has read. Deliberately absent: Kubernetes'
//! spelling, defaulting and validation, which live in `document`.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::flow::Protocol;
use crate::labels::Labels;
use crate::spec::Policy;

/// The label that the API server puts on every namespace; its value is the namespace's name (S27).
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Namespace and name: how an object of a namespace is called. Prints as `namespace/name`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectName {
    /// The namespace that holds the object.
    pub namespace: Arc<str>,
    /// The name inside that namespace.
    pub name: Arc<str>,
}

impl ObjectName {
    /// The object `name` of `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

/// One object of the three kinds that a decision reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Object {
    /// A Pod.
    Pod(Pod),
    /// A Namespace.
    Namespace(Namespace),
    /// A NetworkPolicy. A malformed one is here too, with its broken parts marked (P26).
    Policy(Policy),
    /// A Pod that cannot be read: it and its earlier content count as unknown (P26).
    BrokenPod(ObjectName),
    /// A Namespace that cannot be read: it and its earlier content count as unknown (P26).
    BrokenNamespace(Arc<str>),
}

/// Where a pod stands in its life (`status.phase`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Accepted, not all containers started.
    Pending,
    /// Bound to a node, containers made.
    Running,
    /// All containers ended well; the address is released (S70).
    Succeeded,
    /// All containers ended, one badly; the address is released (S70).
    Failed,
    /// The node does not answer, or a phase we do not know: the pod counts as alive.
    Unknown,
}

/// A container port that has a name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NamedPort {
    /// The port's name, unique per pod and protocol.
    pub name: Arc<str>,
    /// The protocol it was declared with; the same name may stand for another number in another one (S53).
    pub protocol: Protocol,
    /// The container port's number.
    pub port: u16,
}

/// A Pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// `metadata.uid`; absent in hand-written manifests.
    pub uid: Option<Arc<str>>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `status.podIPs`, or `status.podIP` where that is all there is; canonical.
    pub addresses: Vec<IpAddr>,
    /// `status.hostIPs`, or `status.hostIP`; canonical.
    pub host_addresses: Vec<IpAddr>,
    /// Named ports of its containers and native sidecars (S54), sorted.
    pub named_ports: Arc<[NamedPort]>,
    /// UDP ports of its containers and native sidecars, named or not; sorted, each once. No rule asks for them.
    pub udp_ports: Arc<[u16]>,
    /// `spec.hostNetwork`: it shares the node's addresses and is never found by address (S67).
    pub host_network: bool,
    /// `status.phase`; `None` where the manifest has no status.
    pub phase: Option<Phase>,
    /// `status.startTime`, else `metadata.creationTimestamp`: which of two owners of an address is newer (S72).
    pub started: Option<SystemTime>,
    /// Has a `deletionTimestamp`: still running, keeps its identity (S71).
    pub terminating: bool,
}

impl Pod {
    /// Whether the pod has ended, so that its address may belong to another one (S70).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Some(Phase::Succeeded | Phase::Failed))
    }
}

/// A Namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: Arc<str>,
    /// Its labels, [`NAMESPACE_NAME_LABEL`] among them.
    pub labels: Labels,
}
