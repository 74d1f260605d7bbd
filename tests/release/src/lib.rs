//! What a crate with the default features can name, and what it can't.
//!
//! The engine is not public, since no promise is made about it:
//!
//! ```compile_fail
//! use nats_lifeline::engine::Engine;
//! ```
//!
//! What users see of it has one name each:
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
