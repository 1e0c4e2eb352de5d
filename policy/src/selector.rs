//! Label selectors, three-valued: yes, no, and "that depends on labels we do not know".
//!
//! May enter: labels. Deliberately absent: whose labels they are; a peer and a subject ask the same
//! question and treat [`Selector::Broken`] differently, each in its own place.

use std::fmt;
use std::sync::Arc;

use crate::labels::Labels;

/// Whether a selector picks a pod or namespace.
///
/// `Unknown` is not `No`: `NotIn` and `DoesNotExist` match an absent key, so reading "not seen yet"
/// as "has no labels" would open the door (S31, P27).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Picks {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on what is not known.
    Unknown,
}

impl Picks {
    /// Both must pick.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }
}

impl From<bool> for Picks {
    fn from(picks: bool) -> Self {
        if picks { Self::Yes } else { Self::No }
    }
}

/// A label selector.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Selector {
    /// All of these must hold; none at all matches everything (S32).
    All(Vec<Requirement>),
    /// Cannot be read (S38, S39). As a peer it matches nothing; as a subject it selects every pod.
    Broken,
}

/// One condition on one key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Requirement {
    /// The label's key.
    pub key: Arc<str>,
    /// What must hold of it.
    pub test: Test,
}

/// What must hold of a key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Test {
    /// Present, with one of these values (S33, S36).
    In(Vec<Arc<str>>),
    /// Absent, or present with none of these values (S34).
    NotIn(Vec<Arc<str>>),
    /// Present (S35).
    Exists,
    /// Absent (S35).
    DoesNotExist,
}

impl Selector {
    /// The selector that picks everything: `{}`.
    #[must_use]
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Whether the selector picks what carries `labels`; `None` are labels not known.
    ///
    /// A broken selector picks nothing here, which is right for a peer.
    #[must_use]
    pub fn picks(&self, labels: Option<&Labels>) -> Picks {
        match (self, labels) {
            (Self::Broken, _) => Picks::No,
            (Self::All(requirements), _) if requirements.is_empty() => Picks::Yes,
            (Self::All(_), None) => Picks::Unknown,
            (Self::All(requirements), Some(labels)) => {
                requirements.iter().all(|one| one.holds(labels)).into()
            }
        }
    }
}

impl Requirement {
    /// Whether the condition holds of `labels`.
    #[must_use]
    pub fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.test {
            Test::In(values) => value.is_some_and(|have| values.iter().any(|one| **one == *have)),
            Test::NotIn(values) => {
                !value.is_some_and(|have| values.iter().any(|one| **one == *have))
            }
            Test::Exists => value.is_some(),
            Test::DoesNotExist => value.is_none(),
        }
    }
}

impl fmt::Display for Selector {
    /// kubectl's spelling: `app=web,tier in (a,b),!legacy`; `{}` for everything.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => out.write_str("<unreadable>"),
            Self::All(requirements) if requirements.is_empty() => out.write_str("{}"),
            Self::All(requirements) => {
                for (at, one) in requirements.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(out, "{comma}{one}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.test {
            Test::In(values) if values.len() == 1 => write!(out, "{key}={}", values[0]),
            Test::In(values) => write!(out, "{key} in ({})", values.join(",")),
            Test::NotIn(values) => write!(out, "{key} notin ({})", values.join(",")),
            Test::Exists => write!(out, "{key}"),
            Test::DoesNotExist => write!(out, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests;
