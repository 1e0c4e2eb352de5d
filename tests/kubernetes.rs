//! A real API server as the source, and everything that API servers do. Real packets through the built program.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/faults/mod.rs"]
mod faults;
mod support;
#[path = "support/talk.rs"]
mod talk;
