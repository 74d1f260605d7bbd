//! Errors of acknowledgements.

use crate::error::Error;

/// Why a message was not acknowledged, or why that is not known. Calls return it in a [`crate::Error`], which can be downcast to
/// it.
pub type AckError = Error<AckErrorKind>;

/// The kinds of [`AckError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckErrorKind {
    /// The message did not come from a consumer, or its acknowledgement was split off: the source says more, if there is more.
    #[error("No reply subject, not a JetStream message")]
    NotFromConsumer,
    /// This kind of acknowledgement has no confirmation: the server answers [`AckKind::Next`] with the next message.
    ///
    /// [`AckKind::Next`]: crate::jetstream::AckKind::Next
    #[error("the next message would be the confirmation: use double_ack, and pull the next message")]
    NoConfirmation,
    /// It was not sent. The source is that of a failed publish.
    #[error("the acknowledgement was not sent")]
    NotSent,
    /// Nobody has received it before the deadline: the consumer has no leader, or is gone.
    #[error("nobody has received the acknowledgement")]
    NotReceived,
    /// No answer within the timeout. It may have been received.
    #[error("timed out")]
    TimedOut,
    /// The connection was lost before the answer, and sending it again could have a second effect.
    #[error("the connection was lost: the acknowledgement may have been received")]
    InDoubt,
}
