//! Bytes as manifests: nothing panics, and nothing broken widens.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podwall_fuzz::bodies::documents(bytes));
