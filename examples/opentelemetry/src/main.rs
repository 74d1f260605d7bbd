//! Prints the trace of an order. `cargo run --manifest-path examples/opentelemetry/Cargo.toml`

use std::process::ExitCode;

use nats_lifeline::Error;
use nats_lifeline::testing::Broker;
use nats_lifeline_opentelemetry::{shop, subscriber};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("opentelemetry: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let exporter = InMemorySpanExporter::default();
    let (subscriber, provider) = subscriber(exporter.clone());
    subscriber.try_init()?;
    let broker = Broker::start().await?;
    shop::run(&broker.url()).await?;
    provider.force_flush()?;
    let mut spans = exporter.get_finished_spans()?;
    spans.sort_by_key(|span| span.start_time);
    println!("{:<32}  {:<16}  {:<16}  span", "trace", "id", "parent");
    for span in &spans {
        println!("{}", line(span));
    }
    Ok(provider.shutdown()?)
}

fn line(span: &SpanData) -> String {
    let context = &span.span_context;
    let destination = span.attributes.iter().find(|pair| pair.key.as_str() == "messaging.destination.name");
    let destination = destination.map(|pair| pair.value.as_str().into_owned()).unwrap_or_default();
    let (trace, id, parent) = (context.trace_id(), context.span_id(), span.parent_span_id);
    format!("{trace}  {id}  {parent}  {} {destination}", span.name)
}
