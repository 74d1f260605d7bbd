//! One kind of error for each call, with the texts and variants that programs written for async-nats match on.

use std::fmt;
use std::io;

use super::{Error, PossiblyServed, SendFault, Unsent};

/// Why [`connect`](crate::connect) failed.
pub type ConnectError = Error<ConnectErrorKind>;

/// The kinds of [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConnectErrorKind {
    /// A server address could not be parsed, or is one for WebSocket, which cannot be dialled.
    ServerParse,
    /// A server's name could not be looked up.
    Dns,
    /// The credentials could not be prepared, for instance because signing the server's nonce failed.
    Authentication,
    /// The server refused the credentials.
    AuthorizationViolation,
    /// No attempt was completed within [`connection_timeout`](crate::ConnectOptions::connection_timeout).
    TimedOut,
    /// TLS was required by one side but could not be established.
    Tls,
    /// The transport failed; or an option is invalid, and the source is an
    /// [`InvalidOption`](crate::options::InvalidOption).
    Io,
    /// As many attempts failed as [`connect_attempts`](crate::ConnectOptions::connect_attempts) allows. The source is a
    /// [`NotConnected`](crate::client::NotConnected) with their number and the last error of each server.
    MaxReconnects,
}

impl fmt::Display for ConnectErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectErrorKind::ServerParse => "failed to parse server or server list",
            ConnectErrorKind::Dns => "DNS error",
            ConnectErrorKind::Authentication => "failed signing nonce",
            ConnectErrorKind::AuthorizationViolation => "authorization violation",
            ConnectErrorKind::TimedOut => "timed out",
            ConnectErrorKind::Tls => "TLS error",
            ConnectErrorKind::Io => "IO error",
            ConnectErrorKind::MaxReconnects => "reached maximum number of reconnects",
        })
    }
}

impl From<io::Error> for ConnectError {
    /// An error of kind [`Io`](ConnectErrorKind::Io) with `error` as its source.
    fn from(error: io::Error) -> Self {
        Error::with_source(ConnectErrorKind::Io, error)
    }
}

/// Why a message was not published.
///
/// The message was not accepted and was never sent. While disconnected, messages are accepted (and
/// buffered) up to [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size).
pub type PublishError = Error<PublishErrorKind>;

/// The kinds of [`PublishError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PublishErrorKind {
    /// Payload and headers together are larger than the server accepts. The source is a
    /// [`PayloadTooLarge`](super::PayloadTooLarge).
    MaxPayloadExceeded,
    /// The subject or the reply subject is invalid: it is empty, or contains a blank, a tab or a line end. Empty tokens and
    /// wildcards (`a..b`, `a.*`) are accepted when publishing, as in async-nats.
    InvalidSubject,
    /// The message could not be sent. The source is a [`SendFault`](super::SendFault) that says why.
    Send,
}

impl fmt::Display for PublishErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PublishErrorKind::MaxPayloadExceeded => "max payload size exceeded",
            PublishErrorKind::InvalidSubject => "invalid subject",
            PublishErrorKind::Send => "failed to send message",
        })
    }
}

/// Why a request failed.
pub type RequestError = Error<RequestErrorKind>;

/// The kinds of [`RequestError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RequestErrorKind {
    /// No reply came within the timeout of the request. With a [`SendFault`] as its source it was not sent in that
    /// time, and never will be; without one it may have been served.
    TimedOut,
    /// The subject has no responders (status 503).
    NoResponders,
    /// The subject is invalid: it is empty, or contains a blank, a tab or a line end. Empty tokens and wildcards (`a..b`, `a.*`)
    /// are accepted, as when publishing.
    InvalidSubject,
    /// Payload and headers together are larger than the server accepts.
    MaxPayloadExceeded,
    /// Anything else; the source has the reason.
    Other,
}

