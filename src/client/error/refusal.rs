//! Why messages are refused, with the numbers; for `try_publish`, with the message.

use std::error;
use std::fmt;
use std::time::Duration;

use crate::client::message::OutboundMessage;
use crate::driver::lost_in_words;
use crate::engine::{EndReason, counted};
use crate::protocol::{ErrKind, shown};

/// A measured time as people read it, and the same for times that hardly differ.
pub(super) fn rounded(measured: Duration) -> Duration {
    let unit = if measured >= Duration::from_secs(1) { 100 } else { 1 };
    let units = (measured.as_millis() + unit / 2) / unit;
    Duration::from_millis(u64::try_from(units.saturating_mul(unit)).unwrap_or(u64::MAX))
}

/// Why a message could not be sent: the source of a publish error of kind [`Send`](super::PublishErrorKind::Send).
///
/// In all these cases the message was either not accepted or lost afterwards, and will not be sent.
///
/// ```
/// use nats_lifeline::client::SendFault;
/// use nats_lifeline::{PublishError, PublishErrorKind};
///
/// fn is_worth_a_retry(error: &PublishError) -> bool {
///     matches!(
///         error.source_as::<SendFault>(),
///         Some(SendFault::NoRoom { .. } | SendFault::BufferFull { .. } | SendFault::Disconnected)
///     )
/// }
///
/// let full = SendFault::BufferFull { pending: 8_388_600, limit: 8_388_608, frame: 46 };
/// assert!(is_worth_a_retry(&PublishError::with_source(PublishErrorKind::Send, full)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendFault {
    /// The server accepted bytes more slowly than they were published, for the whole of
    /// [`publish_timeout`](crate::ConnectOptions::publish_timeout); or no server was connected and there was no room
    /// within the time of [`OverflowPolicy::Wait`](crate::options::OverflowPolicy::Wait).
    #[error("no room for the message after waiting {:?}", rounded(*waited))]
    NoRoom {
        /// For how long the call waited.
        waited: Duration,
    },
    /// No server is connected, and the buffered messages leave no room for this one. If it alone is larger than
    /// [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size), it can only be sent while a server is
    /// connected.
    #[error("{}", full_in_words(*pending, *limit, *frame))]
    BufferFull {
        /// Bytes that were pending.
        pending: usize,
        /// The limit, in bytes.
        limit: usize,
        /// Bytes of the refused message with its control line.
        frame: usize,
    },
    /// No server is connected, and as many messages are buffered as
    /// [`reconnect_buffer_messages`](crate::ConnectOptions::reconnect_buffer_messages) allows.
    #[error("reconnect buffer full: {} pending; the limit is {limit}", counted(*pending, "message"))]
    TooManyMessages {
        /// Messages that were buffered.
        pending: u64,
        /// The limit.
        limit: u64,
    },
    /// The message was accepted and then lost on this side, before it was sent completely.
    #[error("dropped before it was sent")]
    Dropped,
    /// The client is closed.
    #[error("the client is closed")]
    Closed,
    /// The message has headers, and the connected server does not support them.
    #[error("the server does not support headers")]
    HeadersUnsupported,
    /// No server is connected, and the message must not be buffered: it is critical, or the client does not
    /// reconnect (any more).
    #[error("no server is connected")]
    Disconnected,
    /// The message was still buffered at the call's deadline and was removed: no server was connected in time, or the
    /// connected server accepted nothing.
    #[error("not sent within {:?}", rounded(*waited))]
    NotInTime {
        /// For how long the call waited.
        waited: Duration,
    },
    /// The message was buffered for longer than [`max_message_age`](crate::ConnectOptions::max_message_age).
    #[error("the message had expired before a server was connected")]
    Expired,
    /// The server refused the message, usually because the user's permissions do not allow its subject. If the
    /// publisher does not wait,
    /// [`ConnectionEvent::ServerError`](crate::connection::ConnectionEvent::ServerError) reports it, and the message is
    /// counted in [`Lost::refused`](crate::connection::Lost::refused).
    #[error("refused by the server: {error}")]
    Refused {
        /// The server's error, with the subject.
        error: ErrKind,
    },
}

/// Payload and headers are larger than the server accepts: the source of errors of kind `MaxPayloadExceeded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Payload size limit of {max} exceeded by message size of {size}")]
pub struct PayloadTooLarge {
    /// `max_payload` of the server, in bytes.
    pub max: usize,
    /// Payload and encoded headers, in bytes.
    pub size: usize,
}

