//! The client against real servers: nats-server processes, a raw observer beside the client, a proxy that injects
//! faults.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod auth;
mod auth_callback;
#[cfg(feature = "nkeys")]
mod auth_keys;
mod chaos;
mod choosing;
mod confirmed;
mod confirmed_losses;
mod critical;
mod cut_sessions;
mod cuts;
mod cutting;
mod delivery;
mod ending;
mod failback;
mod failover;
mod first_connection;
mod harness;
mod headers;
mod hostile_server;
mod jetstream_acks;
#[cfg(feature = "jetstream")]
mod jetstream_batches;
mod jetstream_broker;
#[cfg(feature = "jetstream")]
mod jetstream_cluster;
#[cfg(feature = "jetstream")]
mod jetstream_denied;
#[cfg(feature = "jetstream")]
mod jetstream_domains;
#[cfg(feature = "jetstream")]
mod jetstream_double_ack;
#[cfg(feature = "jetstream")]
mod jetstream_management;
#[cfg(feature = "jetstream")]
mod jetstream_moves;
#[cfg(feature = "jetstream")]
mod jetstream_ordered;
#[cfg(feature = "jetstream")]
mod jetstream_ordered_pull;
#[cfg(feature = "jetstream")]
mod jetstream_publish;
#[cfg(feature = "jetstream")]
mod jetstream_pull;
#[cfg(feature = "jetstream")]
mod jetstream_pull_elections;
#[cfg(feature = "jetstream")]
mod jetstream_pull_groups;
#[cfg(feature = "jetstream")]
mod jetstream_pull_nodes;
#[cfg(feature = "jetstream")]
mod jetstream_pull_outages;
#[cfg(feature = "jetstream")]
mod jetstream_push;
#[cfg(feature = "jetstream")]
mod jetstream_reading;
#[cfg(feature = "jetstream")]
mod jetstream_retry;
mod lifecycle;
mod long_outages;
mod moves;
mod options_at_work;
mod outage;
mod outage_buffer;
mod outage_calls;
mod pubsub;
mod request_stream;
mod requests;
mod sessions;
mod sink;
mod storm;
mod subjects;
mod subscribe_confirmed;
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
mod tls;
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
mod tls_cuts;
#[cfg(not(feature = "tls"))]
mod without_tls;
