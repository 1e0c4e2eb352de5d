//! The story of UDP, played on loopback with real sockets and a real world; the lab's tests do the same with real rules.
//!
//! The keeper's task runs on a runtime of its own, so that clients may wait as plain programs do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod changing;
mod refusing;
mod rig;
