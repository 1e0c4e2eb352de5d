//! podwall in operation: what it says, how it starts, follows its source, is replaced and stops, and with how little
//! privilege. The built program in a pod, with real packets.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/inside.rs"]
mod inside;
#[path = "support/manifests.rs"]
mod manifests;
mod support;
#[path = "support/talk.rs"]
mod talk;

mod operate {
    mod environment;
    mod log;
    mod metrics;
    mod restarting;
    mod source;
    mod stopping;
}
