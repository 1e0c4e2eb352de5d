//! Which object: its kind and its name, whatever it holds.

use std::fmt;
use std::sync::Arc;

use podwall_policy::object::{Object, ObjectName};

use super::{Gone, Kind};

/// Which object. A readable and an unreadable state of one object have the same key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Key {
    /// A Pod.
    Pod(ObjectName),
    /// A Namespace.
    Namespace(Arc<str>),
    /// A NetworkPolicy.
    Policy(ObjectName),
}

impl Key {
    /// Of an object.
    pub(super) fn of(object: &Object) -> Self {
        match object {
            Object::Pod(pod) => Self::Pod(pod.name.clone()),
            Object::BrokenPod(name) => Self::Pod(name.clone()),
            Object::Namespace(one) => Self::Namespace(Arc::clone(&one.name)),
            Object::BrokenNamespace(name) => Self::Namespace(Arc::clone(name)),
            Object::Policy(policy) => Self::Policy(policy.name.clone()),
        }
    }

    /// Of an object that is gone.
    pub(super) fn of_gone(gone: &Gone) -> Self {
        match gone {
            Gone::Pod { name, .. } => Self::Pod(name.clone()),
            Gone::Namespace(name) => Self::Namespace(Arc::clone(name)),
            Gone::Policy(name) => Self::Policy(name.clone()),
        }
    }

    /// The kind alone.
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Pod(_) => Kind::Pod,
            Self::Namespace(_) => Kind::Namespace,
            Self::Policy(_) => Kind::Policy,
        }
    }
}

impl fmt::Display for Key {
    /// As findings call it: `Pod shop/web`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => write!(out, "Pod {name}"),
            Self::Namespace(name) => write!(out, "Namespace {name}"),
            Self::Policy(name) => write!(out, "NetworkPolicy {name}"),
        }
    }
}
