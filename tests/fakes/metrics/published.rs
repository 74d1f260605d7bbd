//! Published messages by subject, and the latency of publishing. Both are off by default.

use std::time::Duration;

use nats_lifeline::client::metrics::MetricsReporter;
use nats_lifeline::client::traits::{Publisher, Requester};
use nats_lifeline::client::{FlushFailure, SendFault};
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, HeaderMap, Request, RequestErrorKind};
use tokio::task::JoinHandle;

use super::{ended, eventually, seen};

/// The number of messages of `service` under a label.
fn published(service: &str, subject: &str) -> Option<u64> {
    seen().counter(&format!("nats_messages_published_total{{service={service},subject={subject}}}"))
}

/// The sum over all labels.
fn sum(service: &str) -> u64 {
    seen().counters(&format!("nats_messages_published_total{{service={service}")).values().sum()
}

fn running(reporter: MetricsReporter) -> JoinHandle<()> {
    seen();
    tokio::spawn(reporter.every(Duration::ZERO).run())
}

fn message(subject: &'static str) -> OutboundMessage {
    OutboundMessage { subject: subject.into(), reply: None, payload: "x".into(), headers: None }
}

// S57, S60
#[tokio::test]
async fn chosen_subjects_are_counted_and_all_others_together() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    client.publish("orders.new", "before the reporter".into()).await.unwrap();
    let counting = client.count_subjects(["orders.new", "orders.*.cancelled", "users.17"]).unwrap();
    counting.publish("orders.new", "before the reporter".into()).await.unwrap();
    let reporting = running(counting.report_metrics("chosen"));
    eventually("zeros", || published("chosen", "users.{id}") == Some(0)).await;

    // Every call that counts.
    let headers = HeaderMap::new;
    counting.publish("orders.new", "x".into()).await.unwrap();
    counting.publish_with_headers("orders.new", headers(), "x".into()).await.unwrap();
    counting.publish_with_reply("orders.new", "r", "x".into()).await.unwrap();
    counting.publish_with_reply_and_headers("orders.new", "r", headers(), "x".into()).await.unwrap();
    counting.publish_critical("orders.new", "x".into()).await.unwrap();
    counting.try_publish("orders.new", "x".into()).unwrap();
    counting.try_publish_message(message("orders.new")).unwrap();
    Publisher::publish_message(&counting, message("orders.new")).await.unwrap();
    Publisher::publish_with_reply(&counting, "orders.new", "r", "x".into()).await.unwrap();
    let nobody = counting.request("orders.new", "x".into()).await.unwrap_err();
    assert_eq!(nobody.kind(), RequestErrorKind::NoResponders);
    counting.send_request("orders.new", Request::new()).await.unwrap_err();
    Requester::send_request(&counting, "orders.new", Request::new()).await.unwrap_err();
    counting.start_request("orders.new", Request::new()).await.unwrap().await.unwrap_err();
    eventually("13 orders", || published("chosen", "orders.new") == Some(13)).await;

    counting.publish("orders.eu.cancelled", "x".into()).await.unwrap();
    counting.publish(format!("orders.{}.cancelled", "us"), "x".into()).await.unwrap();
    counting.publish("users.4711", "x".into()).await.unwrap();
    counting.publish("orders", "x".into()).await.unwrap();
    // Not through the counting client.
    client.publish("orders.new", "x".into()).await.unwrap();
    assert!(counting.client().publish_confirmed("orders.new", "x".into()).await.is_confirmed());
    eventually("the others", || published("chosen", "{other}") == Some(3)).await;
    assert_eq!(published("chosen", "orders.*.cancelled"), Some(2));
    assert_eq!(published("chosen", "users.{id}"), Some(1));

    // Refused messages do not count, buffered ones do.
    counting.publish("not a subject", "x".into()).await.unwrap_err();
    counting.try_publish("orders.new", vec![0; 2 * 1024 * 1024].into()).unwrap_err();
    broker.kill();
    eventually("no server", || client.connected_server().is_none()).await;
    let refused = counting.publish_critical("orders.new", "x".into()).await.unwrap_err();
    assert_eq!(refused.source_as(), Some(&SendFault::Disconnected));
    counting.publish("orders.new", "x".into()).await.unwrap();
    eventually("14 orders", || published("chosen", "orders.new") == Some(14)).await;
    client.close().await.unwrap_err();
    ended(reporting).await;
    assert_eq!(sum("chosen"), client.stats().accepted - 2, "two came before the reporter");
    assert_eq!(seen().counter("nats_messages_published_total{service=chosen}"), None, "it would count twice");
}

