//! Scaffold, dropped when the engine comes: the parts that exist.

pub mod backoff;
pub mod config;
pub mod error;
pub mod event;
pub mod ledger;
