//! The publisher's and the consumers' spans are one trace, with the client's own spans in it.

use nats_lifeline::testing::Broker;
use nats_lifeline::{HeaderMap, Message};
use nats_lifeline_opentelemetry::{headers, shop, subscriber};
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceContextExt};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};

/// The text of an attribute.
fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|pair| pair.key.as_str() == key).map(|pair| pair.value.to_string())
}

/// The span with this name, about this subject.
#[track_caller]
fn find<'a>(spans: &'a [SpanData], name: &str, subject: Option<&str>) -> &'a SpanData {
    let matching = |span: &&SpanData| {
        span.name == name
            && subject.is_none_or(|subject| attribute(span, "messaging.destination.name").as_deref() == Some(subject))
    };
    spans.iter().find(matching).unwrap_or_else(|| panic!("no {name} {subject:?} in {spans:#?}"))
}

#[track_caller]
fn is_child(child: &SpanData, parent: &SpanData) {
    assert_eq!(child.span_context.trace_id(), parent.span_context.trace_id(), "{} and {}", child.name, parent.name);
    assert_eq!(child.parent_span_id, parent.span_context.span_id(), "{} in {}", child.name, parent.name);
}

// One thread, so that the subscriber of this test is that of its tasks too.
#[tokio::test(flavor = "current_thread")]
async fn an_order_is_one_trace_from_its_publisher_to_the_last_consumer() {
    let exporter = InMemorySpanExporter::default();
    let (subscriber, provider) = subscriber(exporter.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let broker = Broker::start().await.unwrap();
    shop::run(&broker.url()).await.unwrap();
    provider.force_flush().unwrap();
    let spans = exporter.get_finished_spans().unwrap();

    let checkout = find(&spans, "checkout", None);
    assert_eq!(checkout.parent_span_id, SpanId::INVALID);
    let publish = find(&spans, "publish", Some("orders.new"));
    is_child(publish, checkout);
    // Through headers, from one client to another.
    let worker = find(&spans, "process", Some("orders.new"));
    is_child(worker, publish);
    // The client's own span of the request.
    let request = find(&spans, "request", Some("prices"));
    is_child(request, worker);
    assert_eq!(request.span_kind, SpanKind::Client);
    assert_eq!(attribute(request, "messaging.system").as_deref(), Some("nats"));
    assert_eq!(attribute(request, "messaging.operation.type").as_deref(), Some("send"));
    assert_eq!(attribute(request, "server.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(attribute(request, "server.port"), Some(broker.port().to_string()));
    assert_eq!((attribute(request, "error.type"), &request.status), (None, &Status::Unset));
    let service = find(&spans, "process", Some("prices"));
    is_child(service, worker);
    assert_eq!(service.span_kind, SpanKind::Consumer);
    // Those of the three connections are traces of their own.
    let connects: Vec<_> = spans.iter().filter(|span| span.name == "connect").collect();
    assert_eq!(connects.len(), 3);
    assert!(connects.iter().all(|span| span.span_context.trace_id() != checkout.span_context.trace_id()));
    assert!(connects.iter().all(|span| span.span_kind == SpanKind::Client));
}

fn message(headers: Option<HeaderMap>) -> Message {
    Message {
        subject: "a".into(),
        reply: None,
        payload: "".into(),
        headers,
        status: None,
        description: None,
        length: 0,
    }
}

#[test]
fn what_cannot_be_read_is_no_context() {
    assert!(!headers::extract(&message(None)).span().span_context().is_valid());
    for text in ["", "nonsense", "00-00000000000000000000000000000000-0000000000000000-01"] {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", text);
        assert!(!headers::extract(&message(Some(headers))).span().span_context().is_valid(), "{text}");
    }
    // Without a subscriber there is nothing to inject.
    assert!(headers::traced().is_empty());
}

#[test]
fn a_context_is_read_as_it_was_written() {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    headers.insert("tracestate", "vendor=1");
    let context = headers::extract(&message(Some(headers)));
    let span = context.span().span_context().clone();
    assert_eq!(span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (span.span_id().to_string(), span.is_sampled(), span.is_remote()),
        ("b7ad6b7169203331".to_owned(), true, true)
    );
    assert_eq!(span.trace_state().header(), "vendor=1");
}
