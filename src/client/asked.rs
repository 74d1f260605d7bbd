//! What is known of a request that was sent, and the errors that say it.

use std::time::Instant;

use super::error::{ConnectionLost, PossiblyServed, RequestError, RequestErrorKind, SendFault};
use super::lost::{Lost, lost};
use super::wait;
use crate::driver::{RequestFailure, Shared, Waiting};
#[cfg(feature = "jetstream")]
use crate::protocol::{StatusCode, parse_status};

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// In bytes.
    pub(super) size: usize,
    pub(super) began: Instant,
    /// With at-least-once delivery, the number of connections at the start: a new one may have got the request again.
    pub(super) connects: Option<u64>,
}

impl Asked {
    /// Why there will be no reply.
    pub(super) fn failed(&self, shared: &Shared, failure: &RequestFailure) -> RequestError {
        failed(shared, failure, self.size)
    }

    /// Nobody listens.
    pub(super) fn no_responders(&self, shared: &Shared) -> RequestError {
        let error = RequestError::from(RequestErrorKind::NoResponders);
        match self.connects {
            Some(connects) if connects != shared.connects() => PossiblyServed::mark(error),
            _ => error,
        }
    }

    /// No reply came in time. The request is given up.
    pub(super) fn timed_out(&self, waiting: &mut Waiting) -> RequestError {
        if waiting.give_up() {
            let waited = wait::now().saturating_duration_since(self.began);
            RequestError::with_source(RequestErrorKind::TimedOut, SendFault::NotInTime { waited })
        } else {
            RequestErrorKind::TimedOut.into()
        }
    }
}

/// Whether a reply with the header block `headers` and `payload` is the server's answer to a request that nobody listens to.
#[cfg(feature = "jetstream")]
pub(super) fn says_no_responders(headers: &[u8], payload: &[u8]) -> bool {
    payload.is_empty() && matches!(parse_status(headers), Ok((Some(StatusCode::NO_RESPONDERS), _)))
}

/// Why there is no reply to a request of `size` bytes, for users.
pub(super) fn failed(shared: &Shared, failure: &RequestFailure, size: usize) -> RequestError {
    let kind = RequestErrorKind::Other;
    match failure {
        RequestFailure::ConnectionLost { in_doubt } => {
            RequestError::with_source(kind, ConnectionLost { in_doubt: *in_doubt })
        }
        RequestFailure::Dropped(reason) => match lost(shared, *reason, size) {
            Lost::TooLarge(error) => RequestError::with_source(RequestErrorKind::MaxPayloadExceeded, error),
            Lost::Fault(fault) => RequestError::with_source(kind, fault),
        },
        RequestFailure::Refused(error) => RequestError::with_source(kind, SendFault::Refused { error: error.clone() }),
        RequestFailure::ReplyTooLarge(error) => RequestError::with_source(kind, *error),
        RequestFailure::Ended(reason) => RequestError::with_source(kind, reason.clone()),
    }
}
