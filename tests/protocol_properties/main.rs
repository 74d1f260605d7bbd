//! Laws of the protocol layer over generated input, by area.
#![allow(clippy::unwrap_used)] // a test may

#[path = "../generated/mod.rs"]
mod generated;
#[path = "../wire/mod.rs"]
mod wire;

mod documents;
mod frames;
mod headers;
mod names;
