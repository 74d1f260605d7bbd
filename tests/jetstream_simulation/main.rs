//! The machines of JetStream against a model server on a virtual clock: seeded, with faults, and with the promises of
//! docs/design.md as checkers.
//!
//! One seed is one world. `SEEDS=n` runs the first n seeds, or n from `FROM=x` on; `SEED=x` one alone, with its script.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fetch;
mod line;
mod ordered;
mod pull;
mod push;
mod script;
mod seeds;
