//! Real clients and servers besides curl and nginx's HTTP/1.1, with podwall between them: who may is served, who may
//! not is told so in the client's own words, and what is open is cut when the law changes. In both modes.
//!
//! `cargo xtask setup` installs what they need; where one is missing the test fails with the package's name.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

mod clients {
    mod database;
    mod dns;
    mod http2;
    mod stage;
    mod websocket;
}
