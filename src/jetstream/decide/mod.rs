//! The part that decides: machines of events and effects. No I/O, no clock, no runtime: the present time is an argument, and
//! randomness comes from a seed.
//!
//! With the feature `internals` it is public, for tests and simulations, without any promise.

pub(super) mod backoff;
pub mod fetch;
mod ledger;
pub mod ordered;
pub(super) mod publish;
pub mod pull;
pub mod push;
mod seen;
pub mod settings;
pub mod silence;
