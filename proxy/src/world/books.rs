//! The writer's books: what is known of the subject and its policies, and whether a new judge is due.
//!
//! May enter: changes that concern the subject. Deliberately absent: readers and their lock; peers,
//! which the index keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use podwall_policy::compile::selects;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::labels::Labels;
use podwall_policy::object::{Namespace, Object, ObjectName, Pod};
use podwall_policy::peer::Identity;
use podwall_policy::spec::Policy;

use super::SubjectStatus;
use super::lists::Lists;
use crate::identify::feed::Gone;
use crate::judge::Judge;

/// Policies by name.
pub(super) type Policies = BTreeMap<ObjectName, Arc<Policy>>;

/// What is known of the subject.
#[derive(Debug)]
pub(super) struct Books {
    /// Lists that are not whole yet.
    pub(super) lists: Lists,
    subject: ObjectName,
    /// The subject when it was last seen alive.
    pod: Option<Pod>,
    /// Its namespace's labels when they were last known.
    namespace: Option<Labels>,
    /// The policies of its namespace; those of others cannot select it (S5).
    policies: Policies,
    /// What the judge of this moment was made of.
    made_of: MadeOf,
    /// Something above changed since then.
    stale: bool,
}

#[derive(Debug, Eq, PartialEq)]
enum MadeOf {
    Nothing(SubjectStatus),
    Known(Identity, Vec<Arc<Policy>>),
}

/// What holds for the subject from a change on.
#[derive(Debug)]
pub(super) struct Holds {
    /// What is known of the subject.
    pub(super) subject: SubjectStatus,
    /// How many policies select it.
    pub(super) policies: usize,
    /// The judge, if it is known.
    pub(super) judge: Option<Judge>,
    /// What is odd in the policies in the light of this subject.
    pub(super) findings: Vec<Diagnostic>,
}

impl Books {
    pub(super) fn new(subject: ObjectName) -> Self {
        Self {
            lists: Lists::new(subject.clone()),
            subject,
            pod: None,
            namespace: None,
            policies: Policies::new(),
            made_of: MadeOf::Nothing(SubjectStatus::Unknown),
            stale: false,
        }
    }

    /// The UDP ports that the subject declares; none while it is not known.
    pub(super) fn udp_ports(&self) -> Arc<[u16]> {
        let pod = self.pod.as_ref();
        pod.map_or_else(Arc::default, |pod| Arc::clone(&pod.udp_ports))
    }

    pub(super) fn upsert(&mut self, object: &Object) {
        match object {
            Object::Pod(pod) => self.saw(pod),
            Object::Namespace(one) => self.saw_namespace(one),
            Object::Policy(policy) => self.adopt(policy),
            Object::BrokenPod(name) => self.lost(name),
            Object::BrokenNamespace(name) => self.lost_namespace(name),
        }
    }

    /// A subject that is gone keeps its last labels until this process ends with it.
    pub(super) fn delete(&mut self, gone: &Gone) {
        if let Gone::Policy(name) = gone {
            self.stale |= self.policies.remove(name).is_some();
        }
    }

    /// All policies there are. Those that are known already stay the same, so that comparing what a
    /// judge was made of is cheap.
    pub(super) fn replace_policies(&mut self, policies: Policies) {
        let ours = |policy: &Arc<Policy>| policy.name.namespace == self.subject.namespace;
        let policies = policies.into_iter().filter(|(_, policy)| ours(policy));
        let policies = policies.map(|(name, policy)| {
            let known = self.policies.get(&name).filter(|known| **known == policy);
            let policy = known.map_or(policy, Arc::clone);
            (name, policy)
        });
        self.policies = policies.collect();
        self.stale = true;
    }

    fn saw(&mut self, pod: &Pod) {
        if pod.name == self.subject && !pod.is_finished() {
            self.pod = Some(pod.clone());
            self.stale = true;
        }
    }

    fn lost(&mut self, pod: &ObjectName) {
        if *pod == self.subject {
            self.pod = None;
            self.stale = true;
        }
    }

    fn saw_namespace(&mut self, one: &Namespace) {
        if one.name == self.subject.namespace {
            self.namespace = Some(one.labels.clone());
            self.stale = true;
        }
    }

    fn lost_namespace(&mut self, name: &str) {
        if *name == *self.subject.namespace {
            self.namespace = None;
            self.stale = true;
        }
    }

    fn adopt(&mut self, policy: &Policy) {
        if policy.name.namespace == self.subject.namespace {
            let name = policy.name.clone();
            self.policies.insert(name, Arc::new(policy.clone()));
            self.stale = true;
        }
    }

    /// What holds now, compiled as table `generation`; `None` where it is what held before.
    pub(super) fn renew(&mut self, generation: u64) -> Option<Holds> {
        if !std::mem::take(&mut self.stale) {
            return None;
        }
        let made_of = self.material();
        if made_of == self.made_of {
            return None;
        }
        let holds = match &made_of {
            MadeOf::Nothing(subject) => Holds {
                subject: *subject,
                policies: 0,
                judge: None,
                findings: Vec::new(),
            },
            MadeOf::Known(identity, policies) => {
                let (judge, findings) = Judge::new(policies, identity, generation);
                Holds {
                    subject: SubjectStatus::Known,
                    policies: policies.len(),
                    judge: Some(judge),
                    findings,
                }
            }
        };
        self.made_of = made_of;
        Some(holds)
    }

    fn material(&self) -> MadeOf {
        let Some(pod) = &self.pod else {
            return MadeOf::Nothing(SubjectStatus::Unknown);
        };
        if pod.host_network {
            return MadeOf::Nothing(SubjectStatus::HostNetwork);
        }
        let Some(labels) = &self.namespace else {
            return MadeOf::Nothing(SubjectStatus::NamespaceUnknown);
        };
        let identity = Identity::of(pod, Some(labels.clone()));
        let selecting = self.policies.values().filter(|one| selects(one, &identity));
        let selecting = selecting.cloned().collect();
        MadeOf::Known(identity, selecting)
    }
}
