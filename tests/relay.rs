//! The path of a connection: redirected by real rules, judged, relayed byte for byte, refused by a reset, and what
//! cannot be got around. Each test is named after its pitfall, and does everything over both families.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/hairpin.rs"]
mod hairpin;
#[path = "support/inside.rs"]
mod inside;
mod support;
#[path = "support/talk.rs"]
mod talk;

mod relay {
    mod around;
    mod canary;
    mod families;
    mod legs;
    mod ports;
    mod refusals;
    mod room;
    mod streams;
    mod tuples;
    mod udp;
}
