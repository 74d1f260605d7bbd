//! A whole process: it is configured from outside, runs out of descriptors, is stopped, gets a SIGPIPE, has its memory
//! searched. This is done to a child process: this binary, running the test `child`, or an example.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod built;
mod configuration;
mod scarcity;
mod service;
mod sigpipe;
#[cfg(all(target_os = "linux", feature = "nkeys"))]
mod wiped;
