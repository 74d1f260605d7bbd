//! The stub of `decoder_client`; the body and its laws are in the library.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nats_lifeline_fuzz::decoder_client(input));
