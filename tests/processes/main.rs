//! Faults of a whole process: it runs out of descriptors, is stopped, gets a SIGPIPE, has its memory searched. They are
//! applied to a child process: this binary, running the test `child`.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod scarcity;
mod sigpipe;
#[cfg(all(target_os = "linux", feature = "nkeys"))]
mod wiped;
