//! Everything that async-nats 0.51 offers without JetStream and services is there: each name, signature and text.
//!
//! Most of it is checked by the compiler: the functions that only name things never run. It compiles with the real
//! async-nats as well (`async-nats/Cargo.toml`), which shows that it asks for nothing else.

#![allow(dead_code, clippy::unwrap_used)]

mod addresses;
mod callable;
mod extensions;
mod options;
mod texts;
mod traits;
mod values;
