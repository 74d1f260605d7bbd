//! Errors of pull consumers.

use crate::SubscribeError;
use crate::error::Error;

/// What is wrong with a stream of messages, or why it has ended.
pub type MessagesError = Error<MessagesErrorKind>;

/// The kinds of [`MessagesError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum MessagesErrorKind {
    /// Neither messages nor heartbeats have come for long. The stream goes on.
    #[error("missed idle heartbeat")]
    MissingHeartbeat,
    /// The consumer was deleted, or does not exist. The stream has ended.
    #[error("consumer deleted")]
    ConsumerDeleted,
    /// The server refuses such pulls, or they can't be sent. The stream has ended if the source says that the server refuses.
    #[error("pull request failed")]
    Pull,
    /// It is a push consumer. The stream has ended.
    #[error("cannot use with push consumer")]
    PushBasedConsumer,
    /// Nobody has received the pulls for long. The stream goes on.
    #[error("no responders")]
    NoResponders,
    /// The pulls ask for more than the consumer allows. The stream has ended.
    #[error("pull request exceeded consumer limits")]
    RequestLimitExceeded,
    /// Anything else, with its source.
    #[error("error")]
    Other,
}

/// Why a pull was not sent.
pub type BatchRequestError = Error<BatchRequestErrorKind>;

/// The kinds of [`BatchRequestError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BatchRequestErrorKind {
    /// It asks for what no server gives, or the client did not accept it.
    #[error("publish failed")]
    Publish,
    /// The client could not write it.
    #[error("flush failed")]
    Flush,
    /// Never: its form is always valid. For compatibility.
    #[error("serialize failed")]
    Serialize,
}

/// Why a batch has not begun.
pub type BatchError = Error<BatchErrorKind>;

/// The kinds of [`BatchError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BatchErrorKind {
    /// The client did not accept the subscription.
    #[error("subscribe failed")]
    Subscribe,
    /// The batch asks for what no server gives; the source names the value and the rule.
    #[error("pull request failed")]
    Pull,
    /// Never, since a batch doesn't flush. For compatibility.
    #[error("flush failed")]
    Flush,
    /// Never: its form is always valid. For compatibility.
    #[error("serialize failed")]
    Serialize,
    /// A batch has no pin: consumers with pinned clients need a [`Stream`](crate::jetstream::consumer::pull::Stream).
    #[error("pinned client consumers need a pull stream")]
    PinnedClient,
}

impl From<SubscribeError> for BatchError {
    fn from(error: SubscribeError) -> Self {
        Error::with_source(BatchErrorKind::Subscribe, error)
    }
}

impl From<BatchRequestError> for BatchError {
    fn from(error: BatchRequestError) -> Self {
        Error::with_source(BatchErrorKind::Pull, error)
    }
}

/// What an ordered pull consumer reports between messages, or why it has ended.
pub type OrderedError = Error<OrderedErrorKind>;

/// The kinds of [`OrderedError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum OrderedErrorKind {
    /// Heartbeats are missing. Never reported: the consumer is created again.
    #[error("missed idle heartbeat")]
    MissingHeartbeat,
    /// The consumer does not exist any more. Never reported: it is created again.
    #[error("consumer deleted")]
    ConsumerDeleted,
    /// The server refuses pulls. The stream has ended.
    #[error("pull request failed")]
    Pull,
    /// It is a push consumer. The stream has ended.
    #[error("cannot use with push consumer")]
    PushBasedConsumer,
    /// The consumer can't be created again for now, for the reason that is the source. Attempts go on, and so does the stream.
    /// Reported once for each reason.
    #[error("consumer recreation failed")]
    Recreate,
    /// Nobody has received the pulls. Never reported: the consumer is created again.
    #[error("no responders")]
    NoResponders,
    /// The pulls ask for more than the consumer allows. The stream has ended.
    #[error("pull request exceeded consumer limits")]
    RequestLimitExceeded,
    /// Anything else, with its source. The stream has ended.
    #[error("error")]
    Other,
}

impl From<MessagesError> for OrderedError {
    fn from(error: MessagesError) -> Self {
        let kind = match error.kind() {
            MessagesErrorKind::MissingHeartbeat => OrderedErrorKind::MissingHeartbeat,
            MessagesErrorKind::ConsumerDeleted => OrderedErrorKind::ConsumerDeleted,
            MessagesErrorKind::Pull => OrderedErrorKind::Pull,
            MessagesErrorKind::PushBasedConsumer => OrderedErrorKind::PushBasedConsumer,
            MessagesErrorKind::NoResponders => OrderedErrorKind::NoResponders,
            MessagesErrorKind::RequestLimitExceeded => OrderedErrorKind::RequestLimitExceeded,
            MessagesErrorKind::Other => OrderedErrorKind::Other,
        };
        error.of_kind(kind)
    }
}

/// Why an ordered pull consumer was not created again. For compatibility: nothing returns it.
pub type ConsumerRecreateError = Error<ConsumerRecreateErrorKind>;

/// The kinds of [`ConsumerRecreateError`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ConsumerRecreateErrorKind {
    /// There is no such stream.
    #[error("error getting stream")]
    GetStream,
    /// The server refused.
    #[error("consumer creation failed")]
    Recreate,
    /// No answer within the timeout.
    #[error("timed out")]
    TimedOut,
}
