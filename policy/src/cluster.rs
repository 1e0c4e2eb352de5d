//! Objects joined into one state: what is where, which labels a namespace has, who owns an address.
//!
//! May enter: objects. Deliberately absent: time (a state stands still), verdicts, and text.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Severity};
use crate::labels::Labels;
use crate::object::{Namespace, Object, ObjectName, Pod};
use crate::peer::Identity;
use crate::spec::Policy;

/// One consistent state of a cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cluster {
    pods: BTreeMap<ObjectName, Pod>,
    broken_pods: BTreeSet<ObjectName>,
    namespaces: BTreeMap<Arc<str>, Namespace>,
    broken_namespaces: BTreeSet<Arc<str>>,
    /// Sorted by name.
    policies: Vec<Policy>,
    /// The living pods of each address, newest first.
    owners: HashMap<IpAddr, Vec<ObjectName>>,
}

/// One object is given twice, and the two differ.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} {name} is given twice with different content; remove one of the two")]
pub struct Conflict {
    /// The kind.
    pub kind: &'static str,
    /// `namespace/name`, or a namespace's name.
    pub name: String,
}

impl Cluster {
    /// Joins `objects`. One given twice with equal content counts once.
    ///
    /// A namespace that is used and not among them is reported: its labels are unknown.
    ///
    /// # Errors
    /// Where one object is given twice with different content.
    pub fn assemble(objects: Vec<Object>) -> Result<(Self, Vec<Diagnostic>), Conflict> {
        let mut cluster = Self::default();
        for object in unique(objects)? {
            match object {
                Object::Pod(pod) => {
                    cluster.pods.insert(pod.name.clone(), pod);
                }
                Object::Namespace(one) => {
                    cluster.namespaces.insert(Arc::clone(&one.name), one);
                }
                Object::Policy(policy) => cluster.policies.push(policy),
                Object::BrokenPod(name) => {
                    cluster.broken_pods.insert(name);
                }
                Object::BrokenNamespace(name) => {
                    cluster.broken_namespaces.insert(name);
                }
            }
        }
        cluster
            .policies
            .sort_by(|one, other| one.name.cmp(&other.name));
        cluster.owners = owners(&cluster.pods);
        let diagnostics = cluster.missing_namespaces();
        Ok((cluster, diagnostics))
    }

    /// The pod `name`; `None` where there is none or it cannot be read.
    #[must_use]
    pub fn pod(&self, name: &ObjectName) -> Option<&Pod> {
        self.pods.get(name)
    }

    /// All readable pods, sorted by name.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Pod> {
        self.pods.values()
    }

    /// The pods that cannot be read, sorted.
    pub fn broken_pods(&self) -> impl ExactSizeIterator<Item = &ObjectName> {
        self.broken_pods.iter()
    }

    /// All readable namespaces, sorted by name.
    pub fn namespaces(&self) -> impl ExactSizeIterator<Item = &Namespace> {
        self.namespaces.values()
    }

    /// The namespaces that cannot be read, sorted.
    pub fn broken_namespaces(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.broken_namespaces.iter()
    }

    /// All policies, sorted by name.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The labels of a namespace; `None` where they are not known, which is not "none" (S31).
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> Option<&Labels> {
        self.namespaces.get(name).map(|one| &one.labels)
    }

    /// What rules can ask of `pod`, in this state.
    #[must_use]
    pub fn identity(&self, pod: &Pod) -> Identity {
        Identity::of(pod, self.namespace_labels(&pod.name.namespace).cloned())
    }

    /// The pod that owns `address`: the only one that claims it, or the one that certainly started
    /// after all others (S72). `None` where nobody does, or where that is contested (S77). Any
    /// spelling of the address will do.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Option<&Pod> {
        let mut owners = self.owners(address);
        let newest = owners.next()?;
        let is_older = |other: &Pod| {
            let started = other.started;
            started.is_some() && started < newest.started
        };
        owners.all(is_older).then_some(newest)
    }

    /// The living pods that claim `address`, newest first; hostNetwork pods are never among them (S67), nor
    /// are finished ones (S70).
    pub fn owners(&self, address: IpAddr) -> impl Iterator<Item = &Pod> {
        let names = self.owners.get(&address.to_canonical());
        names
            .into_iter()
            .flatten()
            .filter_map(|name| self.pods.get(name))
    }

    /// A warning for each namespace that pods or policies are in and that is not given.
    fn missing_namespaces(&self) -> Vec<Diagnostic> {
        let pods = self.pods.keys().chain(&self.broken_pods);
        let used: BTreeSet<&Arc<str>> = pods
            .chain(self.policies.iter().map(|policy| &policy.name))
            .map(|name| &name.namespace)
            .collect();
        used.into_iter()
            .filter(|name| !self.namespaces.contains_key(*name) && !self.broken_namespaces.contains(*name))
            .map(|name| Diagnostic {
                severity: Severity::Warning,
                place: format!("Namespace {name}"),
                message: "pods or policies are in it, but the object is not given, so its labels are unknown".to_owned(),
                help: "add the Namespace object to the source".to_owned(),
            })
            .collect()
    }
}

