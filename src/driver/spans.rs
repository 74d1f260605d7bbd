//! Spans of a connection, with OpenTelemetry's names: `connect`, from the call to the first connection, and `reconnect`,
//! from a loss to the next connection. They follow the events, so nothing is entered across an await, and publishing
//! knows nothing of them.

use std::sync::{Arc, Mutex};

use tracing::Span;
use tracing::field::Empty;

use super::guard::observed;
use super::{error_type, lock};
use crate::engine::{Cause, ConnectionEvent};

/// The target of all spans, for filters.
pub(crate) const TARGET: &str = "nats_lifeline::spans";

/// The span of one client's connection.
#[derive(Debug, Default)]
pub(super) struct Spans {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    /// Not connecting yet, connected, or closed.
    #[default]
    Calm,
    /// No connection: the span ends with the next one.
    Waiting(Arc<Span>),
    /// The client has given up. It may be revived.
    GaveUp,
}

impl Spans {
    /// Begins the span of the first connection, as a child of the caller's span.
    pub(super) fn connect(&self) {
        let span = tracing::debug_span!(
            target: TARGET,
            "connect",
            "otel.kind" = "client",
            "messaging.system" = "nats",
            "messaging.operation.name" = "connect",
            "server.address" = Empty,
            "server.port" = Empty,
            "nats.attempts" = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
        );
        self.set(State::Waiting(Arc::new(span)));
    }

    /// Reports an event inside the span that it belongs to.
    pub(super) fn around(&self, event: &ConnectionEvent, report: impl FnOnce()) {
        observed(|| self.begin(event));
        observed(|| match self.current() {
            Some(span) => span.in_scope(report),
            None => report(),
        });
        observed(|| self.end(event));
    }

    /// Begins the span of an outage, if the event begins one.
    fn begin(&self, event: &ConnectionEvent) {
        match event {
            // The end follows, and no outage.
            ConnectionEvent::Disconnected { cause: Cause::ByUser, .. } => {}
            ConnectionEvent::Disconnected { server, cause, in_doubt, .. } => {
                self.set(State::Waiting(reconnect(Some(server), error_type::of_cause(cause), *in_doubt).into()));
            }
            ConnectionEvent::Connecting { .. } if matches!(*lock(&self.state), State::GaveUp) => {
                self.set(State::Waiting(reconnect(None, "gave_up", 0).into()));
            }
            _ => {}
        }
    }

    fn current(&self) -> Option<Arc<Span>> {
        match &*lock(&self.state) {
            State::Waiting(span) => Some(Arc::clone(span)),
            State::Calm | State::GaveUp => None,
        }
    }

    /// Ends the span, if the event ends it.
    fn end(&self, event: &ConnectionEvent) {
        let next = match event {
            ConnectionEvent::Connected { .. }
            | ConnectionEvent::Reconnected { .. }
            | ConnectionEvent::Closed { .. } => State::Calm,
            ConnectionEvent::GaveUp { .. } => State::GaveUp,
            _ => return,
        };
        let State::Waiting(span) = self.set(next) else { return };
        match event {
            ConnectionEvent::Connected { server, attempts } => connected(&span, server, *attempts),
            ConnectionEvent::Reconnected { server, attempts, subscriptions, .. } => {
                connected(&span, server, *attempts);
                span.record("nats.subscriptions", *subscriptions as i64);
            }
            ConnectionEvent::GaveUp { cause, attempts, .. } => {
                span.record("nats.attempts", integer(*attempts));
                failed(&span, error_type::of_cause(cause));
            }
            _ => failed(&span, "closed"),
        }
    }

    /// Returns the previous state, so that a span is dropped, which runs the subscriber's code, after unlocking.
    fn set(&self, state: State) -> State {
        std::mem::replace(&mut *lock(&self.state), state)
    }
}

/// A span of its own: the connection's task is in nobody's span.
fn reconnect(previous: Option<&String>, cause: &'static str, in_doubt: u64) -> Span {
    tracing::debug_span!(
        target: TARGET,
        parent: None,
        "reconnect",
        "otel.kind" = "client",
        "messaging.system" = "nats",
        "messaging.operation.name" = "reconnect",
        "server.address" = Empty,
        "server.port" = Empty,
        "nats.previous_server" = previous,
        "nats.cause" = cause,
        "nats.in_doubt" = integer(in_doubt),
        "nats.attempts" = Empty,
        "nats.subscriptions" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

fn connected(span: &Span, server: &str, attempts: u64) {
    record_server(span, server);
    span.record("nats.attempts", integer(attempts));
}

/// Records how the operation of a span has failed.
pub(crate) fn failed(span: &Span, error_type: &str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

/// Records a server, given as `host:port`.
pub(crate) fn record_server(span: &Span, server: &str) {
    let (host, port) = server.rsplit_once(':').unwrap_or((server, ""));
    span.record("server.address", host.trim_start_matches('[').trim_end_matches(']'));
    if let Ok(port) = port.parse::<u16>() {
        span.record("server.port", i64::from(port));
    }
}

/// OpenTelemetry's integers are signed, and exporters write others as text.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
