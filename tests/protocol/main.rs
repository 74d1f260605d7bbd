//! The wire protocol: fixtures, generated input, and everything that a fuzzer found.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fixture_format;
mod generated;
mod wire;

mod allocations;
mod fixtures;
mod fuzz_bodies;
mod hostile_program;
mod jetstream;
mod properties;