impl RequestError {
    /// Whether the request was certainly not served and never will be: it was refused, withdrawn or dropped before it
    /// was sent, the server refused it, or its subject has no responders. It can then be sent again without being
    /// served twice, which does not mean that it will succeed.
    ///
    /// ```
    /// use nats_lifeline::client::{ConnectionLost, SendFault};
    /// use nats_lifeline::{RequestError, RequestErrorKind};
    ///
    /// assert!(RequestError::new(RequestErrorKind::NoResponders).is_safe_to_repeat());
    /// let timed_out = RequestErrorKind::TimedOut;
    /// assert!(!RequestError::new(timed_out).is_safe_to_repeat(), "it was sent");
    /// let unsent = SendFault::NotInTime { waited: std::time::Duration::from_secs(10) };
    /// assert!(RequestError::with_source(timed_out, unsent).is_safe_to_repeat());
    /// ```
    pub fn is_safe_to_repeat(&self) -> bool {
        if self.source_as::<PossiblyServed>().is_some() {
            return false;
        }
        match self.kind {
            RequestErrorKind::NoResponders
            | RequestErrorKind::InvalidSubject
            | RequestErrorKind::MaxPayloadExceeded => true,
            RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                self.source_as::<SendFault>().is_some()
                    || self.source_as::<Unsent>().is_some()
                    || self.source_as::<PublishError>().is_some()
                    || self.source_as::<SubscribeError>().is_some()
            }
        }
    }
}

impl fmt::Display for RequestErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RequestErrorKind::TimedOut => "request timed out",
            RequestErrorKind::NoResponders => "no responders",
            RequestErrorKind::InvalidSubject => "invalid subject",
            RequestErrorKind::MaxPayloadExceeded => "max payload size exceeded",
            RequestErrorKind::Other => "request failed",
        })
    }
}

impl From<PublishError> for RequestError {
    /// An error of kind [`Other`](RequestErrorKind::Other) with `error` as its source.
    fn from(error: PublishError) -> Self {
        Error::with_source(RequestErrorKind::Other, error)
    }
}

impl From<SubscribeError> for RequestError {
    /// An error of kind [`Other`](RequestErrorKind::Other) with `error` as its source.
    fn from(error: SubscribeError) -> Self {
        Error::with_source(RequestErrorKind::Other, error)
    }
}

/// Why a subscription failed. Being disconnected is not an error: the next connection subscribes.
pub type SubscribeError = Error<SubscribeErrorKind>;

/// The kinds of [`SubscribeError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SubscribeErrorKind {
    /// The subject is empty, contains a blank, a tab or a line end, has an empty token (`..`, a dot at either end), or a `>` that
    /// is not its last token.
    InvalidSubject,
    /// The queue group's name is empty or has blanks or line ends.
    InvalidQueueName,
    /// Anything else, such as a client that is draining or closed; the source has the reason.
    Other,
}

impl fmt::Display for SubscribeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubscribeErrorKind::InvalidSubject => "invalid subject",
            SubscribeErrorKind::InvalidQueueName => "invalid queue name",
            SubscribeErrorKind::Other => "subscribe failed",
        })
    }
}

/// Why a flush does not prove that the server has processed everything.
pub type FlushError = Error<FlushErrorKind>;

/// The kinds of [`FlushError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FlushErrorKind {
    /// The flush could not be started, because the client is closed.
    SendError,
    /// It was not confirmed: messages are in doubt, the deadline passed, or the client ended. The source says which.
    FlushError,
}

impl fmt::Display for FlushErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FlushErrorKind::SendError => "failed to send flush request",
            FlushErrorKind::FlushError => "flush failed",
        })
    }
}

/// Why the server pool was not replaced. The old pool stays.
pub type SetServerPoolError = Error<SetServerPoolErrorKind>;

/// The kinds of [`SetServerPoolError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SetServerPoolErrorKind {
    /// The client is closed.
    Send,
    /// An address could not be parsed.
    InvalidAddress,
    /// WebSocket addresses (`ws`, `wss`) are mixed with others.
    MixedSchemes,
    /// The list is empty.
    EmptyPool,
}

impl fmt::Display for SetServerPoolErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetServerPoolErrorKind::Send => "failed to send set_server_pool command",
            SetServerPoolErrorKind::InvalidAddress => "invalid server address",
            SetServerPoolErrorKind::MixedSchemes => "cannot mix websocket and non-websocket URLs in server pool",
            SetServerPoolErrorKind::EmptyPool => "server pool cannot be empty",
        })
    }
}

/// Why the server pool could not be read.
pub type ServerPoolError = Error<ServerPoolErrorKind>;

/// The kinds of [`ServerPoolError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ServerPoolErrorKind {
    /// The client is closed.
    Send,
}

impl fmt::Display for ServerPoolErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServerPoolErrorKind::Send => "failed to send server_pool command",
        })
    }
}
