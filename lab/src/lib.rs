//! Pods without a cluster: each pod is a network namespace on a bridge, dual stack, with real processes in it.
//!
//! The demo, the tests and the benches stand on this crate. [`Lab`] owns everything: namespaces, interfaces,
//! processes and a scratch directory. All of it goes away with the owner, however the owner ends, because a
//! helper process holds a process-id namespace open only as long as a pipe from the owner lives (`holder`).
//! The lab also writes the state of its small cluster as ordinary manifests, one file, replaced atomically.
//!
//! Only `sidecar` knows podwall, and only as a program with a command line; nothing here judges a packet.
//! Every wait is in [`wait_until`] or bounded by a deadline that the caller gives.

mod address;
mod cluster;
mod command;
mod curl;
mod elevate;
mod error;
mod holder;
mod kubernetes;
mod lab;
mod manifest;
mod netns;
mod nginx;
mod place;
mod pod;
mod process;
mod scratch;
mod sidecar;
mod skip;
mod spec;
mod tools;
mod wait;
mod wiring;

pub use command::{Cmd, Output};
pub use curl::CurlResult;
pub use elevate::{elevate, is_elevated};
pub use error::{LabError, LabResult};
pub use kubernetes::{
    Account, ApiClient, ControlPlane, Image, KubernetesNode, Request, build_kubernetes,
    container_status, prepare_kubernetes,
};
pub use lab::Lab;
pub use nginx::Nginx;
pub use place::Place;
pub use pod::{Node, Pod};
pub use process::Process;
pub use rustix::process::Signal;
pub use sidecar::{Endpoints, Mode, Setting, Sidecar, Source, access_log};
pub use skip::skipped;
pub use spec::PodSpec;
pub use wait::wait_until;
