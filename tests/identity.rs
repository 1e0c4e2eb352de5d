//! Who is at the door: what is known of a source, what is not known yet, whose the address is, and the sources
//! that need no name. Real packets through the built program.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/manifests.rs"]
mod manifests;
mod support;
#[path = "support/talk.rs"]
mod talk;

mod identity {
    mod broken;
    mod families;
    mod host_network;
    mod namespaces;
    mod node;
    mod node_ports;
    mod outbound;
    mod own;
    mod reuse;
    mod unknown;
    mod unsynced;
    mod waiting;
}
