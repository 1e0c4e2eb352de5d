//! Bytes as a cluster: every verdict equals the plain reading's, and says why.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podwall_fuzz::bodies::compile_decide(bytes));
