//! One trace from the publisher to the consumer. Copy [`headers`] into your program: it is all that NATS needs.

pub mod headers;
pub mod shop;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

/// A subscriber whose spans go to OpenTelemetry, and from there to `exporter`. Keep the provider, and shut it down at the end.
pub fn subscriber(exporter: InMemorySpanExporter) -> (impl Subscriber + Send + Sync, SdkTracerProvider) {
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("shop"));
    // The client's spans are at the level `debug`, so that nobody gets them who does not ask. They have one target.
    let filter = Targets::new().with_target("nats_lifeline::spans", Level::DEBUG).with_default(LevelFilter::INFO);
    (Registry::default().with(spans.with_filter(filter)), provider)
}
