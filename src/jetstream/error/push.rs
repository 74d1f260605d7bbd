//! Errors of the messages of push consumers.

use crate::error::Error;

/// What a push consumer reports between messages, or why it has ended.
pub type MessagesError = Error<MessagesErrorKind>;

/// The kinds of [`MessagesError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum MessagesErrorKind {
    /// Two heartbeats are missing. The stream goes on.
    #[error("missed idle heartbeat")]
    MissingHeartbeat,
    /// The consumer does not exist any more. The stream ends.
    #[error("consumer deleted")]
    ConsumerDeleted,
    /// The consumer is a pull consumer. The stream ends.
    #[error("cannot use with pull consumer")]
    PullBasedConsumer,
    /// Anything else, with its source. The stream ends.
    #[error("error")]
    Other,
}

/// What an ordered push consumer reports between messages, or why it has ended.
pub type OrderedError = Error<OrderedErrorKind>;

/// The kinds of [`OrderedError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OrderedErrorKind {
    /// Two heartbeats are missing. Never reported: the consumer is created again.
    #[error("missed idle heartbeat")]
    MissingHeartbeat,
    /// The consumer does not exist any more. Never reported: it is created again.
    #[error("consumer deleted")]
    ConsumerDeleted,
    /// The consumer is of another kind.
    #[error("cannot use with push consumer")]
    PullBasedConsumer,
    /// The consumer can't be created again for now, for the reason that is the source. Attempts go on, and so does the stream.
    /// Reported once for each reason.
    #[error("consumer recreation failed")]
    Recreate,
    /// Anything else, with its source. The stream ends.
    #[error("error")]
    Other,
}

impl From<MessagesError> for OrderedError {
    fn from(error: MessagesError) -> Self {
        let kind = match error.kind() {
            MessagesErrorKind::MissingHeartbeat => OrderedErrorKind::MissingHeartbeat,
            MessagesErrorKind::ConsumerDeleted => OrderedErrorKind::ConsumerDeleted,
            MessagesErrorKind::PullBasedConsumer => OrderedErrorKind::PullBasedConsumer,
            MessagesErrorKind::Other => OrderedErrorKind::Other,
        };
        error.of_kind(kind)
    }
}

/// Why an ordered push consumer was not created again. For compatibility: nothing returns it.
pub type ConsumerRecreateError = Error<ConsumerRecreateErrorKind>;

/// The kinds of [`ConsumerRecreateError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ConsumerRecreateErrorKind {
    /// There is no such stream.
    #[error("error getting stream")]
    GetStream,
    /// The subscription failed.
    #[error("failed to resubscribe")]
    Subscription,
    /// The server refused.
    #[error("consumer creation failed")]
    Recreate,
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
}
