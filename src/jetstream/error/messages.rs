//! Errors of a consumer's `messages`.

use super::consumer::{ConsumerError, ConsumerErrorKind};
use crate::error::Error;

/// Why a consumer's messages can't be read.
pub type StreamError = Error<StreamErrorKind>;

/// The kinds of [`StreamError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum StreamErrorKind {
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
    /// Anything else, with its source.
    #[error("failed")]
    Other,
}

impl From<ConsumerError> for StreamError {
    fn from(error: ConsumerError) -> Self {
        match error.kind() {
            ConsumerErrorKind::TimedOut => error.of_kind(StreamErrorKind::TimedOut),
            _ => Error::with_source(StreamErrorKind::Other, error),
        }
    }
}
