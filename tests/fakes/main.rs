//! The client against fake peers: the broker of the feature `testing`, scripted conversations, in-memory
//! streams; and tests of the broker itself. No nats-server is needed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod batches;
mod blocking;
mod broken_subscriber;
mod broker;
mod broker_speed;
mod cancelling;
mod dead_letters;
mod dialer;
mod few_writes;
mod gaps;
mod health;
#[cfg(feature = "jetstream")]
mod jetstream;
mod json;
mod limits_of_servers;
mod metrics;
mod pending_replies;
mod poison;
mod publisher;
mod request_tries;
mod router;
mod server_gone;
mod slow_consumer;
mod spans;
mod starvation;
