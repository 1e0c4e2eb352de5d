//! Mode queue at the front door: real rules, the built program with NET_ADMIN alone, real clients. Denied at the first
//! packet, cut in the kernel when a verdict turns, closed when podwall is gone. Each test is named after its pitfall or
//! semantic where it has one, and does everything over both families.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

// UDP clients and applications; what is in it of mode redirect is not used here.
#[allow(dead_code)]
#[path = "datagram/stage.rs"]
mod datagrams;
#[path = "support/hairpin.rs"]
mod hairpin;
#[path = "support/inside.rs"]
mod inside;
#[path = "support/manifests.rs"]
mod manifests;
mod support;
#[path = "support/talk.rs"]
mod talk;

mod queue {
    mod accounts;
    mod closed;
    mod environment;
    mod first_packet;
    mod flags;
    mod forgotten;
    mod hold;
    mod left_behind;
    mod live;
    mod packets;
    mod race;
    mod stage;
    mod swept;
    mod untouched;
}
