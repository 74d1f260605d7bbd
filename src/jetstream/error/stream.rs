//! Errors of a stream's calls.

use super::context::{RequestError, RequestErrorKind, StreamsError, StreamsErrorKind};
use crate::error::Error;
use crate::jetstream::wire;
use crate::{RequestErrorKind as ClientKind, StatusCode};

/// Why there is no information about a stream.
pub type InfoError = RequestError;

/// Why a list of consumers ended early.
pub type ConsumersError = StreamsError;

/// The kinds of [`ConsumersError`].
pub type ConsumersErrorKind = StreamsErrorKind;

/// Why a direct get has no message.
pub type DirectGetError = Error<DirectGetErrorKind>;

/// The kinds of [`DirectGetError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DirectGetErrorKind {
    /// There is no such message.
    #[error("message not found")]
    NotFound,
    /// The subject is invalid; the source names it and the rule.
    #[error("invalid subject")]
    InvalidSubject,
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
    /// The request could not be made.
    #[error("request failed")]
    Request,
    /// The server refused, with this status and text. 503 means that nobody answers direct gets: the stream does not
    /// exist, or does not allow them.
    #[error("unable to get message: {0} {1}")]
    ErrorResponse(StatusCode, String),
    /// Anything else, with its source.
    #[error("error getting message")]
    Other,
}

impl From<crate::RequestError> for DirectGetError {
    fn from(error: crate::RequestError) -> Self {
        let kind = match error.kind() {
            ClientKind::TimedOut => DirectGetErrorKind::TimedOut,
            ClientKind::NoResponders => {
                DirectGetErrorKind::ErrorResponse(StatusCode::NO_RESPONDERS, "no responders".to_owned())
            }
            ClientKind::InvalidSubject | ClientKind::MaxPayloadExceeded | ClientKind::Other => {
                DirectGetErrorKind::Other
            }
        };
        error.of_kind(kind)
    }
}

impl From<RequestError> for DirectGetError {
    fn from(error: RequestError) -> Self {
        let kind = match error.kind() {
            RequestErrorKind::TimedOut => DirectGetErrorKind::TimedOut,
            // Its own documentation says why.
            RequestErrorKind::NoResponders => {
                let status = StatusCode::NO_RESPONDERS;
                return DirectGetErrorKind::ErrorResponse(status, "no responders".to_owned()).into();
            }
            RequestErrorKind::InvalidSubject => DirectGetErrorKind::InvalidSubject,
            RequestErrorKind::Other => DirectGetErrorKind::Other,
        };
        error.of_kind(kind)
    }
}

impl From<serde_json::Error> for DirectGetError {
    fn from(error: serde_json::Error) -> Self {
        Error::with_source(DirectGetErrorKind::Other, error)
    }
}

impl From<wire::StoredFault> for DirectGetError {
    fn from(fault: wire::StoredFault) -> Self {
        Error::with_source(DirectGetErrorKind::Other, fault)
    }
}

/// Why a stored message was not read.
pub type LastRawMessageError = Error<LastRawMessageErrorKind>;

/// The kinds of [`LastRawMessageError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LastRawMessageErrorKind {
    /// There is no such message.
    #[error("no message found")]
    NoMessageFound,
    /// The subject is invalid; the source names it and the rule.
    #[error("invalid subject")]
    InvalidSubject,
    /// The server refused.
    #[error("JetStream error: {0}")]
    JetStream(wire::Error),
    /// Anything else, with its source.
    #[error("failed to get last raw message")]
    Other,
}

impl From<RequestError> for LastRawMessageError {
    fn from(error: RequestError) -> Self {
        Error::with_source(LastRawMessageErrorKind::Other, error)
    }
}

impl From<wire::Error> for LastRawMessageError {
    fn from(error: wire::Error) -> Self {
        match error.error_code() {
            wire::ErrorCode::NO_MESSAGE_FOUND => Error::with_source(LastRawMessageErrorKind::NoMessageFound, error),
            _ => LastRawMessageErrorKind::JetStream(error).into(),
        }
    }
}

/// Why a stored message was not read.
pub type RawMessageError = LastRawMessageError;

/// The kinds of [`RawMessageError`].
pub type RawMessageErrorKind = LastRawMessageErrorKind;

/// Declares an error whose kinds are a timeout, another failure of the request, and the server's refusal.
macro_rules! simple_error {
    ($(#[$doc:meta])* $error:ident, $kind:ident) => {
        $(#[$doc])*
        pub type $error = Error<$kind>;

        #[doc = concat!("The kinds of [`", stringify!($error), "`].")]
        #[derive(Clone, Debug, PartialEq, thiserror::Error)]
        pub enum $kind {
            /// There is no answer, for the reason that is the source.
            #[error("request failed")]
            Request,
            /// No answer within the timeout.
            #[error("timed out")]
            TimedOut,
            /// The server refused.
            #[error("JetStream error: {0}")]
            JetStream(wire::Error),
        }

        impl From<RequestError> for $error {
            fn from(error: RequestError) -> Self {
                match error.kind() {
                    RequestErrorKind::TimedOut => error.of_kind($kind::TimedOut),
                    _ => Error::with_source($kind::Request, error),
                }
            }
        }

        impl From<wire::Error> for $error {
            fn from(error: wire::Error) -> Self {
                $kind::JetStream(error).into()
            }
        }
    };
}

simple_error! {
    /// Why a message was not deleted.
    DeleteMessageError, DeleteMessageErrorKind
}

simple_error! {
    /// Why messages were not purged.
    PurgeError, PurgeErrorKind
}
