//! A real API server as the source, and everything that API servers do. Real packets through the built program.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "support/faults/mod.rs"]
mod faults;
#[path = "support/inside.rs"]
mod inside;
mod support;
#[path = "support/talk.rs"]
mod talk;
#[allow(dead_code)]
#[path = "identity/waiting.rs"]
mod waiting;

mod kubernetes {
    mod ordeal;
    mod siege;
    mod stage;
    mod through;

    mod commands {
        mod desk;
        mod faults;
        mod live;
        mod merged;
        mod rights;
    }
    mod failures {
        mod answers;
        mod away;
        mod credentials;
        mod silence;
    }
    mod objects {
        mod changes;
        mod lives;
        mod malformed;
    }
}
