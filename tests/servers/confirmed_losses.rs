//! Publishing with an outcome over a network that cuts all the time: each outcome is compared with what arrived.

use std::collections::HashMap;
use std::time::Duration;

use nats_lifeline::ConnectOptions;
use nats_lifeline::client::PublishOutcome;
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::options::DeliveryMode;
use nats_lifeline::options::{Backoff, Jitter};

use crate::support::line::line;
use crate::support::{Cut, Direction, SOON, within};

const PUBLISHERS: u32 = 8;
const EACH: u32 = 150;
const CUTS: usize = 12;

#[derive(Debug, Default)]
struct Count {
    confirmed: u32,
    in_doubt: u32,
    unsent: u32,
}

/// Publishers that send one message after the other, while the connection is cut again and again.
async fn publish_through_cuts(delivery: DeliveryMode, patience: Duration) -> Count {
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(20));
    let backoff = Backoff { initial, factor: 2.0, max, jitter: Jitter::Equal };
    let mut line = line(ConnectOptions::new().delivery(delivery).backoff(backoff)).await;
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let client = line.client.clone();
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for n in 0..EACH {
                    let payload = format!("{publisher}-{n}");
                    let (subject, reply, headers) = ("a".into(), None, None);
                    let message = OutboundMessage { subject, reply, payload: payload.clone().into(), headers };
                    outcomes.push((payload, client.publish_message_confirmed(message, patience).await));
                    if n % 4 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                outcomes
            })
        })
        .collect();
    for cut in 0..CUTS {
        tokio::time::sleep(Duration::from_millis(5 + cut as u64)).await;
        if cut % 3 == 0 {
            // The proxy withholds PONGs, so that the client knows of less than the server has.
            line.proxy.freeze(Direction::ToClient);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        line.proxy.cut(if cut % 2 == 0 { Cut::Rst } else { Cut::Fin });
        line.proxy.unfreeze(Direction::ToClient);
        line.timeline.reconnected(cut).await;
    }
    let mut outcomes = Vec::new();
    for publisher in publishers {
        outcomes.extend(within("publishing", SOON * 2, publisher).await.unwrap());
    }
    let mut arrived: HashMap<String, u32> = HashMap::new();
    // Messages in doubt are reported once; after the next flush everything has been processed.
    let _ = within("a flush", SOON, line.client.flush()).await;
    for payload in line.arrived().await {
        *arrived.entry(payload).or_default() += 1;
    }
    let mut count = Count::default();
    for (payload, outcome) in outcomes {
        let times = arrived.remove(&payload).unwrap_or(0);
        assert!(times <= 1 || delivery == DeliveryMode::AtLeastOnce, "{payload} came {times} times");
        match outcome {
            PublishOutcome::Confirmed => {
                assert!(times >= 1, "{payload} is confirmed, and did not come");
                count.confirmed += 1;
            }
            PublishOutcome::InDoubt => count.in_doubt += 1,
            PublishOutcome::NotSent { message, .. } => {
                assert_eq!(
                    (times, &message.payload[..]),
                    (0, payload.as_bytes()),
                    "reported as not sent, but it arrived"
                );
                count.unsent += 1;
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    assert!(arrived.is_empty(), "from nobody: {arrived:?}");
    let stats = line.client.stats();
    assert!(stats.balances(), "{stats:?}");
    count
}

// N3, I3, I4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_messages_arrive_once_and_unsent_ones_never() {
    let count = publish_through_cuts(DeliveryMode::AtMostOnce, SOON).await;
    assert_eq!((count.confirmed + count.in_doubt, count.unsent), (PUBLISHERS * EACH, 0), "{count:?}");
    assert!(count.confirmed > count.in_doubt && count.in_doubt > 0, "{count:?}");
}

// N3: with short deadlines many messages are returned, and none of them arrives
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_returned_at_a_deadline_never_arrive() {
    let count = publish_through_cuts(DeliveryMode::AtMostOnce, Duration::from_millis(2)).await;
    assert_eq!(count.confirmed + count.in_doubt + count.unsent, PUBLISHERS * EACH, "{count:?}");
}

// N3, D10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_everything_is_confirmed_in_the_end() {
    let count = publish_through_cuts(DeliveryMode::AtLeastOnce, SOON).await;
    assert_eq!((count.confirmed, count.in_doubt, count.unsent), (PUBLISHERS * EACH, 0, 0), "{count:?}");
}
