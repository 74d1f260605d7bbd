//! The crate root: documentation from the README, and the names that users type.

mod driver;
pub mod engine;
pub mod protocol;
