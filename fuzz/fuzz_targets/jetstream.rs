//! The target `jetstream`; its body is in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nats_lifeline_fuzz::jetstream(input));
