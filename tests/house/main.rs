//! The house itself: its sources keep its rules, and its documents say what is there.
#![allow(clippy::unwrap_used, reason = "a test that can't read the sources has failed")]

mod architecture;
mod targets;
