//! G: what programs find that were written for async-nats.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use nats_lifeline::ConnectOptions;

use crate::support::{SOON, Server, eventually, soon};

// G5: the counters were only ever read right after they had been asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_that_were_taken_once_stay_current() {
    let mut server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let taken = client.statistics();
    let mut own = client.subscribe_confirmed("a").await.unwrap();
    for round in 1..=3_u64 {
        for _ in 0..10 {
            client.publish("a", "payload".into()).await.unwrap();
        }
        for _ in 0..10 {
            soon("a message", own.next()).await.unwrap();
        }
        let sums = [&taken.out_messages, &taken.in_messages].map(|sum| sum.load(Relaxed));
        assert_eq!(sums, [10 * round; 2]);
        assert!(taken.out_bytes.load(Relaxed) >= 70 * round && taken.in_bytes.load(Relaxed) >= 70 * round);
    }
    assert_eq!(taken.connects.load(Relaxed), 1);
    // What is published during an outage counts once the next connection has it, and what is left when the client ends.
    server.kill();
    client.publish("a", "held".into()).await.unwrap();
    server.restart().await;
    soon("a message", own.next()).await.unwrap();
    assert_eq!((taken.out_messages.load(Relaxed), taken.connects.load(Relaxed)), (31, 2));
    client.publish("a", "last".into()).await.unwrap();
    soon("the end", client.close()).await.unwrap();
    eventually("the last is counted", SOON, async || taken.out_messages.load(Relaxed) == 32).await;
}