// S57: no sample counts a message twice, whenever it is taken
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sum_over_the_subjects_is_exact_while_many_publish() {
    const EACH: u64 = 50_000;
    let broker = Broker::start().await.unwrap();
    let client: Client = ConnectOptions::new().connect(broker.url()).await.unwrap();
    let counting = client.count_subjects(["a", "b.*"]).unwrap();
    let reporting = running(counting.report_metrics("exact"));
    let publishers: Vec<_> = (0..4)
        .map(|number| {
            let (counting, client) = (counting.clone(), client.clone());
            tokio::spawn(async move {
                for at in 0..EACH {
                    match (at + number) % 4 {
                        0 => counting.publish("a", "x".into()).await.unwrap(),
                        1 => counting.publish("b.x", "x".into()).await.unwrap(),
                        2 => counting.publish("c", "x".into()).await.unwrap(),
                        _ => client.publish("a", "x".into()).await.unwrap(),
                    }
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    client.flush().await.unwrap();
    client.close().await.unwrap();
    ended(reporting).await;
    assert_eq!(published("exact", "a"), Some(EACH));
    assert_eq!(published("exact", "b.*"), Some(EACH));
    assert_eq!(published("exact", "{other}"), Some(2 * EACH));
    assert_eq!(sum("exact"), client.stats().accepted);
}

// Fault J5, S57: each withdrawn request used to swallow one later message to another subject
#[tokio::test]
async fn requests_that_are_withdrawn_hide_no_later_message() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().request_timeout(Some(Duration::from_millis(100)));
    let client = options.connect(broker.url()).await.unwrap();
    let counting = client.count_subjects(["rpc.>"]).unwrap();
    let by_subject = running(counting.report_metrics("swallowed"));
    let plain = running(client.report_metrics("swallowed too"));
    broker.kill();
    eventually("no server", || client.connected_server().is_none()).await;
    for _ in 0..3 {
        let late = counting.request("rpc.a", "x".into()).await.unwrap_err();
        assert!(late.is_safe_to_repeat(), "{late}");
    }
    assert_eq!(client.stats().accepted, 0, "they were withdrawn");
    broker.restart().await.unwrap();
    for _ in 0..5 {
        client.publish("audit", "x".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    client.close().await.unwrap();
    ended(by_subject).await;
    ended(plain).await;
    assert_eq!(published("swallowed", "rpc.>"), Some(3));
    assert_eq!(published("swallowed", "{other}"), Some(5));
    assert_eq!(seen().counter("nats_messages_published_total{service=swallowed too}"), Some(8));
}

/// Waits until a round trip has begun: a PING has been written, and nothing else.
async fn begun(client: &Client, before: u64) {
    eventually("a PING", || client.stats().out_bytes > before).await;
}

// S58
#[tokio::test]
async fn the_latency_is_the_time_until_the_pong() {
    const STALL: Duration = Duration::from_millis(300);
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    client.flush().await.unwrap();
    let before = client.stats().out_bytes;
    broker.stall_reads(true);
    // One round trip: the second would begin after an hour.
    let reporting = running(client.report_metrics("latency").measure_latency(Duration::from_secs(3600)));
    begun(&client, before).await;
    tokio::time::sleep(STALL).await;
    let samples = || seen().samples("nats_publish_latency_seconds{service=latency}");
    assert!(samples().is_empty(), "there is no PONG");
    assert!(seen().is_registered("nats_publish_latency_seconds{service=latency}"), "a rate begins at zero");
    broker.stall_reads(false);
    eventually("a sample", || !samples().is_empty()).await;
    client.close().await.unwrap();
    ended(reporting).await;
    assert_eq!(samples().len(), 1, "{:?}", samples());
    assert!(samples()[0] >= STALL.as_secs_f64(), "{:?}", samples());
}

// S58: they go on, also after an outage that left a message in doubt; and without being asked for there are none
#[tokio::test]
async fn the_latency_is_measured_again_and_again() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    let reporting = running(client.report_metrics("often").measure_latency(Duration::ZERO));
    let without = running(client.report_metrics("never"));
    let samples = || seen().samples("nats_publish_latency_seconds{service=often}").len();
    eventually("three samples", || samples() >= 3).await;
    broker.stall_reads(true);
    client.publish("a", "in doubt".into()).await.unwrap();
    eventually("written", || client.stats().unconfirmed == 1).await;
    broker.kill();
    broker.stall_reads(false);
    eventually("no server", || client.connected_server().is_none()).await;
    broker.restart().await.unwrap();
    eventually("connected", || client.connected_server().is_some()).await;
    let before = samples();
    eventually("three more", || samples() >= before + 3).await;
    assert_eq!(client.stats().in_doubt, 1);
    client.close().await.unwrap();
    ended(reporting).await;
    ended(without).await;
    assert!(seen().samples("nats_publish_latency_seconds{service=never}").is_empty());
}

// S58: an outage is not a latency, and messages in doubt are still reported to the user
#[tokio::test]
async fn a_round_trip_whose_connection_is_lost_is_no_sample() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    client.flush().await.unwrap();
    broker.stall_reads(true);
    let before = client.stats().out_bytes;
    client.publish("a", "in doubt".into()).await.unwrap();
    let frame = "PUB a 8\r\nin doubt\r\n".len() as u64;
    eventually("written", || client.stats().out_bytes >= before + frame).await;
    let reporting = running(client.report_metrics("lost").measure_latency(Duration::from_secs(3600)));
    begun(&client, before + frame).await;
    broker.kill();
    eventually("no server", || client.connected_server().is_none()).await;
    broker.stall_reads(false);
    broker.restart().await.unwrap();
    eventually("connected", || client.connected_server().is_some()).await;
    let failed = client.flush().await.unwrap_err();
    assert!(matches!(failed.source_as(), Some(FlushFailure::InDoubt(1))), "{failed}");
    client.flush().await.unwrap();
    client.close().await.unwrap();
    ended(reporting).await;
    assert!(seen().samples("nats_publish_latency_seconds{service=lost}").is_empty());
    assert_eq!(seen().counter("nats_messages_in_doubt_total{service=lost}"), Some(1));
}
