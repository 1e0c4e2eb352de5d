//! The lab's cluster as objects of a real API server.
//!
//! Holds what the server was told last, compares it with what the lab has now, and sends the difference. So what
//! failed is sent again with the next change, except a policy that was refused. Objects that a test makes by itself are not touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    LabError, LabResult,
    cluster::{Cluster, Key},
    manifest::{self, GRACE, PodObject},
    pod::Identity,
};

use super::{ControlPlane, Request, client::ApiClient};

/// Namespaces that a server makes for itself.
const BUILT_IN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

type Labels = BTreeMap<String, String>;

/// What the server was told.
#[derive(Debug)]
pub(crate) struct Mirror {
    control: ControlPlane,
    namespaces: BTreeMap<String, Labels>,
    pods: BTreeMap<Key, Shown>,
    policies: BTreeMap<Key, String>,
}

/// A pod as the server knows it.
#[derive(Debug)]
struct Shown {
    identity: Arc<Identity>,
    labels: Labels,
    /// Null until the first status is written.
    status: Value,
    terminating: bool,
}

impl Mirror {
    /// A server that has nothing of the lab yet.
    pub(crate) fn new(control: ControlPlane) -> Self {
        Self {
            control,
            namespaces: BTreeMap::new(),
            pods: BTreeMap::new(),
            policies: BTreeMap::new(),
        }
    }

    /// The control plane.
    pub(crate) fn control(&self) -> &ControlPlane {
        &self.control
    }

    /// Makes the server's objects those of `cluster`. A refusal of one object does not hold the others up; the first
    /// is the error. Where the server does not answer, nothing more is tried.
    pub(crate) fn show(&mut self, cluster: &Cluster) -> LabResult<()> {
        let api = self.control.admin().clone();
        let mut refusal = Ok(());
        let mut note = |result: LabResult<()>| match result {
            Err(error @ LabError::Refused { .. }) => {
                if refusal.is_ok() {
                    refusal = Err(error);
                }
                Ok(())
            }
            other => other,
        };
        note(self.remove(&api, cluster))?;
        for (name, labels) in &cluster.namespaces {
            note(self.namespace(&api, name, labels))?;
        }
        for (key, text) in &cluster.policies {
            if self.has_namespace(&key.0) {
                note(self.policy(&api, key, text))?;
            }
        }
        for (key, (identity, object)) in &cluster.pods {
            if object.announced && self.has_namespace(&key.0) {
                note(self.pod(&api, key, identity, object))?;
            }
        }
        refusal
    }

    fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.contains_key(name) || BUILT_IN.contains(&name)
    }

    fn remove(&mut self, api: &ApiClient, cluster: &Cluster) -> LabResult<()> {
        let stays = |key: &Key, shown: &Shown| {
            let now = cluster.pods.get(key);
            now.is_some_and(|(identity, object)| {
                object.announced && identity.uid == shown.identity.uid
            })
        };
        let gone = |key: &&Key| !stays(key, &self.pods[*key]);
        for key in self.pods.keys().filter(gone).cloned().collect::<Vec<_>>() {
            delete(api, Request::delete_within(pod_path(&key), 0))?;
            self.pods.remove(&key);
        }
        for key in absent(&self.policies, &cluster.policies) {
            delete(api, Request::delete(policy_path(&key)))?;
            self.policies.remove(&key);
        }
        for name in absent(&self.namespaces, &cluster.namespaces) {
            remove_namespace(api, &name)?;
            self.namespaces.remove(&name);
        }
        Ok(())
    }

    fn namespace(&mut self, api: &ApiClient, name: &str, labels: &Labels) -> LabResult<()> {
        if self.namespaces.get(name) == Some(labels) {
            return Ok(());
        }
        let object = manifest::namespace(name, labels);
        let replace = relabel(
            format!("/api/v1/namespaces/{name}"),
            &object["metadata"]["labels"],
        );
        if self.namespaces.contains_key(name) {
            api.succeed(replace)?;
        } else {
            match api.succeed(Request::create("/api/v1/namespaces", object)) {
                Err(LabError::Refused { status: 409, .. }) => api.succeed(replace)?,
                other => other?,
            };
        }
        self.namespaces.insert(name.to_owned(), labels.clone());
        Ok(())
    }

    /// Creates or replaces a policy, whichever fits what the server has. A refused text is not tried again.
    fn policy(&mut self, api: &ApiClient, key: &Key, text: &str) -> LabResult<()> {
        if self.policies.get(key).is_some_and(|shown| shown == text) {
            return Ok(());
        }
        let object: Value = serde_saphyr::from_str(text).map_err(|error| LabError::Policy {
            policy: format!("{}/{}", key.0, key.1),
            fault: error.to_string(),
        })?;
        let result = match api.succeed(Request::replace(policy_path(key), object.clone())) {
            Err(LabError::Refused { status: 404, .. }) => {
                api.succeed(Request::create(policies_path(&key.0), object))
            }
            other => other,
        };
        if !matches!(result, Err(LabError::NoAnswer { .. })) {
            self.policies.insert(key.clone(), text.to_owned());
        }
        result.map(drop)
    }

    /// Creates or changes one pod: labels, then its termination, of which a
    /// finished pod would be removed at once, then status.
    fn pod(
        &mut self,
        api: &ApiClient,
        key: &Key,
        identity: &Arc<Identity>,
        object: &PodObject,
    ) -> LabResult<()> {
        let path = pod_path(key);
        if !self.pods.contains_key(key) {
            let collection = format!("/api/v1/namespaces/{}/pods", key.0);
            api.succeed(Request::create(collection, object.request(identity)))?;
        }
        let shown = self.pods.entry(key.clone()).or_insert_with(|| Shown {
            identity: Arc::clone(identity),
            labels: object.labels.clone(),
            status: Value::Null,
            terminating: false,
        });
        if shown.labels != object.labels {
            api.succeed(relabel(path.clone(), &json!(object.labels)))?;
            shown.labels.clone_from(&object.labels);
        }
        if object.terminating && !shown.terminating {
            api.succeed(Request::delete_within(path.clone(), GRACE))?;
            shown.terminating = true;
        }
        let status = object.status(identity);
        if shown.status != status {
            api.merge(&format!("{path}/status"), json!({ "status": status }))?;
            shown.status = status;
        }
        Ok(())
    }
}

/// A namespace's end, as its controller would bring it about at last, only that what is inside stays.
fn remove_namespace(api: &ApiClient, name: &str) -> LabResult<()> {
    let path = format!("/api/v1/namespaces/{name}");
    delete(api, Request::delete(&path))?;
    let emptied = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name }, "spec": { "finalizers": [] },
    });
    delete(api, Request::replace(format!("{path}/finalize"), emptied))
}

/// Sends a request that makes something go; what is gone already is no error.
fn delete(api: &ApiClient, request: Request) -> LabResult<()> {
    match api.succeed(request) {
        Err(LabError::Refused { status: 404, .. }) => Ok(()),
        other => other.map(drop),
    }
}

fn relabel(path: String, labels: &Value) -> Request {
    let operation = json!([{ "op": "add", "path": "/metadata/labels", "value": labels }]);
    Request::json_patch(path, operation)
}

fn absent<K: Ord + Clone, A, B>(before: &BTreeMap<K, A>, now: &BTreeMap<K, B>) -> BTreeSet<K> {
    let gone = before.keys().filter(|key| !now.contains_key(key));
    gone.cloned().collect()
}

fn pod_path((namespace, name): &Key) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

fn policies_path(namespace: &str) -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies")
}

fn policy_path((namespace, name): &Key) -> String {
    format!("{}/{name}", policies_path(namespace))
}
