//! What a crate with the default features can use, and what it cannot.
//!
//! The engine is not public, since it comes without any promise:
//!
//! ```compile_fail
//! use nats_lifeline::engine::Engine;
//! ```
//!
//! The types that users see have one path each:
//!
//! ```
//! use nats_lifeline::client::FlushFailure;
//! use nats_lifeline::connection::{Cause, ConnectionEvent, EndReason, LossReason, Lost, LostMessage, LostMessages, Status};
//! use nats_lifeline::options::{Backoff, DeliveryMode, Handover, Jitter, OverflowPolicy};
//! ```
//!
//! The layer below is public, so that it can be fuzzed and reused:
//!
//! ```
//! use nats_lifeline::protocol::{Decoder, Limits};
//! ```
