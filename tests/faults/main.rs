//! Faults that users of NATS clients met: each test carries the row of the list in which the fault was reported, and what
//! should have found it before.
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
mod linking;
mod log;
mod outside;
mod refusals;
mod runtimes;
mod sizes;
mod subjects;
