//! What callers read when the mailbox has denied a message.

use std::time::Duration;

use super::error::{PayloadTooLarge, PublishError, PublishErrorKind, SendFault, TryPublishError, TryPublishErrorKind};
use super::message::OutboundMessage;
use crate::driver::Denied;
use crate::engine::{EndReason, Refusal};

/// A message that the overflow policy dropped was accepted all the same.
pub(super) fn accepted(denied: Denied) -> Result<(), PublishError> {
    match denied {
        Denied::Outbox(Refusal::Dropped) => Ok(()),
        denied => Err(publish_error(denied)),
    }
}

fn send(fault: SendFault) -> PublishError {
    PublishError::with_source(PublishErrorKind::Send, fault)
}

/// Why no more messages are accepted.
fn ended(reason: &EndReason) -> SendFault {
    match reason {
        EndReason::GaveUp(_) => SendFault::Disconnected,
        _ => SendFault::Closed,
    }
}

fn full(refusal: Refusal) -> SendFault {
    match refusal {
        Refusal::Full { pending, limit, frame } | Refusal::TooLarge { pending, limit, frame } => {
            SendFault::BufferFull { pending, limit, frame }
        }
        Refusal::TooMany { pending, limit } => SendFault::TooManyMessages { pending, limit },
        Refusal::Dropped => SendFault::Dropped,
        Refusal::NoRoom => SendFault::NoRoom { waited: Duration::ZERO },
        Refusal::Shut => SendFault::Closed,
    }
}

pub(super) fn publish_error(denied: Denied) -> PublishError {
    match denied {
        Denied::MaxPayload { size, limit } => {
            PublishError::with_source(PublishErrorKind::MaxPayloadExceeded, PayloadTooLarge { max: limit, size })
        }
        Denied::NoHeaders => send(SendFault::HeadersUnsupported),
        Denied::Disconnected => send(SendFault::Disconnected),
        Denied::Ended(reason) => send(ended(&reason)),
        Denied::Outbox(refusal) => send(full(refusal)),
        Denied::NotInTime { waited } => send(SendFault::NoRoom { waited }),
        Denied::Yield => send(SendFault::NoRoom { waited: Duration::ZERO }),
    }
}

pub(super) fn try_error(denied: Denied, message: OutboundMessage) -> TryPublishError {
    match denied {
        Denied::Yield | Denied::NotInTime { .. } | Denied::Outbox(Refusal::NoRoom) => {
            TryPublishError::new(TryPublishErrorKind::NoRoom, message)
        }
        Denied::Outbox(Refusal::Shut) => TryPublishError::new(TryPublishErrorKind::Closed, message),
        Denied::Outbox(refusal) => {
            TryPublishError::with_source(TryPublishErrorKind::BufferFull, message, full(refusal))
        }
        Denied::MaxPayload { size, limit } => TryPublishError::with_source(
            TryPublishErrorKind::MaxPayloadExceeded,
            message,
            PayloadTooLarge { max: limit, size },
        ),
        Denied::NoHeaders => TryPublishError::new(TryPublishErrorKind::HeadersUnsupported, message),
        Denied::Disconnected => TryPublishError::new(TryPublishErrorKind::Disconnected, message),
        Denied::Ended(reason) => TryPublishError::with_source(TryPublishErrorKind::Closed, message, ended(&reason)),
    }
}
