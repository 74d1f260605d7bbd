//! Errors of atomic batches.

use crate::error::Error;
use crate::jetstream::wire;

/// Why a batch was not stored, or why that is not known.
pub type BatchPublishError = Error<BatchPublishErrorKind>;

/// The kinds of [`BatchPublishError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchPublishErrorKind {
    /// A batch has at most 1,000 messages. Nothing of it is stored.
    #[error("the batch has more messages than a server takes")]
    TooLarge,
    /// The message can't be part of a batch, or be sent at all, for the reason that is the source: the subject is invalid, for instance.
    /// After [`add`](crate::jetstream::context::AtomicBatch::add) the batch goes on without it, and what it was to say is yours to decide;
    /// after [`commit`](crate::jetstream::context::AtomicBatch::commit) nothing is stored.
    #[error("not a message for a batch")]
    InvalidMessage,
    /// The batch was not sent as a whole, for the reason that is the source: a message could not be added, for instance. Nothing of it is
    /// stored.
    #[error("the batch was not sent")]
    NotSent,
    /// The stream does not exist, does not allow batches, or has not taken this one: the source is the server's
    /// [`Error`](crate::jetstream::Error), or the reason why there was no answer. Nothing of it is stored.
    #[error("the batch was refused")]
    Refused,
    /// The last message was sent, and no answer has come: the batch is stored as a whole, or not at all.
    #[error("it is not known whether the batch is stored")]
    InDoubt,
}

impl From<wire::Error> for BatchPublishError {
    fn from(error: wire::Error) -> Self {
        let too_large = error.error_code() == wire::ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH;
        let kind = if too_large { BatchPublishErrorKind::TooLarge } else { BatchPublishErrorKind::Refused };
        Error::with_source(kind, error)
    }
}
