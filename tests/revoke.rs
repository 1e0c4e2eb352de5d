//! Live connections: a change that turns a verdict resets the open connections it concerns, at both ends, and
//! no others. Each cut prints how long it took from the change of the file.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/manifests.rs"]
mod manifests;
mod support;
#[path = "support/talk.rs"]
mod talk;

mod revoke {
    mod changes;
    mod cut;
    mod owners;
    mod race;
    mod spared;
    mod streams;
}
