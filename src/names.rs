//! The names of the crate root that need the client, in the same places as in async-nats.

use crate::protocol::ToServerAddrs;

pub use crate::client::Client;
pub use crate::client::Request;
pub use crate::client::Statistics;
pub use crate::client::auth::{Auth, AuthError};
pub use crate::client::error::{
    ConnectError, ConnectErrorKind, PublishError, PublishErrorKind, RequestError, RequestErrorKind, ServerPoolError,
    ServerPoolErrorKind, SetServerPoolError, SetServerPoolErrorKind, SubscribeError, SubscribeErrorKind,
    UnsubscribeError,
};
pub use crate::client::event::{CallbackError, ClientError, Event, ServerError};
pub use crate::client::message::Message;
pub use crate::client::options::ConnectOptions;
pub use crate::client::server::{ReconnectToServer, Server};
pub use crate::client::subscriber::Subscriber;

/// Any error: the type of the sources of this crate's errors.
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
/// let client = nats_lifeline::connect("localhost").await?;
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
    crate::client::connect::connect(addrs, options).await
}

/// The connection's state, events and counters.
pub mod connection {
    pub use crate::client::connection::{
        Cause, ConnectionEvent, EndReason, Events, LossReason, Lost, LostMessage, LostMessages, ShouldFlush, State,
        StateChange, Stats, Status, StatusWatch,
    };
}

/// Points in time, as async-nats has them: with the types of the crate `time`, or with those of `chrono` by that feature.
#[cfg(any(feature = "chrono", feature = "jetstream"))]
pub mod datetime {
    pub use crate::client::datetime::now;
    pub use crate::protocol::datetime::{DateTime, add_std_duration, from_nanos, parse_rfc3339};
}

/// The generic error that all calls use.
pub mod error {
    pub use crate::client::error::Error;
}

/// The values of [`ConnectOptions`], and the options of single calls.
pub mod options {
    pub use crate::client::options::{InvalidOption, Profile, ProfileError};
    pub use crate::client::request_options::RequestOptions;
    pub use crate::client::request_stream::RepliesOptions;
    pub use crate::client::subscribe_options::SubscribeOptions;
    pub use crate::driver::WhenFull;
    pub use crate::engine::backoff::{Backoff, Jitter};
    pub use crate::engine::{DeliveryMode, Handover, OverflowPolicy};
}

/// Messages, in and out.
pub mod message {
    pub use crate::client::message::{Message, OutboundMessage};
}
