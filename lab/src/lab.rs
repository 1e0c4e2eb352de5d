//! The lab: node, pods and cluster state, made and changed while they run. The only writer of the manifests.

mod kubernetes;
mod network;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    LabError, LabResult, Node, Place, Pod, PodSpec,
    address::Pool,
    cluster::{Cluster, Key, documents, policy_key},
    elevate::is_elevated,
    holder::Holder,
    kubernetes::Mirror,
    manifest::PodObject,
    place::Core,
    pod::Identity,
    scratch::Scratch,
    wiring::{self, Plug},
};

/// A small cluster on this machine. Everything in it ends with this value, or with the process that owns it.
///
/// Labs do not see each other: each has its own bridge in its own network namespace, so any number run in parallel
/// with the same addresses.
///
/// Methods that change the cluster rewrite the manifests before they return, except inside [`Lab::batch`], and once
/// there is a control plane ([`Lab::start_control_plane`]) the same change is made there.
#[derive(Debug)]
pub struct Lab {
    cluster: Cluster,
    plugs: BTreeMap<Key, (Pod, Option<Plug>)>,
    node: Node,
    core: Arc<Core>,
    pool: Pool,
    made: u32,
    epoch: SystemTime,
    batches: u32,
    mirror: Option<Mirror>,
    // Dropped in this order: first every process, then the directory they may write to.
    _holder: Holder,
    scratch: Scratch,
}

impl Lab {
    /// Builds the node, and an empty cluster.
    ///
    /// # Errors
    /// [`LabError::NotPrivileged`] without privilege (see [`crate::elevate()`]), [`LabError::MissingTool`],
    /// [`LabError::Io`].
    pub fn start() -> LabResult<Self> {
        if !is_elevated() {
            return Err(LabError::NotPrivileged);
        }
        let scratch = Scratch::new()?;
        let (holder, processes) = Holder::start(scratch.path())?;
        let core = Arc::new(Core::new(scratch.path(), processes)?);
        let place = Place::new(&core)?;
        wiring::build_node(&place)?;
        let cluster = Cluster::new(scratch.path().join("manifests"))?;
        cluster.write()?;
        Ok(Self {
            cluster,
            plugs: BTreeMap::new(),
            node: Node::new(place),
            core,
            pool: Pool::new(),
            made: 0,
            // Pods start in the past, a second apart, so that the order of their start is never a tie.
            epoch: SystemTime::now() - Duration::from_secs(24 * 3600),
            batches: 0,
            mirror: None,
            _holder: holder,
            scratch,
        })
    }

    /// A directory for files of the test, readable by all, removed with the lab.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// The directory that holds the cluster's state, in one file. Other files may be written into it.
    #[must_use]
    pub fn manifests(&self) -> &Path {
        self.cluster.dir()
    }

