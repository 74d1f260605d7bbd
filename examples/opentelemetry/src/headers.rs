//! The W3C trace context, `traceparent` and `tracestate`, in the headers of a message.

use nats_lifeline::{HeaderMap, HeaderValue, Message};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Headers with the context of the current span. A consumer's span becomes its child.
pub fn traced() -> HeaderMap {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    headers
}

/// Adds the context of the current span. It replaces one that is there, as when a message is forwarded.
pub fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut Outgoing(headers));
}

/// The context that came with a message; an empty one if none came, or none that can be read.
pub fn extract(message: &Message) -> Context {
    match &message.headers {
        Some(headers) => TraceContextPropagator::new().extract(&Incoming(headers)),
        None => Context::new(),
    }
}

/// A span for handling `message`, in the trace of its publisher. Its names are those of OpenTelemetry's conventions for
/// messaging.
pub fn processing(message: &Message) -> Span {
    let span = tracing::info_span!(
        "process",
        "otel.kind" = "consumer",
        "messaging.system" = "nats",
        "messaging.operation.name" = "process",
        "messaging.operation.type" = "process",
        "messaging.destination.name" = message.subject.as_str(),
        "messaging.message.body.size" = message.payload.len() as i64,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    );
    // It fails only if no layer of OpenTelemetry is installed. Then there is no trace to belong to.
    let _ = span.set_parent(extract(message));
    span
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // Vendors write `tracestate`: a value with a line end is left out.
        if let Ok(value) = value.parse::<HeaderValue>() {
            self.0.insert(key, value);
        }
    }
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.entries().map(|(name, _)| name.as_ref()).collect()
    }
}
