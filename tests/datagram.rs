//! UDP in mode redirect: datagrams through real rules and the built program, judged, carried, cut. Each test is named
//! after its pitfall, and does everything over both families.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/hairpin.rs"]
mod hairpin;
#[path = "support/inside.rs"]
mod inside;
mod support;

mod datagram {
    mod application;
    mod bounds;
    mod carried;
    mod changes;
    mod denied;
    mod ending;
    mod stage;
    mod starting;
}
