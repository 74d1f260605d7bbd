//! Limits announced in any INFO are followed; what we accept depends on our limits alone.

use futures_util::StreamExt;
use nats_lifeline::{ConnectOptions, PublishErrorKind};
use tokio::sync::watch;

use crate::support::fake::{Fake, INFO};
use crate::support::{SOON, eventually, soon};

/// The INFO with another limit.
fn info(max_payload: usize) -> String {
    INFO.replace("\"max_payload\":1048576", &format!("\"max_payload\":{max_payload}"))
}

// Scenario 22
#[tokio::test]
async fn max_payload_follows_every_info() {
    let (limit, limits) = watch::channel(1_048_576);
    let fake = Fake::start(move |mut far, _| {
        let mut limits = limits.clone();
        async move {
            if !far.handshake().await {
                return;
            }
            // A second INFO after the PONG, as servers send it for accounts with limits, and later ones.
            far.say(info(100)).await;
            while limits.changed().await.is_ok() {
                let limit = *limits.borrow_and_update();
                far.say(info(limit)).await;
            }
        }
    })
    .await;
    let client = soon("a connection", ConnectOptions::new().connect(fake.url())).await.unwrap();
    for max in [100, 1000, 10, 2_000_000] {
        if max != 100 {
            limit.send_replace(max);
        }
        eventually("the limit is known", SOON, async || client.max_payload() == max).await;
        assert_eq!(client.server_info().max_payload, max);
        client.publish("a", vec![b'x'; max].into()).await.unwrap();
        let error = client.publish("a", vec![b'x'; max + 1].into()).await.unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::MaxPayloadExceeded, "{error}");
    }
}

// Scenario 67
#[tokio::test]
async fn a_message_larger_than_the_servers_max_payload_is_delivered() {
    let fake = Fake::start(|mut far, _| async move {
        far.say(info(16)).await;
        while let Some(line) = far.hear().await {
            if line == "PING" {
                far.say("PONG\r\n").await;
            } else if line.starts_with("SUB") {
                let sid = line.rsplit(' ').next().unwrap().to_owned();
                far.say(format!("MSG a {sid} 100000\r\n{}\r\n", "x".repeat(100_000))).await;
            }
        }
    })
    .await;
    let client = soon("a connection", ConnectOptions::new().connect(fake.url())).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    assert_eq!(soon("the message", own.next()).await.unwrap().payload.len(), 100_000);
    assert_eq!(client.max_payload(), 16);
    soon("a flush", client.flush()).await.unwrap();
}
