//! The part that waits: it sends requests, waits for answers and timers, and decides nothing.

pub(super) mod access;
pub(super) mod acks;
pub(super) mod call;
pub(super) mod confirm;
mod connecting;
pub(super) mod deliveries;
pub(super) mod fetch;
pub(super) mod inlet;
pub(super) mod inquiry;
pub(super) mod ordered;
pub(super) mod pages;
pub(super) mod pauses;
pub(super) mod publications;
pub(super) mod pull;
pub(super) mod pull_inlet;
pub(super) mod push;
pub(super) mod push_messages;
pub(super) mod reports;
