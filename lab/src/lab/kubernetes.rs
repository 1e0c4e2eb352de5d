//! The lab's control plane and its node: when they start, and which addresses they have.

use crate::{
    ControlPlane, KubernetesNode, Lab, LabError, LabResult, address,
    kubernetes::{Components, Mirror, Settings},
};

impl Lab {
    /// Starts an etcd and a kube-apiserver on the node, at `https://172.18.0.2:6443`, writes every object of the lab
    /// to it, and from then on every change, in order. A second call gives back the same one.
    ///
    /// The programs are those of `KUBEBUILDER_ASSETS`, else [`crate::build_kubernetes`] makes them, which the first
    /// time takes minutes. There is no controller manager, scheduler or kubelet:
    ///
    /// - Pods are bound to the node `lab-node`, which has no object, and get the status that a kubelet would write,
    ///   in a second request; they may stay without a ServiceAccount.
    /// - The server chooses uids, so [`crate::Pod::uid`] is that of the manifests only.
    /// - Pods and policies need their namespace: those of one that is absent are written when it comes.
    /// - [`Lab::terminate`] deletes with a grace of 30 s, at whose end nobody removes the pod; of a finished pod the
    ///   server removes the object at once.
    /// - [`Lab::remove_namespace`] deletes and finalizes: what is inside stays. A namespace that a test deletes by
    ///   itself stays in phase `Terminating`, with all that is in it.
    /// - The changes of one [`Lab::batch`] are written one by one: removals first, then namespaces, policies, pods.
    ///
    /// A change that the server refuses, or cannot take while it is away, is an error of the method that made it. It
    /// holds in the lab and its manifests, and is tried again with the next change; a refused policy is not.
    ///
    /// # Errors
    /// [`crate::LabError::NoKubernetes`], [`crate::LabError::Ended`] or [`crate::LabError::Timeout`] with the
    /// component's own words, and what writing the objects meets.
    pub fn start_control_plane(&mut self) -> LabResult<ControlPlane> {
        if let Some(mirror) = &self.mirror {
            return Ok(mirror.control().clone());
        }
        if self.dir().join("kubernetes").exists() {
            return Err(LabError::HasKubernetes);
        }
        let control =
            ControlPlane::start_at(self.node.place(), Components::find()?, settings(false))?;
        self.mirror = Some(Mirror::new(control.clone()));
        self.changed()?;
        Ok(control)
    }

    /// Starts a whole Kubernetes node: the control plane as above, with the controllers and the scheduler, and beside
    /// it containerd, a kubelet (`lab-node`, 172.18.0.2) and kube-proxy, all on the lab's node. Its pods are on the
    /// lab's bridge, dual stack, in the upper half of its networks, and come and go through the API only: the lab's own
    /// pods are no objects of it. Returns when the node is ready, after about 10 s on 2 idle cores.
    ///
    /// The programs are those of [`crate::build_kubernetes`] whatever `KUBEBUILDER_ASSETS` says, since that has no
    /// kubelet. A lab has a node or a control plane, not both.
    ///
    /// # Errors
    /// [`crate::LabError::NotRoot`] in a user namespace, [`crate::LabError::MissingTool`] without containerd, runc or
    /// CNI's plug-ins, [`crate::LabError::NoKubernetes`], [`crate::LabError::Ended`] or [`crate::LabError::Timeout`]
    /// with the program's own words; [`crate::LabError::Hidden`] and [`crate::LabError::LongPath`] where the lab's
    /// directory, or that of the programs, is somewhere that cannot be used.
    pub fn start_kubernetes_node(&mut self) -> LabResult<KubernetesNode> {
        if let Some(obstacle) = KubernetesNode::obstacle() {
            return Err(obstacle);
        }
        if self.dir().join("kubernetes").exists() {
            return Err(LabError::HasKubernetes);
        }
        let (place, components) = (self.node.place(), Components::whole()?);
        let control = ControlPlane::start_at(place, components.clone(), settings(true))?;
        KubernetesNode::start_at(place, control, components)
    }

    /// The control plane, where it was started.
    #[must_use]
    pub fn control_plane(&self) -> Option<&ControlPlane> {
        self.mirror.as_ref().map(Mirror::control)
    }
}

/// A control plane on the lab's node, with or without controllers.
fn settings(controllers: bool) -> Settings {
    Settings {
        address: address::HOST4.into(),
        also: vec![
            address::HOST6.into(),
            address::GATEWAY4.into(),
            address::GATEWAY6.into(),
        ],
        controllers,
        flags: Vec::new(),
    }
}
