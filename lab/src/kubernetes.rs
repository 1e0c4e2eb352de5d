//! A real Kubernetes for the lab: a control plane whose objects are the lab's own pods, and what a node needs of it.
//!
//! In reading order: `components` (where the programs come from), `pki` and `kubeconfig` (who is who), `control`
//! (etcd and the API server as processes), `client` (asking it), `account` (who a sidecar is), `mirror` (the lab's pods
//! as objects). Nothing is added to Kubernetes and nothing is
//! imitated. Its processes are the lab's processes and end with it.
//!
//! Deliberately absent: podwall.

mod account;
mod client;
mod components;
mod control;
mod kubeconfig;
mod mirror;
mod pki;

pub use account::Account;
pub use client::{ApiClient, Request};
pub use components::build_kubernetes;
pub use control::ControlPlane;
pub(crate) use {components::Components, control::Settings, mirror::Mirror};