/// `over` on top of `under`: an object of `under` stays unless one of `over` has its kind and name.
///
/// Replaced is the whole object, not its fields: a Pod of `over` without status has no address, as
/// any Pod that is written by hand.
#[must_use]
pub fn overlay(under: Vec<Object>, over: Vec<Object>) -> Vec<Object> {
    let replaced: HashSet<Key> = over.iter().map(key).collect();
    let mut objects = under;
    objects.retain(|object| !replaced.contains(&key(object)));
    objects.extend(over);
    objects
}

/// Kind, namespace and name.
type Key = (&'static str, Option<Arc<str>>, Arc<str>);

/// The objects, each once, in their order.
fn unique(objects: Vec<Object>) -> Result<Vec<Object>, Conflict> {
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut kept: Vec<Object> = Vec::with_capacity(objects.len());
    for object in objects {
        match seen.entry(key(&object)) {
            Entry::Vacant(free) => {
                free.insert(kept.len());
                kept.push(object);
            }
            Entry::Occupied(first) if kept[*first.get()] == object => {}
            Entry::Occupied(first) => {
                let (kind, namespace, name) = first.key();
                let name = match namespace {
                    Some(namespace) => format!("{namespace}/{name}"),
                    None => name.to_string(),
                };
                return Err(Conflict { kind, name });
            }
        }
    }
    Ok(kept)
}

/// A broken object has the key of the readable one.
fn key(object: &Object) -> Key {
    let in_namespace = |kind, name: &ObjectName| {
        (
            kind,
            Some(Arc::clone(&name.namespace)),
            Arc::clone(&name.name),
        )
    };
    match object {
        Object::Pod(pod) => in_namespace("Pod", &pod.name),
        Object::BrokenPod(name) => in_namespace("Pod", name),
        Object::Policy(policy) => in_namespace("NetworkPolicy", &policy.name),
        Object::Namespace(one) => ("Namespace", None, Arc::clone(&one.name)),
        Object::BrokenNamespace(name) => ("Namespace", None, Arc::clone(name)),
    }
}

fn owners(pods: &BTreeMap<ObjectName, Pod>) -> HashMap<IpAddr, Vec<ObjectName>> {
    let mut living: Vec<&Pod> = pods
        .values()
        .filter(|pod| !pod.host_network && !pod.is_finished())
        .collect();
    // Stable: of pods equally old, or of unknown age, the first by name stays ahead.
    living.sort_by_key(|pod| Reverse(pod.started));
    let mut owners: HashMap<IpAddr, Vec<ObjectName>> = HashMap::new();
    for pod in living {
        for address in &pod.addresses {
            owners.entry(*address).or_default().push(pod.name.clone());
        }
    }
    owners
}

#[cfg(test)]
mod tests;
