//! What happens to messages around an outage, by the user's policies, against a real server.

use std::time::Duration;

use nats_lifeline::client::SendFault;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::options::{Backoff, Jitter};
use nats_lifeline::options::{DeliveryMode, OverflowPolicy};
use nats_lifeline::{ConnectOptions, PublishErrorKind};

use crate::support::line::{Line, line};
use crate::support::{Cut, SOON, eventually, soon, within};

/// `PUB a 4\r\n0000\r\n`
const FRAME: usize = 15;

async fn publish(line: &Line, numbers: std::ops::Range<u32>) {
    for n in numbers {
        soon("an answer", line.client.publish("a", format!("{n:04}").into())).await.unwrap();
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("{n:04}")).collect()
}

/// A short connection makes its server wait; here all of them are short.
fn quick() -> ConnectOptions {
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(20));
    let backoff = Backoff { initial, factor: 2.0, max, jitter: Jitter::Equal };
    ConnectOptions::new().backoff(backoff)
}

async fn lost(line: &Line) -> (u64, Vec<String>) {
    let reported = line.timeline.nth("Lost", 0, |event| matches!(event, ConnectionEvent::Lost { .. })).await;
    let ConnectionEvent::Lost { lost, messages, .. } = reported else { unreachable!() };
    (lost.total(), messages.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect())
}

// S27
#[tokio::test]
async fn dropping_the_oldest_keeps_the_latest() {
    let options = ConnectOptions::new().overflow_policy(OverflowPolicy::DropOldest);
    let mut line = line(options.reconnect_buffer_size(10 * FRAME)).await;
    line.outage(0).await;
    publish(&line, 0..100).await;
    line.recovery(0).await;
    assert_eq!(line.arrived().await, numbers(90..100));
    let stats = line.client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.accepted, stats.lost.overflow, stats.confirmed), (100, 90, 10));
    let (count, back) = lost(&line).await;
    assert_eq!(back, numbers(0..u32::try_from(count).unwrap()), "they are returned");
}

// S27
#[tokio::test]
async fn dropping_the_newest_keeps_the_first() {
    let options = ConnectOptions::new().overflow_policy(OverflowPolicy::DropNewest);
    let mut line = line(options.reconnect_buffer_size(10 * FRAME)).await;
    line.outage(0).await;
    publish(&line, 0..100).await;
    line.recovery(0).await;
    assert_eq!(line.arrived().await, numbers(0..10));
    let stats = line.client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.accepted, stats.lost.overflow, stats.confirmed), (100, 90, 10));
    let (_, back) = lost(&line).await;
    assert_eq!(back[0], "0010");
}

