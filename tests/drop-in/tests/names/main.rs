//! Everything in async-nats 0.51 except key-value, object store and services exists: each name, signature and text.
//!
//! The compiler checks most of it: functions that only mention names never run. It also compiles with the real
//! async-nats (`async-nats/Cargo.toml`), which shows that it requires nothing else.

#![allow(dead_code, clippy::unwrap_used)]

mod addresses;
mod callable;
mod extensions;
mod jetstream;
mod options;
mod texts;
mod traits;
mod values;
