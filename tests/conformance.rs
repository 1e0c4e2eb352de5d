//! The truth tables of the upstream NetworkPolicy suite and more of the kind, on the wire, in both modes; see
//! docs/conformance.md. Real packets through the built program, between pods in network namespaces.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;
#[path = "support/talk.rs"]
mod talk;

mod conformance {
    pub mod alive;
    pub mod beyond;
    pub mod engine;
    pub mod open;
    pub mod servers;
    pub mod table;
    pub mod tables;
    pub mod town;
    pub mod upstream;
    pub mod wire;
}