// S27: waiting calls are served in order, and fail at their own limit, which may be longer than that of a publish to a
// server
#[tokio::test]
async fn waiting_for_room_ends_with_the_outage_or_at_its_limit() {
    let patient =
        |time| ConnectOptions::new().overflow_policy(OverflowPolicy::Wait(time)).reconnect_buffer_size(10 * FRAME);
    let mut line = line(patient(Duration::from_secs(60))).await;
    line.outage(0).await;
    publish(&line, 0..10).await;
    let client = line.client.clone();
    let waiting = tokio::spawn(async move {
        for n in 10..30_u32 {
            client.publish("a", format!("{n:04}").into()).await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "there is no room");
    assert_eq!(line.client.stats().accepted, 10);
    line.recovery(0).await;
    soon("room", waiting).await.unwrap();
    assert_eq!(line.arrived().await, numbers(0..30));

    let mut line =
        crate::support::line::line(patient(Duration::from_millis(80)).publish_timeout(Duration::from_millis(20))).await;
    line.outage(0).await;
    publish(&line, 0..10).await;
    let refused = soon("an answer", line.client.publish("a", "0010".into())).await.unwrap_err();
    assert_eq!(refused.kind(), PublishErrorKind::Send);
    let fault = refused.source_as::<SendFault>().expect("a typed source");
    assert!(matches!(fault, SendFault::NoRoom { waited } if *waited >= Duration::from_millis(80)), "{fault:?}");
    line.recovery(0).await;
    assert_eq!(line.arrived().await, numbers(0..10));
}

// S39
#[tokio::test]
async fn expired_messages_are_not_sent() {
    let mut line = line(ConnectOptions::new().max_message_age(Some(Duration::from_millis(150)))).await;
    line.outage(0).await;
    publish(&line, 0..5).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    publish(&line, 5..8).await;
    line.recovery(0).await;
    let arrived = line.arrived().await;
    // On a slow machine the others may have expired too, in order.
    assert_eq!(arrived, numbers(0..8)[8 - arrived.len()..]);
    assert!(arrived.len() <= 3, "{arrived:?}");
    let stats = line.client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(stats.lost.expired, 8 - arrived.len() as u64);
    let (count, back) = lost(&line).await;
    assert_eq!(back.len() as u64, count);
}

// S36
#[tokio::test]
async fn a_limit_in_messages_is_reported_with_its_numbers() {
    let mut line = line(ConnectOptions::new().reconnect_buffer_messages(Some(3))).await;
    line.outage(0).await;
    publish(&line, 0..3).await;
    let refused = soon("an answer", line.client.publish("a", "0003".into())).await.unwrap_err();
    let fault = refused.source_as::<SendFault>().expect("a typed source");
    assert_eq!(*fault, SendFault::TooManyMessages { pending: 3, limit: 3 });
    line.recovery(0).await;
    assert_eq!(line.arrived().await, numbers(0..3));
}

// N4
#[tokio::test]
async fn the_watermarks_are_reported() {
    let mut line = line(ConnectOptions::new().reconnect_buffer_size(10 * FRAME)).await;
    line.outage(0).await;
    publish(&line, 0..9).await;
    let high = |event: &ConnectionEvent| matches!(event, ConnectionEvent::BufferHigh { limit: 150, .. });
    line.timeline.nth("BufferHigh", 0, high).await;
    line.recovery(0).await;
    line.timeline.nth("BufferLow", 0, |event| matches!(event, ConnectionEvent::BufferLow { .. })).await;
    assert_eq!(line.arrived().await.len(), 9);
    assert_eq!(line.timeline.count(high), 1);
}

// N3, promise 3: nothing is lost over cuts at any moment, and each copy arrives in order
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_nothing_is_lost_over_many_cuts() {
    const CUTS: usize = 12;
    const BATCH: u32 = 300;
    let mut line = line(quick().delivery(DeliveryMode::AtLeastOnce)).await;
    for cut in 0..CUTS {
        let client = line.client.clone();
        let first = cut as u32 * BATCH;
        let publishing = tokio::spawn(async move {
            for n in first..first + BATCH {
                client.publish("a", format!("{n:04}").into()).await.unwrap();
                if n % 16 == 0 {
                    tokio::time::sleep(Duration::from_micros(300)).await;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(1 + cut as u64 / 2)).await;
        line.proxy.cut(if cut % 2 == 0 { Cut::Rst } else { Cut::Fin });
        within("publishing", SOON, publishing).await.unwrap();
        line.timeline.reconnected(cut).await;
    }
    let arrived = line.arrived().await;
    let mut firsts: Vec<&String> = Vec::new();
    for payload in &arrived {
        if firsts.last().is_none_or(|last| payload > *last) {
            firsts.push(payload);
        }
    }
    let all = numbers(0..CUTS as u32 * BATCH);
    assert!(firsts.iter().copied().eq(&all), "{} of {} came in order", firsts.len(), all.len());
    eventually("everything is confirmed", SOON, async || {
        let stats = line.client.stats();
        assert!(stats.balances(), "{stats:?}");
        stats.confirmed == stats.accepted
    })
    .await;
    let stats = line.client.stats();
    assert_eq!((stats.in_doubt, stats.lost.total(), stats.accepted), (0, 0, all.len() as u64));
}