/// The connection was lost after a request was sent on it, so the request may or may not have been served. The source
/// of request errors of kind [`Other`](super::RequestErrorKind::Other).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lost_in_words(*in_doubt))]
#[non_exhaustive]
pub struct ConnectionLost {
    /// Messages that this loss left in doubt, requests included. Zero means that the server had processed all of
    /// them, and only the reply is missing.
    pub in_doubt: u64,
}

/// A request was not sent, because the client has ended.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unsent(#[source] pub(crate) EndReason);

/// An earlier copy of a request may have been served: the source of an error that would otherwise mean that none was.
#[derive(Debug)]
pub(crate) struct PossiblyServed {
    source: Option<crate::Error>,
}

impl PossiblyServed {
    /// `error`, from which it can't be concluded any more that the request was not served.
    pub(crate) fn mark(error: super::RequestError) -> super::RequestError {
        let kind = error.kind();
        super::RequestError::with_source(kind, PossiblyServed { source: error.into_source() })
    }
}

impl fmt::Display for PossiblyServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request may have been served when it was sent before")?;
        match &self.source {
            Some(source) => write!(f, ": {}", shown(&source.to_string())),
            None => Ok(()),
        }
    }
}

impl error::Error for PossiblyServed {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}

/// No PONG confirmed the subscription in time: the source of an error of
/// [`subscribe_confirmed`](crate::Client::subscribe_confirmed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no server confirmed the subscription within {:?}", rounded(*waited))]
#[non_exhaustive]
pub struct NotConfirmed {
    /// For how long the call waited.
    pub waited: Duration,
}

fn full_in_words(pending: usize, limit: usize, frame: usize) -> String {
    if frame > limit && limit > 0 {
        format!("no server is connected, and a message of {frame} bytes exceeds the buffer limit of {limit}")
    } else {
        format!("reconnect buffer full: {pending} bytes pending, {frame} more would exceed the limit of {limit}")
    }
}

/// Why `try_publish` refused a message, with the message.
///
/// ```
/// use nats_lifeline::client::{TryPublishError, TryPublishErrorKind};
/// use nats_lifeline::message::OutboundMessage;
///
/// /// Keeps messages that a retry can save.
/// fn keep(error: TryPublishError) -> Option<OutboundMessage> {
///     match error.kind() {
///         TryPublishErrorKind::NoRoom | TryPublishErrorKind::BufferFull => Some(error.into_message()),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct TryPublishError {
    kind: TryPublishErrorKind,
    message: OutboundMessage,
    source: Option<crate::Error>,
}

/// The kinds of [`TryPublishError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPublishErrorKind {
    /// The server accepts bytes more slowly than they are published; `publish` would wait.
    NoRoom,
    /// No server is connected, and the buffered messages leave no room for this one, or it alone is larger than
    /// [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size).
    BufferFull,
    /// Payload and headers together are larger than the server accepts.
    MaxPayloadExceeded,
    /// The subject or the reply subject is invalid: empty, or with blanks or line ends.
    InvalidSubject,
    /// The message has headers, and the connected server does not support them.
    HeadersUnsupported,
    /// The client is closed, or has stopped reconnecting.
    Closed,
    /// The message is critical, and no server is connected.
    Disconnected,
}

impl fmt::Display for TryPublishErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPublishErrorKind::NoRoom => "no room for the message",
            TryPublishErrorKind::BufferFull => "reconnect buffer full",
            TryPublishErrorKind::MaxPayloadExceeded => "max payload size exceeded",
            TryPublishErrorKind::InvalidSubject => "invalid subject",
            TryPublishErrorKind::HeadersUnsupported => "headers not supported by the server",
            TryPublishErrorKind::Closed => "the client is closed",
            TryPublishErrorKind::Disconnected => "no server is connected",
        })
    }
}

impl TryPublishError {
    /// A refusal that needs no source. Allocates nothing: a loop over a full outbox makes millions of these.
    pub(crate) fn new(kind: TryPublishErrorKind, message: OutboundMessage) -> Self {
        TryPublishError { kind, message, source: None }
    }

    /// A refusal with a reason: another error, or text.
    pub(crate) fn with_source(
        kind: TryPublishErrorKind,
        message: OutboundMessage,
        source: impl Into<crate::Error>,
    ) -> Self {
        TryPublishError { kind, message, source: Some(source.into()) }
    }

    /// Why it was refused, to match on.
    pub fn kind(&self) -> TryPublishErrorKind {
        self.kind
    }

    /// The message that was refused.
    pub fn message(&self) -> &OutboundMessage {
        &self.message
    }

    /// Returns the refused message, to be kept or sent again.
    pub fn into_message(self) -> OutboundMessage {
        self.message
    }
}

impl fmt::Display for TryPublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {}", self.kind, shown(&source.to_string())),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl error::Error for TryPublishError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}
