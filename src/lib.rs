//! The crate root: documentation from the README, and the names that users type.

pub mod engine;
pub mod protocol;
