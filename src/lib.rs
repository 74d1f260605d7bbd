//! The crate root: documentation from the README, and the names that users type.

mod driver;
pub mod engine;
pub mod protocol;
#[cfg(feature = "testing")]
pub mod testing;

pub mod client;

pub use client::Client;
pub use client::Request;
pub use client::error::{
    ConnectError, ConnectErrorKind, PublishError, PublishErrorKind, RequestError, RequestErrorKind, ServerPoolError,
    ServerPoolErrorKind, SetServerPoolError, SetServerPoolErrorKind, SubscribeError, SubscribeErrorKind,
    UnsubscribeError,
};
pub use client::event::{CallbackError, ClientError, Event, ServerError};
pub use client::message::Message;
pub use client::options::ConnectOptions;
pub use client::{Server, Statistics, Subscriber};
pub use protocol::{
    ConnectInfo, HeaderMap, HeaderName, HeaderValue, Protocol, ServerAddr, ServerInfo, StatusCode, Subject,
    SubjectError, ToServerAddrs, ToSubject,
};

/// Any error: what the sources of this crate's errors are kept as.
pub type Error = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The old name of [`OutboundMessage`](message::OutboundMessage).
#[deprecated(since = "0.44.0", note = "use `message::OutboundMessage`")]
pub type PublishMessage = message::OutboundMessage;

/// Connects to one of `addrs` with the default options: [`connect_with_options`] with
/// [`ConnectOptions::default`].
///
/// # Errors
///
/// As [`ConnectOptions::connect`].
///
/// ```no_run
/// # async fn example() -> Result<(), nats_lifeline::Error> {
/// let client = nats_lifeline::connect("demo.nats.io").await?;
/// client.publish("greetings", "hello".into()).await?;
/// client.flush().await?;
/// # Ok(())
/// # }
/// ```
pub async fn connect<A: ToServerAddrs>(addrs: A) -> Result<Client, ConnectError> {
    connect_with_options(addrs, ConnectOptions::default()).await
}

/// Connects to one of `addrs`; the same as [`ConnectOptions::connect`].
///
/// # Errors
///
/// As [`ConnectOptions::connect`].
pub async fn connect_with_options<A: ToServerAddrs>(addrs: A, options: ConnectOptions) -> Result<Client, ConnectError> {
    client::connect::connect(addrs, options).await
}

/// The connection's state, events and sums.
pub mod connection {
    pub use crate::client::connection::{
        Cause, ConnectionEvent, EndReason, Events, Lost, ShouldFlush, State, Stats, Status, StatusWatch,
    };
}

/// The generic error that all calls use.
pub mod error {
    pub use crate::client::error::Error;
}

/// Headers: names, values, the map, and the names that NATS itself uses.
pub mod header {
    pub use crate::protocol::{
        GetAll, HeaderMap, HeaderName, HeaderValue, IntoHeaderName, IntoHeaderValue, ParseHeaderNameError,
        ParseHeaderValueError,
    };
    pub use crate::protocol::{
        NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_EOB, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
        NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        NATS_EXPECTED_STREAM, NATS_LAST_CONSUMER, NATS_LAST_SEQUENCE, NATS_LAST_STREAM, NATS_MARKER_REASON,
        NATS_MESSAGE_ID, NATS_MESSAGE_TTL, NATS_PIN_ID, NATS_REQUIRED_API_LEVEL, NATS_ROLLUP, NATS_SCHEDULE,
        NATS_SCHEDULE_DAILY, NATS_SCHEDULE_HOURLY, NATS_SCHEDULE_MONTHLY, NATS_SCHEDULE_NEXT, NATS_SCHEDULE_ROLLUP,
        NATS_SCHEDULE_ROLLUP_SUB, NATS_SCHEDULE_SOURCE, NATS_SCHEDULE_TARGET, NATS_SCHEDULE_TIME_ZONE,
        NATS_SCHEDULE_TTL, NATS_SCHEDULE_WEEKLY, NATS_SCHEDULE_YEARLY, NATS_SCHEDULER, NATS_SEQUENCE, NATS_STREAM,
        NATS_SUBJECT, NATS_TIME_STAMP,
    };
}

/// Messages, in and out.
pub mod message {
    pub use crate::client::message::{Message, OutboundMessage};
}

/// Status codes of messages.
pub mod status {
    pub use crate::protocol::{InvalidStatusCode, StatusCode};
}

/// Subjects.
pub mod subject {
    pub use crate::protocol::{Subject, SubjectError, ToSubject};
}
