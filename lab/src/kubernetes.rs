//! A real Kubernetes for the lab: a control plane whose objects are the lab's own pods, or a whole node.
//!
//! In reading order: `components` (where the programs come from), `pki` and `kubeconfig` (who is who), `control`
//! (etcd and the API server as processes), `client` (asking it), `account` (who a sidecar is), `mirror` (the lab's pods
//! as objects); and for a node `image` (containers' file systems) and `node`. Nothing is added to Kubernetes and
//! nothing is imitated. Its processes are the lab's processes and end with it.
//!
//! Deliberately absent: podwall.

use std::path::PathBuf;

use crate::LabResult;

mod account;
mod client;
mod components;
mod control;
mod image;
mod kubeconfig;
mod mirror;
mod node;
mod pki;

pub use account::Account;
pub use client::{ApiClient, Request};
pub use components::build_kubernetes;
pub use control::ControlPlane;
pub use image::Image;
pub use node::{KubernetesNode, container_status};
pub(crate) use {components::Components, control::Settings, mirror::Mirror};

/// Makes ready what any lab of this process can need, so that no lab has to wait for it; gives the directory that
/// `KUBEBUILDER_ASSETS` names, else the binary of [`build_kubernetes`].
///
/// # Errors
/// As [`build_kubernetes`], and [`crate::LabError::NoKubernetes`] where the directory lacks a program.
pub fn prepare_kubernetes() -> LabResult<PathBuf> {
    let place = Components::find()?.place()?;
    if KubernetesNode::obstacle().is_none() {
        build_kubernetes()?;
    }
    Ok(place)
}