    /// The node, which plays the kubelet.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The pod of that name, if it has its network still.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Pod> {
        self.plugs
            .get(&key(namespace, name))
            .map(|(pod, _)| pod.clone())
    }

    /// Makes a pod: its network namespace, then its object. Its namespace's object is not made by this.
    ///
    /// # Errors
    /// [`LabError::PodExists`], [`LabError::AddressTaken`] by a pod that runs (a finished one loses its network to
    /// the new owner), [`LabError::AddressOutside`], or what the system refuses.
    pub fn pod(&mut self, spec: PodSpec) -> LabResult<Pod> {
        let key = key(&spec.namespace, &spec.name);
        if self.plugs.contains_key(&key) || self.cluster.pods.contains_key(&key) {
            return Err(LabError::PodExists {
                namespace: spec.namespace,
                name: spec.name,
            });
        }
        let addresses = self.choose_addresses(&spec)?;
        self.made += 1;
        let identity = Arc::new(Identity {
            namespace: spec.namespace.clone(),
            name: spec.name.clone(),
            uid: format!(
                "{:08x}-0000-4000-8000-{:012x}",
                std::process::id(),
                self.made
            ),
            addresses,
        });
        let (place, plug) = self.connect(&spec, &identity)?;
        let pod = Pod::new(place, Arc::clone(&identity));
        self.plugs.insert(key.clone(), (pod.clone(), plug));
        let started = self.epoch + Duration::from_secs(self.made.into());
        self.cluster
            .pods
            .insert(key, (identity, PodObject::new(&spec, started)));
        self.changed()?;
        Ok(pod)
    }

    /// Removes a pod at once: its object, its processes, its network.
    ///
    /// # Errors
    /// [`LabError::NoSuchPod`], or what the system refuses.
    pub fn remove(&mut self, namespace: &str, name: &str) -> LabResult<()> {
        let key = key(namespace, name);
        self.object(namespace, name)?;
        self.cluster.pods.remove(&key);
        self.changed()?;
        self.disconnect(&key)
    }

    /// Ends a pod's processes and network but keeps its object, as when a delete event is late. The name stays taken
    /// until [`Lab::remove`].
    ///
    /// # Errors
    /// [`LabError::NoSuchPod`], or what the system refuses.
    pub fn stop(&mut self, namespace: &str, name: &str) -> LabResult<()> {
        self.object(namespace, name)?;
        self.disconnect(&key(namespace, name))
    }

    /// Replaces a pod's labels.
    ///
    /// # Errors
    /// [`LabError::NoSuchPod`], or what the system refuses.
    pub fn relabel(
        &mut self,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> LabResult<()> {
        self.object(namespace, name)?.labels = owned(labels);
        self.changed()
    }

    /// Sets a pod's `status.phase`. Its network stays until the pod is removed or a new pod takes its address.
    ///
    /// # Errors
    /// [`LabError::NoSuchPod`], or what the system refuses.
    pub fn set_phase(&mut self, namespace: &str, name: &str, phase: &str) -> LabResult<()> {
        phase.clone_into(&mut self.object(namespace, name)?.phase);
        self.changed()
    }

    /// Gives a pod a `deletionTimestamp`, as in its grace period. It runs on.
    ///
    /// # Errors
    /// [`LabError::NoSuchPod`], or what the system refuses.
    pub fn terminate(&mut self, namespace: &str, name: &str) -> LabResult<()> {
        self.object(namespace, name)?.terminating = true;
        self.changed()
    }

    /// Takes a pod's object out of the manifests while the pod runs on.
    ///
    /// # Errors
    /// [`LabError::NoSuchPod`], or what the system refuses.
    pub fn forget(&mut self, namespace: &str, name: &str) -> LabResult<()> {
        self.object(namespace, name)?.announced = false;
        self.changed()
    }

    /// Puts a forgotten or unannounced pod's object into the manifests.
    ///
    /// # Errors
    /// [`LabError::NoSuchPod`], or what the system refuses.
    pub fn announce(&mut self, namespace: &str, name: &str) -> LabResult<()> {
        self.object(namespace, name)?.announced = true;
        self.changed()
    }

    /// Creates a namespace or replaces its labels; `kubernetes.io/metadata.name` is added, as a server does.
    ///
    /// # Errors
    /// [`LabError::Io`] where the manifests cannot be written.
    pub fn namespace(&mut self, name: &str, labels: &[(&str, &str)]) -> LabResult<()> {
        self.cluster
            .namespaces
            .insert(name.to_owned(), owned(labels));
        self.changed()
    }

    /// Removes a Namespace object; its pods stay. Unknown names are ignored.
    ///
    /// # Errors
    /// [`LabError::Io`] where the manifests cannot be written.
    pub fn remove_namespace(&mut self, name: &str) -> LabResult<()> {
        self.cluster.namespaces.remove(name);
        self.changed()
    }

    /// Creates or replaces a policy. `yaml` is the whole document; its `spec` is passed on unread.
    ///
    /// # Errors
    /// [`LabError::Policy`] where the document is not that policy.
    pub fn policy(&mut self, namespace: &str, name: &str, yaml: &str) -> LabResult<()> {
        let called = format!("{namespace}/{name}");
        let found = policy_key(yaml, &called)?;
        if found != key(namespace, name) {
            let fault = format!("its document says {}/{}", found.0, found.1);
            return Err(LabError::Policy {
                policy: called,
                fault,
            });
        }
        self.cluster.policies.insert(found, yaml.to_owned());
        self.changed()
    }

    /// Removes a policy. Unknown names are ignored.
    ///
    /// # Errors
    /// [`LabError::Io`] where the manifests cannot be written.
    pub fn remove_policy(&mut self, namespace: &str, name: &str) -> LabResult<()> {
        self.cluster.policies.remove(&key(namespace, name));
        self.changed()
    }

    /// Replaces all policies, in one write, by those of this text of any number of documents, also none.
    ///
    /// # Errors
    /// [`LabError::Policy`] where a document is not a NetworkPolicy with a name; nothing is changed then.
    pub fn set_policies_yaml(&mut self, yaml: &str) -> LabResult<()> {
        let numbered = documents(yaml).into_iter().zip(1..);
        self.cluster.policies = numbered
            .map(|(document, number)| {
                Ok((
                    policy_key(&document, &format!("document {number}"))?,
                    document,
                ))
            })
            .collect::<LabResult<_>>()?;
        self.changed()
    }

    /// Makes several changes and writes the manifests once, after the last. What was changed before an error is
    /// written too.
    ///
    /// # Errors
    /// That of `changes`, or that of the write.
    pub fn batch<T>(&mut self, changes: impl FnOnce(&mut Self) -> LabResult<T>) -> LabResult<T> {
        self.batches += 1;
        let result = changes(self);
        self.batches -= 1;
        self.changed()?;
        result
    }

    /// Writes the manifests and the API server's objects, unless a batch will.
    fn changed(&mut self) -> LabResult<()> {
        if self.batches > 0 {
            return Ok(());
        }
        self.cluster.write()?;
        let mirror = self.mirror.as_mut();
        mirror.map_or(Ok(()), |mirror| mirror.show(&self.cluster))
    }

    fn object(&mut self, namespace: &str, name: &str) -> LabResult<&mut PodObject> {
        let found = self
            .cluster
            .pods
            .get_mut(&key(namespace, name))
            .map(|(_, object)| object);
        found.ok_or_else(|| LabError::NoSuchPod {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

fn owned(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
