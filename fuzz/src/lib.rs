//! What the fuzz targets run, apart from libFuzzer.
//!
//! `cargo +nightly fuzz run documents`, then `compile_decide` and `packet`; give a scratch directory ahead of the
//! corpus (`fuzz/artifacts/new fuzz/corpus/documents`), so that inputs found by a run stay out of the
//! corpus until somebody has looked at them. An input that failed once belongs into it.
//!
//! Start at [`bodies`].

/// What must hold between a verdict, its nearest misses and the plain reading.
#[path = "../../policy/tests/cases/agree.rs"]
#[allow(missing_docs)]
pub mod agree;
/// The parser and its nouns, as files: the crate that they belong to brings an API client.
#[path = "../../proxy/src/arrival.rs"]
pub mod arrival;
pub mod bodies;
#[path = "../../proxy/src/intercept/packet.rs"]
pub mod packet;
pub mod packets;
