//! Faults that users of NATS clients met: each test carries the row of the list in which the fault was reported, and what
//! should have found it before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crowding;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod credentials;
#[cfg(all(unix, feature = "nkeys"))]
mod files;
mod runtimes;
mod sizes;
mod subjects;
