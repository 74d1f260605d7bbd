//! The client as a sink of messages.

use futures_util::SinkExt;
use nats_lifeline::message::OutboundMessage;

use crate::support::Server;

// P1
#[tokio::test]
async fn a_client_is_a_sink_of_messages() {
    let server = Server::start().await;
    let mut client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    for n in 0..100 {
        let message =
            OutboundMessage { subject: "a".into(), reply: None, payload: n.to_string().into(), headers: None };
        client.feed(message).await.unwrap();
    }
    SinkExt::<OutboundMessage>::flush(&mut client).await.unwrap();
    let seen: Vec<String> = raw.next_n(100).await.iter().map(|message| message.text()).collect();
    assert_eq!(seen, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}
