//! Why a message that had been accepted was lost, for those who wait to hear of it.

use super::error::{PayloadTooLarge, SendFault};
use crate::driver::Shared;
use crate::engine::LossReason;

/// The reason, as errors have it.
pub(super) enum Lost {
    TooLarge(PayloadTooLarge),
    Fault(SendFault),
}

/// The reason for which a message of `size` bytes, headers and payload, was lost.
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
