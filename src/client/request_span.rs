//! The span of a request, from the call to its reply, with OpenTelemetry's names.

use tracing::Span;
use tracing::field::Empty;

use super::error::{ConnectionLost, RequestError, RequestErrorKind, SendFault};
use super::message::Message;
use crate::driver::{Shared, spans};
use crate::engine::EndReason;
use crate::protocol::Subject;

/// The span of one request. It is never entered, since nothing happens inside it; dropping it ends it.
#[derive(Debug)]
pub(super) struct RequestSpan(Span);

impl RequestSpan {
    /// Begins a span as a child of the caller's. If nobody listens, this is one comparison.
    pub(super) fn begin(shared: &Shared, subject: &Subject, size: usize) -> RequestSpan {
        let span = tracing::debug_span!(
            target: spans::TARGET,
            "request",
            "otel.kind" = "client",
            "messaging.system" = "nats",
            "messaging.operation.name" = "request",
            "messaging.operation.type" = "send",
            "messaging.destination.name" = subject.as_str(),
            "messaging.message.body.size" = size as i64,
            "server.address" = Empty,
            "server.port" = Empty,
            "nats.tries" = Empty,
            "nats.replies" = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
        );
        if !span.is_disabled() {
            if let Some(server) = shared.server() {
                spans::record_server(&span, &server);
            }
        }
        RequestSpan(span)
    }

    /// Keeps it until the reply is there; `None` if nobody listens.
    pub(super) fn kept(self) -> Option<Box<RequestSpan>> {
        (!self.0.is_disabled()).then(|| Box::new(self))
    }

    /// Ends it, after this many tries.
    pub(super) fn end(self, tries: u32, outcome: &Result<Message, RequestError>) {
        if self.0.is_disabled() {
            return;
        }
        self.0.record("nats.tries", i64::from(tries));
        if let Err(error) = outcome {
            self.failed(error);
        }
    }

    /// Ends it for a request with many replies, of which `last` is the end.
    pub(super) fn end_stream(self, replies: u64, last: Option<&Result<Message, RequestError>>) {
        self.0.record("nats.replies", spans::integer(replies));
        if let Some(Err(error)) = last {
            self.failed(error);
        }
    }

    /// Ends it for a request that was not accepted.
    pub(super) fn failed(self, error: &RequestError) {
        spans::failed(&self.0, error_type(error));
    }
}

fn error_type(error: &RequestError) -> &'static str {
    match error.kind() {
        RequestErrorKind::TimedOut => "timed_out",
        RequestErrorKind::NoResponders => "no_responders",
        RequestErrorKind::InvalidSubject => "invalid_subject",
        RequestErrorKind::MaxPayloadExceeded => "max_payload_exceeded",
        RequestErrorKind::Other => {
            if error.source_as::<ConnectionLost>().is_some() {
                "connection_lost"
            } else if let Some(SendFault::Refused { .. }) = error.source_as() {
                "refused"
            } else if error.source_as::<SendFault>().is_some() {
                "not_sent"
            } else if error.source_as::<EndReason>().is_some() {
                "ended"
            } else {
                // OpenTelemetry's word for it.
                "_OTHER"
            }
        }
    }
}
