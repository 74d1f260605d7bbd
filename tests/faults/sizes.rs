//! Rows E: how large a message may be, on both sides.

use futures_util::StreamExt;
use nats_lifeline::client::Delivery;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::protocol::{Limits, ProtocolError};
use nats_lifeline::{Client, ConnectOptions, HeaderMap, PublishErrorKind, RequestErrorKind};

use crate::support::ports::Ports;
use crate::support::{SOON, Server, Timeline, soon, within};

const MIB: usize = 1024 * 1024;

// Fault E1: no test had published a message larger than the default buffer while connected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_larger_than_the_reconnect_buffer_is_delivered_while_connected() {
    let server = Server::builder().max_payload(64 * MIB).start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let mut subscription = client.subscribe_confirmed("large").await.unwrap();
    for size in [9 * MIB, 21 * MIB, 17 * MIB] {
        soon("accepted", client.publish("large", vec![b'x'; size].into())).await.unwrap();
    }
    for size in [9 * MIB, 21 * MIB, 17 * MIB] {
        let message = within("the message", 3 * SOON, subscription.next()).await.unwrap();
        assert_eq!(message.payload.len(), size);
        assert!(message.payload.iter().all(|byte| *byte == b'x'));
    }
    assert_eq!(client.stats().in_doubt, 0);
}

/// A client for a server that is not running yet, with 2 MiB published, and its events.
async fn before_the_first_connection(ports: &Ports) -> (Client, Timeline) {
    let url = format!("127.0.0.1:{}", ports.client());
    let client = ConnectOptions::new().retry_on_initial_connect().connect(url).await.unwrap();
    let timeline = Timeline::of(&client);
    assert_eq!(client.max_payload(), MIB, "what is shown is the default of servers");
    for payload in [vec![b'x'; 2 * MIB], b"small".to_vec()] {
        soon("accepted", client.publish("large", payload.into())).await.unwrap();
    }
    (client, timeline)
}

// Fault E2: publishing before the first INFO was tested with small messages only.
#[tokio::test]
async fn before_the_first_connection_no_max_payload_is_assumed() {
    let ports = Ports::reserve();
    let (client, _timeline) = before_the_first_connection(&ports).await;
    let server = Server::builder().max_payload(8 * MIB).start_on(ports).await;
    soon("a round trip", client.flush()).await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.confirmed, stats.lost.total()), (2, 0), "{stats:?}");
    drop(server);
}

// Fault E2
#[tokio::test]
async fn messages_too_large_for_the_first_server_are_reported_and_the_rest_is_sent() {
    let ports = Ports::reserve();
    let (client, timeline) = before_the_first_connection(&ports).await;
    let _server = Server::builder().start_on(ports).await;
    soon("a round trip", client.flush()).await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.confirmed, stats.lost.too_large), (1, 1), "{stats:?}");
    let lost = timeline.nth("Lost", 0, |event| matches!(event, ConnectionEvent::Lost { .. })).await;
    assert!(matches!(lost, ConnectionEvent::Lost { lost, .. } if lost.too_large == 1));
    let refused = soon("refused", client.publish("large", vec![b'x'; 2 * MIB].into())).await.unwrap_err();
    assert_eq!(refused.kind(), PublishErrorKind::MaxPayloadExceeded, "now it is known");
}

// Fault E3: no test had sent headers of the size that a payload may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_may_fill_the_servers_max_payload() {
    let server = Server::builder().max_payload(8 * MIB).start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let mut subscription = client.subscribe_confirmed("large").await.unwrap();
    let value = "v".repeat(2 * MIB);
    let mut headers = HeaderMap::new();
    headers.insert("Large", value.clone());
    soon("accepted", client.publish_with_headers("large", headers, "body".into())).await.unwrap();
    let message = soon("the message", subscription.next()).await.unwrap();
    assert_eq!(&message.payload[..], b"body");
    assert_eq!(message.headers.unwrap().get("Large").map(|value| value.as_str().len()), Some(value.len()));
}

// Fault E3, I10: a message over a reader's limits is skipped, and the connection stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_the_readers_limits_is_skipped_and_reported() {
    let server = Server::builder().max_payload(8 * MIB).start().await;
    let limits = Limits { total: 100_000, headers: 1000, ..Limits::default() };
    let client = ConnectOptions::new().limits(limits).connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut subscription = client.subscribe_confirmed("a").await.unwrap();
    subscription.unsubscribe_after(5).await.unwrap();
    let mut subscription = subscription.with_gaps();
    let _other = client.subscribe_confirmed("b").await.unwrap();
    let publisher = ConnectOptions::new().connect(server.url()).await.unwrap();
    let mut large_headers = HeaderMap::new();
    large_headers.insert("A", "v".repeat(2000));
    soon("accepted", publisher.publish("a", "1".into())).await.unwrap();
    for size in [100_001, 7 * MIB] {
        soon("accepted", publisher.publish("a", vec![b'x'; size].into())).await.unwrap();
    }
    soon("accepted", publisher.publish_with_headers("a", large_headers, "".into())).await.unwrap();
    soon("accepted", publisher.publish("a", vec![b'y'; 100_000].into())).await.unwrap();
    let mut got = Vec::new();
    while let Some(delivery) = soon("a delivery", subscription.next()).await {
        got.push(match delivery {
            Delivery::Message(message) => message.payload.len() as u64,
            Delivery::Lagged(missing) => 1_000_000 + missing,
            other => panic!("{other:?}"),
        });
    }
    let missing: u64 = got.iter().filter(|got| **got > 1_000_000).map(|got| got - 1_000_000).sum();
    let read: Vec<u64> = got.iter().copied().filter(|got| *got < 1_000_000).collect();
    assert_eq!((missing, read), (3, vec![1, 100_000]), "{got:?}");
    assert_eq!(got.last(), Some(&100_000), "they are missing in their place");
    let too_large = |event: &ConnectionEvent| match event {
        ConnectionEvent::MessageTooLarge { subject, size, limit, .. } => Some((subject.to_string(), *size, *limit)),
        _ => None,
    };
    timeline.nth("the third", 2, |event| too_large(event).is_some()).await;
    let reported: Vec<_> = timeline.all().iter().filter_map(too_large).map(|(_, size, limit)| (size, limit)).collect();
    assert!(
        matches!(reported[..], [(100_001, 100_000), (size, 100_000), (headers, 1000)]
        if size == 7 * MIB as u64 && headers > 2000),
        "{reported:?}"
    );
    assert_eq!(timeline.count(|event| matches!(event, ConnectionEvent::Disconnected { .. })), 0);
}

// Fault E3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_over_the_readers_limits_fails_its_request_and_no_other() {
    let server = Server::start().await;
    let limits = Limits { total: 1000, ..Limits::default() };
    let client = ConnectOptions::new().limits(limits).connect(server.url()).await.unwrap();
    let responder = ConnectOptions::new().connect(server.url()).await.unwrap();
    let mut asked = responder.subscribe_confirmed("ask").await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = asked.next().await {
            let size = String::from_utf8_lossy(&request.payload).parse().unwrap();
            responder.publish(request.reply.unwrap(), vec![b'x'; size].into()).await.unwrap();
        }
    });
    let error = soon("an answer", client.request("ask", "500000".into())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::Other);
    let expected = ProtocolError::TooLarge { size: 500_000, limit: 1000 };
    assert_eq!(error.source_as::<ProtocolError>(), Some(&expected), "{error}");
    let reply = soon("a reply", client.request("ask", "1000".into())).await.unwrap();
    assert_eq!(reply.payload.len(), 1000);
}
