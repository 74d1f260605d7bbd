//! The API: the client, its options, messages, events and errors. Thin handles over the layers below.

pub(crate) mod alone;
mod asked;
pub(crate) mod auth;
mod breaker;
mod callback;
#[allow(clippy::module_inception)]
mod client;
mod confirmed;
pub(crate) mod connect;
pub(crate) mod connection;
#[cfg(feature = "nkeys")]
mod credentials;
#[cfg(feature = "nkeys")]
mod creds_file;
mod critical;
#[cfg(any(feature = "chrono", feature = "jetstream"))]
pub(crate) mod datetime;
mod denied;
mod encoding;
mod ending;
pub(crate) mod error;
pub(crate) mod event;
#[cfg(feature = "jetstream")]
mod for_guests;
mod gap_stream;
mod health;
mod inbox_id;
#[cfg(feature = "json")]
mod json;
mod lost;
pub(crate) mod message;
mod message_batch;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "nkeys")]
mod nkey;
pub(crate) mod options;
mod outages;
mod pending_reply;
mod publish;
mod publisher;
mod request;
pub(crate) mod request_options;
mod request_span;
pub(crate) mod request_stream;
mod requests;
mod router;
pub(crate) mod server;
mod servers;
mod sink;
mod subscribe;
mod subscribe_confirmed;
pub(crate) mod subscribe_options;
pub(crate) mod subscriber;
#[cfg(feature = "jetstream")]
mod tracked;
pub mod traits;
mod traits_impl;
mod wait;

pub use crate::driver::{Statistics, TopologyChange};
pub use crate::engine::FlushFailure;
pub use auth::AuthRequest;
pub use breaker::{BreakerError, BreakerState, CircuitBreaker};
pub use client::Client;
pub use confirmed::PublishOutcome;
#[cfg(feature = "nkeys")]
pub use credentials::CredsError;
pub use error::{
    CloseError, ConnectionLost, DrainError, DrainReport, FlushError, FlushErrorKind, NotConfirmed, NotConnected,
    NotDriven, PayloadTooLarge, PublishError, PublishErrorKind, ReconnectError, RequestError, RequestErrorKind,
    SendFault, ServerPoolError, ServerPoolErrorKind, SetServerPoolError, SetServerPoolErrorKind, SubscribeError,
    SubscribeErrorKind, TryPublishError, TryPublishErrorKind,
};
#[cfg(feature = "jetstream")]
pub(crate) use for_guests::{Alarm, Answer, Pong, TrackedRequest, Tracker, Watch, unique_name};
pub use gap_stream::{Delivery, GapStream};
pub use health::{Health, HealthSnapshot};
#[cfg(feature = "json")]
pub use json::JsonError;
pub use message_batch::{MessageBatch, MessageBatchIter, MessageRef};
#[cfg(feature = "nkeys")]
pub use nkey::NKeyError;
pub use outages::LongOutage;
pub(crate) use outages::LongOutageCallback;
pub use pending_reply::PendingReply;
pub use publisher::{PublishBatchError, Publisher};
pub use request::Request;
pub use request_stream::{Replies, RepliesEnd};
pub use router::{DEAD_LETTER_REASON, DEAD_LETTER_SUBJECT, Router, RouterReport, RunningRouter};
pub use subscriber::SubscriberCounts;
