//! Faults that users of NATS clients met. Each test names its row in docs/faults.md, and the check that
//! should have found the fault before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
mod certificates;
mod credentials;
mod crowding;
#[cfg(all(unix, feature = "nkeys"))]
mod files;
mod hostile_text;
mod linking;
mod log;
mod other_runtimes;
mod outcomes;
mod refusals;
mod runtimes;
mod sizes;
mod subjects;
mod user_code;
