//! What the fuzz targets run, apart from libFuzzer.
//!
//! `cargo +nightly fuzz run documents`, then `compile_decide`; give a scratch directory ahead of the
//! corpus (`fuzz/artifacts/new fuzz/corpus/documents`), so that inputs found by a run stay out of the
//! corpus until somebody has looked at them. An input that failed once belongs into it.
//!
//! Start at [`bodies`].

/// What must hold between a verdict, its nearest misses and the plain reading.
#[path = "../../policy/tests/cases/agree.rs"]
#[allow(missing_docs)]
pub mod agree;
pub mod bodies;
