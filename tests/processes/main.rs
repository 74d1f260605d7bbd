//! What happens to a whole process: it runs out of descriptors, is stopped, gets a SIGPIPE, has its memory searched. It is
//! done to a child, which is this binary once more with one of the tests named `child`.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod scarcity;
mod sigpipe;
#[cfg(all(target_os = "linux", feature = "nkeys"))]
mod wiped;
