//! `podwall_proxy::kernel` against the real kernel: conntrack entries, their ends, and TCP sockets of a real network
//! namespace, with real packets between two pods. Everything over both families.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

mod kernel_tables {
    mod conntrack;
    mod events;
    mod scene;
    mod sockets;
}
