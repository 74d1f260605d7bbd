//! Errors of calls about consumers.

use super::context::{RequestError, RequestErrorKind};
use crate::error::Error;
use crate::jetstream::wire::{self, ErrorCode};

/// Why there is no information about a consumer.
pub type ConsumerInfoError = Error<ConsumerInfoErrorKind>;

/// The kinds of [`ConsumerInfoError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConsumerInfoErrorKind {
    /// The name would not be a token of a subject; the source names it and the rule.
    #[error("invalid consumer name")]
    InvalidName,
    /// The servers that have the consumer are offline.
    #[error("consumer is offline")]
    Offline,
    /// There is no consumer of this name.
    #[error("consumer not found")]
    NotFound,
    /// There is no stream of this name.
    #[error("stream not found")]
    StreamNotFound,
    /// There is no answer, for the reason that is the source.
    #[error("request error")]
    Request,
    /// The server refused.
    #[error("jetstream error: {0}")]
    JetStream(wire::Error),
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
    /// Nobody listens: JetStream is not enabled, or the stream or consumer does not exist.
    #[error("no responders")]
    NoResponders,
}

impl From<wire::Error> for ConsumerInfoError {
    fn from(error: wire::Error) -> Self {
        let kind = match error.error_code() {
            ErrorCode::CONSUMER_NOT_FOUND => ConsumerInfoErrorKind::NotFound,
            ErrorCode::STREAM_NOT_FOUND => ConsumerInfoErrorKind::StreamNotFound,
            ErrorCode::CONSUMER_OFFLINE => ConsumerInfoErrorKind::Offline,
            _ => return ConsumerInfoErrorKind::JetStream(error).into(),
        };
        Error::with_source(kind, error)
    }
}

impl From<RequestError> for ConsumerInfoError {
    fn from(error: RequestError) -> Self {
        let kind = match error.kind() {
            RequestErrorKind::TimedOut => ConsumerInfoErrorKind::TimedOut,
            RequestErrorKind::InvalidSubject => ConsumerInfoErrorKind::InvalidName,
            RequestErrorKind::NoResponders => ConsumerInfoErrorKind::NoResponders,
            RequestErrorKind::Other => ConsumerInfoErrorKind::Request,
        };
        error.of_kind(kind)
    }
}

/// Declares an error of calls that create, change or find a consumer: the kinds of [`ConsumerError`], and those of its own.
macro_rules! consumer_error {
    ($(#[$doc:meta])* $error:ident, $kind:ident $(, $(#[$variant_doc:meta])* $text:literal $variant:ident = $code:ident)?) => {
        $(#[$doc])*
        pub type $error = Error<$kind>;

        #[doc = concat!("The kinds of [`", stringify!($error), "`].")]
        #[derive(Clone, Debug, PartialEq, thiserror::Error)]
        pub enum $kind {
            /// No answer within the timeout.
            #[error("timed out")]
            TimedOut,
            /// There is no answer, for the reason that is the source.
            #[error("request failed")]
            Request,
            /// The consumer is of another kind than its configuration.
            #[error("invalid consumer type")]
            InvalidConsumerType,
            /// The name would not be a token of a subject; the source names it and the rule.
            #[error("invalid consumer name")]
            InvalidName,
            $(
                $(#[$variant_doc])*
                #[error($text)]
                $variant,
            )?
            /// The server refused.
            #[error("JetStream error: {0}")]
            JetStream(wire::Error),
            /// Anything else, with its source.
            #[error("consumer error")]
            Other,
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
                match error.error_code() {
                    $(ErrorCode::$code => Error::with_source($kind::$variant, error),)?
                    _ => $kind::JetStream(error).into(),
                }
            }
        }
    };
}

consumer_error! {
    /// Why a consumer was not created, found or deleted.
    ConsumerError, ConsumerErrorKind
}

consumer_error! {
    /// Why a consumer was not created that must not exist yet.
    ConsumerCreateStrictError, ConsumerCreateStrictErrorKind,
    /// There is a consumer of this name with another configuration.
    "consumer already exists" AlreadyExists = CONSUMER_ALREADY_EXISTS
}

consumer_error! {
    /// Why a consumer was not changed.
    ConsumerUpdateError, ConsumerUpdateErrorKind,
    /// There is no consumer of this name.
    "consumer does not exist" DoesNotExist = CONSUMER_DOES_NOT_EXIST
}

/// Declares the conversion from [`ConsumerError`], whose variants the other error has too.
macro_rules! from_consumer_error {
    ($error:ident, $kind:ident) => {
        impl From<ConsumerError> for $error {
            fn from(error: ConsumerError) -> Self {
                let kind = match error.kind() {
                    ConsumerErrorKind::TimedOut => $kind::TimedOut,
                    ConsumerErrorKind::Request => $kind::Request,
                    ConsumerErrorKind::InvalidConsumerType => $kind::InvalidConsumerType,
                    ConsumerErrorKind::InvalidName => $kind::InvalidName,
                    ConsumerErrorKind::JetStream(error) => return error.into(),
                    ConsumerErrorKind::Other => $kind::Other,
                };
                error.of_kind(kind)
            }
        }
    };
}

from_consumer_error!(ConsumerCreateStrictError, ConsumerCreateStrictErrorKind);
from_consumer_error!(ConsumerUpdateError, ConsumerUpdateErrorKind);

/// Why a consumer was not reset.
pub type ConsumerResetError = Error<ConsumerResetErrorKind>;

/// The kinds of [`ConsumerResetError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConsumerResetErrorKind {
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
    /// There is no answer, for the reason that is the source.
    #[error("request failed")]
    Request,
    /// There is no stream or consumer of this name. Some servers do not answer at all then, which is a timeout.
    #[error("stream or consumer not found")]
    NotFound,
    /// The consumer can't start at this message.
    #[error("invalid reset")]
    InvalidReset,
    /// The server refused.
    #[error("JetStream error: {0}")]
    JetStream(wire::Error),
}

impl From<wire::Error> for ConsumerResetError {
    fn from(error: wire::Error) -> Self {
        let kind = match error.error_code() {
            ErrorCode::CONSUMER_INVALID_RESET => ConsumerResetErrorKind::InvalidReset,
            ErrorCode::CONSUMER_NOT_FOUND | ErrorCode::STREAM_NOT_FOUND => ConsumerResetErrorKind::NotFound,
            _ => return ConsumerResetErrorKind::JetStream(error).into(),
        };
        Error::with_source(kind, error)
    }
}

impl From<RequestError> for ConsumerResetError {
    fn from(error: RequestError) -> Self {
        let kind = match error.kind() {
            RequestErrorKind::TimedOut => ConsumerResetErrorKind::TimedOut,
            RequestErrorKind::NoResponders => ConsumerResetErrorKind::NotFound,
            RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
                return Error::with_source(ConsumerResetErrorKind::Request, error);
            }
        };
        error.of_kind(kind)
    }
}
