//! Bytes as a packet of the queue: nothing panics, and a shorter copy never reads as something else.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| podwall_fuzz::packets::packet(bytes));
