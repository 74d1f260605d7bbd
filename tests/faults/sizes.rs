//! E: how large a message may be, on both sides.

use futures_util::StreamExt;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::{Client, ConnectOptions, PublishErrorKind};

use crate::support::ports::Ports;
use crate::support::{SOON, Server, Timeline, soon, within};

const MIB: usize = 1024 * 1024;

// E1: no test had published a message larger than the default buffer while connected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_larger_than_the_buffer_for_outages_is_delivered_while_connected() {
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

/// A client for a server that is not there yet, with 2 MiB published, and its events.
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

// E2: what is published before the first INFO was tested with small messages only.
#[tokio::test]
async fn before_the_first_connection_nobody_knows_how_much_a_server_takes() {
    let ports = Ports::reserve();
    let (client, _timeline) = before_the_first_connection(&ports).await;
    let server = Server::builder().max_payload(8 * MIB).start_on(ports).await;
    soon("a round trip", client.flush()).await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.confirmed, stats.lost.total()), (2, 0), "{stats:?}");
    drop(server);
}

// E2
#[tokio::test]
async fn what_the_first_server_does_not_take_is_reported_and_the_rest_is_sent() {
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
