//! What a request does when there is no reply: retries, and waiting over a lost connection.

use std::time::{Duration, Instant};

use super::error::{ConnectionLost, RequestError, RequestErrorKind, SendFault};
use super::wait;

/// Options for [`Client::request_with`](crate::Client::request_with): what it does when there is no reply.
///
/// A try is repeated when that is safe: when the request was certainly not sent, or when the server said that nobody
/// listens. A request that may have been served is repeated only if that does no harm: see
/// [`idempotent`](RequestOptions::idempotent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a request is made with them"]
pub struct RequestOptions {
    retries: u32,
    backoff: Duration,
    try_timeout: Option<Duration>,
    idempotent: bool,
    keep_waiting: bool,
}

impl Default for RequestOptions {
    fn default() -> Self {
        RequestOptions {
            retries: 0,
            backoff: Duration::from_millis(100),
            try_timeout: None,
            idempotent: false,
            keep_waiting: false,
        }
    }
}

impl RequestOptions {
    /// One try, as [`request`](crate::Client::request).
    pub fn new() -> RequestOptions {
        RequestOptions::default()
    }

    /// Sets how many times the request is repeated. Default 0.
    pub fn retries(mut self, retries: u32) -> RequestOptions {
        self.retries = retries;
        self
    }

    /// Sets the pause before the first retry; each further one is twice as long. Default 100 ms.
    pub fn backoff(mut self, first: Duration) -> RequestOptions {
        self.backoff = first;
        self
    }

    /// Limits each try. Default: a try may take the whole timeout of the request, so that only tries that fail
    /// earlier are repeated.
    pub fn try_timeout(mut self, timeout: Duration) -> RequestOptions {
        self.try_timeout = Some(timeout);
        self
    }

    /// Declares that the request may be served twice. It is then also repeated when a try timed out, or when its
    /// connection was lost after it was sent. Default: it may not.
    pub fn idempotent(mut self) -> RequestOptions {
        self.idempotent = true;
        self
    }

    /// Keeps waiting for the reply when the connection that sent the request is lost: the responder may still answer
    /// over the next one. Default: the try fails immediately, with [`ConnectionLost`]. A request with its own inbox
    /// always keeps waiting.
    pub fn keep_waiting(mut self) -> RequestOptions {
        self.keep_waiting = true;
        self
    }

    pub(super) fn keeps_waiting(self) -> bool {
        self.keep_waiting
    }

    /// When a try that begins now ends, within `deadline`.
    pub(super) fn try_deadline(self, deadline: Option<Instant>) -> Option<Instant> {
        let own = wait::deadline(self.try_timeout);
        own.into_iter().chain(deadline).min()
    }

    /// How long to wait before the next try, after `tries` retries; `None`: there is none.
    pub(super) fn pause(self, tries: u32, error: &RequestError) -> Option<Duration> {
        let worth_it = match error.kind() {
            RequestErrorKind::NoResponders => true,
            RequestErrorKind::TimedOut => error.is_safe_to_repeat() || self.idempotent,
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => false,
            RequestErrorKind::Other if error.source_as::<ConnectionLost>().is_some() => self.idempotent,
            // What the client itself refused for want of room may find some later; an ended client never does.
            RequestErrorKind::Other => is_for_want_of_room(error),
        };
        (worth_it && tries < self.retries).then(|| self.backoff.saturating_mul(1 << tries.min(20)))
    }
}

fn is_for_want_of_room(error: &RequestError) -> bool {
    let publish = error.source_as::<super::error::PublishError>();
    let fault = publish.and_then(|error| error.source_as::<SendFault>());
    matches!(fault, Some(SendFault::NoRoom { .. } | SendFault::BufferFull { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::error::{PublishError, PublishErrorKind};

    fn error(kind: RequestErrorKind) -> RequestError {
        kind.into()
    }

    #[test]
    fn what_is_safe_is_repeated_and_the_rest_only_if_the_user_says_so() {
        let careful = RequestOptions::new().retries(2);
        let careless = careful.idempotent();
        let lost = RequestError::with_source(RequestErrorKind::Other, ConnectionLost { in_doubt: 1 });
        let full = SendFault::BufferFull { pending: 1, limit: 1, frame: 1 };
        let full = RequestError::from(PublishError::with_source(PublishErrorKind::Send, full));
        let closed = RequestError::from(PublishError::with_source(PublishErrorKind::Send, SendFault::Closed));
        let waited = Duration::from_secs(1);
        let unsent = RequestError::with_source(RequestErrorKind::TimedOut, SendFault::NotInTime { waited });
        let cases = [
            (error(RequestErrorKind::NoResponders), true, true),
            (unsent, true, true),
            (error(RequestErrorKind::TimedOut), false, true),
            (lost, false, true),
            (full, true, true),
            (closed, false, false),
            (error(RequestErrorKind::InvalidSubject), false, false),
            (error(RequestErrorKind::MaxPayloadExceeded), false, false),
            (error(RequestErrorKind::Other), false, false),
        ];
        for (error, carefully, carelessly) in cases {
            assert_eq!(careful.pause(0, &error).is_some(), carefully, "{error}");
            assert_eq!(careless.pause(0, &error).is_some(), carelessly, "{error}");
        }
    }

    #[test]
    fn pauses_double_and_end_with_the_retries() {
        let options = RequestOptions::new().retries(3);
        let nobody = error(RequestErrorKind::NoResponders);
        let pauses: Vec<_> = (0..4).map(|tries| options.pause(tries, &nobody)).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(pauses, [ms(100), ms(200), ms(400), None]);
        assert_eq!(RequestOptions::new().pause(0, &nobody), None, "one try by default");
    }
}
