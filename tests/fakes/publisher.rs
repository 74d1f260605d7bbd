//! A handle for one subject: order, limits and recovery are those of the client, also in batches.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::PublishErrorKind;
use nats_lifeline::client::SendFault;
use nats_lifeline::connection::Status;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, HeaderMap};

async fn client(broker: &Broker) -> Client {
    ConnectOptions::new().connect(broker.url()).await.unwrap()
}

/// Payloads of many lengths, short, long, and large enough to be shared.
fn payloads() -> Vec<Bytes> {
    let lengths = (0..300).chain([2_047, 2_048, 40_000, 0, 8_191, 32_768, 7]).chain(120..140);
    lengths.map(|len| Bytes::from(vec![b'a' + (len % 26) as u8; len])).collect()
}

// N20
#[tokio::test]
async fn everything_arrives_in_the_order_in_which_it_was_published() {
    let broker = Broker::start().await.unwrap();
    let (publishing, receiving) = (client(&broker).await, client(&broker).await);
    let mut received = receiving.subscribe("ticks.>").await.unwrap();
    receiving.flush().await.unwrap();
    let publisher = publishing.publisher("ticks.eur").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Source", "test");

    for payload in &payloads() {
        publisher.publish(payload).await.unwrap();
    }
    publishing.publish("ticks.usd", "between".into()).await.unwrap();
    publisher.publish_batch(payloads()).await.unwrap();
    publisher.publish_with_headers(&headers, b"last").await.unwrap();

    let between = Bytes::from("between");
    for (subject, payload) in payloads()
        .iter()
        .map(|payload| ("ticks.eur", payload))
        .chain([("ticks.usd", &between)])
        .chain(payloads().iter().map(|payload| ("ticks.eur", payload)))
    {
        let message = received.next().await.unwrap();
        assert_eq!((message.subject.as_str(), message.payload.len()), (subject, payload.len()));
        assert_eq!(&message.payload, payload);
        assert_eq!(message.headers, None);
    }
    let last = received.next().await.unwrap();
    assert_eq!((&last.payload[..], last.headers), (&b"last"[..], Some(headers)));
}

// N20
#[tokio::test(flavor = "current_thread")]
async fn a_batch_of_any_length_needs_little_memory_and_lets_others_run() {
    let broker = Broker::start().await.unwrap();
    let (publishing, receiving) = (client(&broker).await, client(&broker).await);
    let mut received = receiving.subscribe("a").await.unwrap();
    receiving.flush().await.unwrap();
    let publisher = publishing.publisher("a").unwrap();
    const COUNT: u32 = 200_000;
    let reading = tokio::spawn(async move {
        for expected in 0..COUNT {
            assert_eq!(received.next().await.unwrap().payload, expected.to_string());
        }
    });
    publisher.publish_batch((0..COUNT).map(|number| number.to_string())).await.unwrap();
    reading.await.unwrap();
    publishing.flush().await.unwrap();
    let stats = publishing.stats();
    assert_eq!((stats.accepted, stats.confirmed), (u64::from(COUNT), u64::from(COUNT)));
}

// N20
#[tokio::test]
async fn the_iterator_of_a_batch_may_use_the_client() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut received = client.subscribe(">").await.unwrap();
    let publisher = client.publisher("a").unwrap();
    let payloads = (0..3).map(|number| {
        client.try_publish("b", "from the iterator".into()).unwrap();
        number.to_string()
    });
    publisher.publish_batch(payloads).await.unwrap();
    let mut subjects = Vec::new();
    for _ in 0..6 {
        subjects.push(received.next().await.unwrap().subject.to_string());
    }
    subjects.sort();
    assert_eq!(subjects, ["a", "a", "a", "b", "b", "b"]);
}

// N20
#[tokio::test]
async fn during_an_outage_a_batch_is_buffered_up_to_exactly_the_cap_and_the_rest_returned() {
    let broker = Broker::start().await.unwrap();
    // `PUB a 100` with a payload of 100 bytes is a frame of 113 bytes: eight of them fit.
    let options = ConnectOptions::new().reconnect_buffer_size(1_000);
    let client = options.connect(broker.url()).await.unwrap();
    let publisher = client.publisher("a").unwrap();
    let mut status = client.status_watch();
    broker.kill();
    assert!(status.wait_for(Status::Reconnecting).await);

    let mut payloads = (0..1_000).map(|number| format!("{number:0100}"));
    let error = publisher.publish_batch(&mut payloads).await.unwrap_err();
    assert_eq!(error.published, 8);
    assert_eq!(error.source.kind(), PublishErrorKind::Send);
    let fault = std::error::Error::source(&error.source).unwrap().downcast_ref::<SendFault>();
    assert!(matches!(fault, Some(SendFault::BufferFull { pending: 904, limit: 1_000, frame: 113 })), "{fault:?}");
    // Nothing is missing: what was accepted, what is returned, and what the iterator still has.
    let returned: Vec<_> =
        error.unpublished.iter().map(|payload| String::from_utf8(payload.to_vec()).unwrap()).collect();
    let expected: Vec<_> = (8..8 + returned.len()).map(|number| format!("{number:0100}")).collect();
    assert_eq!(returned, expected);
    assert_eq!(8 + returned.len() + payloads.len(), 1_000);
    // The text has the reason, as that of every other error.
    assert_eq!(error.to_string(), format!("published 8 messages of a batch, and then failed: {}", error.source));
    assert_eq!(client.stats().accepted, 8);
}

// N20
#[tokio::test]
async fn a_message_over_the_servers_limit_ends_a_batch_and_is_returned() {
    let broker = Broker::builder().max_payload(1_000).start().await.unwrap();
    let client = client(&broker).await;
    let publisher = client.publisher("a").unwrap();
    let payloads = [10, 1_000, 1_001, 10].map(|len| vec![b'x'; len]);
    let error = publisher.publish_batch(&payloads).await.unwrap_err();
    assert_eq!((error.published, error.source.kind()), (2, PublishErrorKind::MaxPayloadExceeded));
    assert_eq!(error.unpublished.iter().map(Bytes::len).collect::<Vec<_>>(), [1_001, 10]);
    assert_eq!(publisher.publish(&payloads[2]).await.unwrap_err().kind(), PublishErrorKind::MaxPayloadExceeded);
    publisher.publish(&payloads[1]).await.unwrap();
}

// N20
#[tokio::test]
async fn a_subject_that_cannot_be_published_on_has_no_publisher() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    for subject in ["", "a b", "a\r\nPUB b"] {
        let error = client.publisher(subject).unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::InvalidSubject, "{subject:?}");
    }
    let error = client.publisher("a".repeat(4_090)).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("4101 bytes") && source.contains("max_control_line is 4096"), "{source}");
    let longest = client.publisher("a".repeat(4_096 - 11)).unwrap();
    longest.publish(b"x").await.unwrap();
    client.flush_timeout(Duration::from_secs(30)).await.unwrap();
}
