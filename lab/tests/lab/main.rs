//! The lab's claims, each as a test: pods and their packets, processes, manifests, and that nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod endings;
mod kubernetes;
mod manifests;
mod network;
mod node;
mod owner;
mod plain_user;
mod process;
mod traces;

use std::time::Duration;

/// Long enough for a machine under load; nothing waits for it unless something is broken.
const SOON: Duration = Duration::from_secs(20);
