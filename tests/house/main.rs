//! The house itself: the sources follow its rules, and its documents are true.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the sources has failed")]

mod architecture;
mod examples;
mod observability;
mod targets;
mod weight;
