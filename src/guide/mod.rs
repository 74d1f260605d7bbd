//! The guide: one page for each task of somebody who runs a service on NATS.
//!
//! | you want to … | page |
//! |---|---|
//! | take your first steps with NATS | [first steps](first_steps) |
//! | know what happens to a message when a connection is lost | [delivery guarantees](delivery) |
//! | know what the client does when a connection is lost | [an outage, step by step](outage) |
//! | know what the client is doing now, and what each event means | [states and events](states) |
//! | move a program from async-nats | [migrating from async-nats](migrating) |
//! | set up a client for production | [production configuration](production) |
//! | store messages, and process each of them | [JetStream](mod@jetstream) |
//! | use several servers, or return to the nearest one | [failover and server lists](failover) |
//! | keep publishing while no server is connected | [buffering during outages](buffering) |
//! | choose how fast the client reconnects, and when it gives up | [backoff and jitter](mod@backoff) |
//! | answer a health probe, alert, draw a dashboard | [health and metrics](health) |
//! | follow a request or an outage in OpenTelemetry, read the log | [log and tracing](mod@tracing) |
//! | run your own code when a connection is lost or back | [callbacks and events](events) |
//! | avoid the usual mistakes | [pitfalls] |
//! | test how your own program recovers | [testing your own recovery](mod@testing) |
//! | change a buffer, a timeout or the PINGs | [tuning] |
//!
//! The examples run as they are: each starts a broker of its own inside the process (feature `testing`). With a real
//! server, put its address in place of `broker.url()`.
//!
//! Key-value, object store, services and WebSocket do not exist in this crate yet.

// The names that the pages link to.
#[cfg(doc)]
use crate::client::{CircuitBreaker, Delivery, FlushFailure, Health, NotConnected, Router, RunningRouter};
#[cfg(doc)]
use crate::connection::{Cause, ConnectionEvent, Lost, Stats, Status};
#[cfg(all(doc, feature = "jetstream"))]
use crate::jetstream::Context;
#[cfg(doc)]
use crate::options::{Backoff, DeliveryMode, InvalidOption, Jitter, OverflowPolicy, RequestOptions, WhenFull};
#[cfg(doc)]
use crate::{Client, ConnectErrorKind, ConnectOptions, Event, RequestError, Subscriber};

#[doc = include_str!("first_steps.md")]
pub mod first_steps {}

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("outage.md")]
pub mod outage {}

#[doc = include_str!("states.md")]
pub mod states {}

#[doc = include_str!("migrating.md")]
pub mod migrating {}

#[doc = include_str!("production.md")]
pub mod production {}

#[doc = include_str!("jetstream.md")]
#[cfg(feature = "jetstream")]
pub mod jetstream {}

#[doc = include_str!("failover.md")]
pub mod failover {}

#[doc = include_str!("buffering.md")]
pub mod buffering {}

#[doc = include_str!("backoff.md")]
pub mod backoff {}

#[doc = include_str!("health.md")]
pub mod health {}

#[doc = include_str!("tracing.md")]
pub mod tracing {}

#[doc = include_str!("events.md")]
pub mod events {}

#[doc = include_str!("pitfalls.md")]
pub mod pitfalls {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("tuning.md")]
pub mod tuning {}
