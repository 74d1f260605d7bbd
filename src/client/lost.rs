//! Why an accepted message was lost, for the calls that wait for its outcome.

use super::error::{PayloadTooLarge, SendFault};
use crate::driver::Shared;
use crate::engine::LossReason;

/// The reason, as an error.
pub(super) enum Lost {
    TooLarge(PayloadTooLarge),
    Fault(SendFault),
}

/// The reason for losing a message of `size` bytes (headers and payload).
pub(super) fn lost(shared: &Shared, reason: LossReason, size: usize) -> Lost {
    Lost::Fault(match reason {
        LossReason::TooLarge => return Lost::TooLarge(PayloadTooLarge { max: shared.max_payload(), size }),
        LossReason::NoHeaders => SendFault::HeadersUnsupported,
        LossReason::Expired => SendFault::Expired,
        LossReason::Closed if shared.ended().is_none() => SendFault::Disconnected,
        LossReason::Closed => SendFault::Closed,
        LossReason::Overflow | LossReason::Poison | LossReason::Refused => SendFault::Dropped,
    })
}
