//! The story of a connection, played on loopback with real sockets and a real world.
//!
//! What only netfilter can do, the original destination, is put in by the rig; the lab's tests do
//! the same with real rules. Clients are told apart by their loopback addresses.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bulk;
mod denying;
mod door;
mod ending;
mod holding;
mod revoking;
mod rig;
