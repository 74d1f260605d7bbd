//! A message that kills every connection is removed and returned; all others get through.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use nats_lifeline::ConnectOptions;
use nats_lifeline::connection::{ConnectionEvent, LossReason};
use nats_lifeline::options::DeliveryMode;
use nats_lifeline::options::{Backoff, Jitter};

use crate::support::fake::{Fake, INFO};
use crate::support::{SOON, Timeline, soon, within};

type Lines = Arc<Mutex<Vec<String>>>;

/// A server that closes the connection when a line ends with `end`. All other lines are kept, except those that it
/// answers.
async fn touchy(end: &'static str, heard: Lines) -> Fake {
    let greeting = INFO.replace("1048576", "50000000");
    Fake::start(move |mut conversation, _| {
        let (heard, greeting) = (Arc::clone(&heard), greeting.clone());
        async move {
            conversation.say(greeting).await;
            while let Some(line) = conversation.hear().await {
                match line.as_str() {
                    "PING" => conversation.say("PONG\r\n").await,
                    line if line.ends_with(end) => return,
                    line => heard.lock().unwrap().push(line.to_owned()),
                }
            }
        }
    })
    .await
}

fn options() -> ConnectOptions {
    let backoff =
        Backoff { initial: Duration::from_millis(1), factor: 1.0, max: Duration::from_millis(1), jitter: Jitter::None };
    ConnectOptions::new().backoff(backoff)
}

/// The returned lost message: its subject and its length.
async fn handed_back(timeline: &Timeline) -> (String, usize) {
    match timeline.nth("Lost", 0, |event| matches!(event, ConnectionEvent::Lost { .. })).await {
        ConnectionEvent::Lost { lost, messages, .. } => {
            assert_eq!((lost.poison, lost.total(), messages.len()), (1, 1, 1));
            let message = messages.iter().next().unwrap();
            assert_eq!(message.reason, LossReason::Poison);
            (message.subject.to_string(), message.payload.len())
        }
        event => panic!("{event:?}"),
    }
}

// D16
#[tokio::test]
async fn at_least_once_the_poison_message_is_found_among_a_hundred() {
    let heard = Lines::default();
    let server = touchy("deadly", Arc::clone(&heard)).await;
    let options = options().delivery(DeliveryMode::AtLeastOnce);
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    for number in 0..100 {
        let payload = if number == 61 { "deadly".to_owned() } else { format!("number {number}") };
        client.publish(format!("a.{number}"), payload.into()).await.unwrap();
    }
    assert_eq!(handed_back(&timeline).await, ("a.61".to_owned(), 6));
    soon("a flush", client.flush()).await.unwrap();
    let heard = heard.lock().unwrap();
    for number in (0..100).filter(|number| *number != 61) {
        assert!(heard.contains(&format!("number {number}")), "{number} is missing");
    }
    let stats = client.stats();
    assert_eq!((stats.confirmed, stats.lost.poison, stats.in_doubt), (99, 1, 0), "{stats:?}");
    // Five losses until messages are suspected, one for each halving, five for the last message alone, and the first
    // connection.
    assert!(server.accepted().len() <= 5 + 7 + 5 + 1, "{} connections", server.accepted().len());
}

// D16
#[tokio::test]
async fn at_most_once_the_frame_that_is_cut_repeatedly_is_removed() {
    // More than kernels buffer between two processes, so that the server closes in the middle of the message.
    const SIZE: usize = 40_000_000;
    let heard = Lines::default();
    let server = touchy("40000000", Arc::clone(&heard)).await;
    let options = options().reconnect_buffer_size(100_000_000);
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    client.publish("large", Bytes::from(vec![b'x'; SIZE])).await.unwrap();
    client.publish("small", "the next".into()).await.unwrap();
    // Too large to be returned, but counted.
    let lost = timeline.nth("Lost", 0, |event| matches!(event, ConnectionEvent::Lost { .. })).await;
    assert!(matches!(lost, ConnectionEvent::Lost { lost, .. } if lost.poison == 1 && lost.total() == 1), "{lost:?}");
    within("a flush", SOON, client.flush()).await.unwrap();
    assert!(heard.lock().unwrap().contains(&"the next".to_owned()));
    let stats = client.stats();
    assert_eq!((stats.confirmed, stats.lost.poison, stats.in_doubt), (1, 1, 0), "{stats:?}");
    assert_eq!((stats.confirmed, stats.lost.poison, stats.in_doubt), (1, 1, 0), "{stats:?}");
}
