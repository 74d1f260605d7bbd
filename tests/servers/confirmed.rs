//! Publishing with an outcome, against a real server: confirmed messages have arrived, unsent ones never do, and only
//! the rest is in doubt.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use nats_lifeline::client::{PublishOutcome, SendFault};
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::options::{DeliveryMode, OverflowPolicy};
use nats_lifeline::{ConnectOptions, HeaderMap, PublishErrorKind};

use crate::support::line::{Line, line};
use crate::support::{Cut, Direction, SOON, Server, Timeline, eventually, soon};

/// `PUB a 1\r\n1\r\n`
const FRAME: usize = 12;

fn message(payload: &str) -> OutboundMessage {
    OutboundMessage { subject: "a".into(), reply: None, payload: payload.to_owned().into(), headers: None }
}

/// Waits until this many messages are accepted.
async fn accepted(line: &Line, count: u64) {
    eventually("the messages are accepted", SOON, async || line.client.stats().accepted == count).await;
}

/// Checks that the message was returned unchanged, and returns the reason.
#[track_caller]
fn unsent(outcome: PublishOutcome, payload: &str) -> (PublishErrorKind, Option<SendFault>) {
    let PublishOutcome::NotSent { message, error, .. } = outcome else { panic!("{payload}: {outcome:?}") };
    assert_eq!((message.subject.as_str(), &message.payload[..]), ("a", payload.as_bytes()));
    (error.kind(), error.source_as().cloned())
}

#[track_caller]
fn unsent_for(outcome: PublishOutcome, payload: &str, fault: &SendFault) {
    assert_eq!(unsent(outcome, payload), (PublishErrorKind::Send, Some(fault.clone())));
}

// N3, S30
#[tokio::test]
async fn a_confirmed_message_has_arrived() {
    let mut line = line(ConnectOptions::new()).await;
    assert!(soon("an outcome", line.client.publish_confirmed("a", "1".into())).await.is_confirmed());
    let arrived = line.raw.received().await;
    assert_eq!(arrived.iter().map(|message| message.text()).collect::<Vec<_>>(), ["1"]);
    let mut headers = HeaderMap::new();
    headers.insert("K", "v");
    let whole = OutboundMessage { reply: Some("r".into()), headers: Some(headers), ..message("2") };
    assert!(soon("an outcome", line.client.publish_message_confirmed(whole, SOON)).await.is_confirmed());
    let arrived = line.raw.received().await;
    assert_eq!((arrived.len(), arrived[0].text().as_str()), (1, "2"));
    assert_eq!(arrived[0].reply.as_deref(), Some("r"));
}

// N3: one PING serves all waiting calls
#[tokio::test]
async fn many_concurrent_publishes_cost_few_pings() {
    let mut line = line(ConnectOptions::new()).await;
    let all = (0..1000).map(|n| line.client.publish_confirmed("a", format!("{n:04}").into()));
    let outcomes = soon("all outcomes", join_all(all)).await;
    assert!(outcomes.iter().all(PublishOutcome::is_confirmed));
    assert_eq!(line.raw.received().await.len(), 1000);
    let lines = line.proxy.passages()[0].lines();
    let pings = lines.iter().filter(|line| *line == "PING").count();
    assert!(pings < 100, "{pings} PINGs for 1000 messages");
}

// N3: buffered in an outage, confirmed after it
#[tokio::test]
async fn buffered_messages_are_confirmed_by_the_next_connection() {
    let mut line = line(ConnectOptions::new()).await;
    line.outage(0).await;
    let client = line.client.clone();
    let waiting = tokio::spawn(async move { client.publish_message_confirmed(message("1"), SOON * 2).await });
    accepted(&line, 1).await;
    line.recovery(0).await;
    assert!(soon("an outcome", waiting).await.unwrap().is_confirmed());
    assert_eq!(line.arrived().await, ["1"]);
}

// N3: at the deadline, a buffered message is withdrawn
#[tokio::test]
async fn a_message_without_a_server_in_time_is_returned_and_never_sent() {
    let mut line = line(ConnectOptions::new()).await;
    line.outage(0).await;
    let within = Duration::from_millis(50);
    let outcome = soon("an outcome", line.client.publish_message_confirmed(message("1"), within)).await;
    let (kind, fault) = unsent(outcome, "1");
    assert_eq!(kind, PublishErrorKind::Send);
    assert!(matches!(fault, Some(SendFault::NotInTime { waited }) if waited >= within), "{fault:?}");
    let stats = line.client.stats();
    assert_eq!((stats.accepted, stats.waiting, stats.pending_bytes), (0, 0, 0));
    line.recovery(0).await;
    assert!(line.arrived().await.is_empty());
}

// N3: I3, never sent twice
#[tokio::test]
async fn messages_that_a_lost_connection_had_taken_are_in_doubt_and_not_sent_again() {
    let mut line = line(ConnectOptions::new()).await;
    line.proxy.freeze(Direction::ToClient);
    let client = line.client.clone();
    let waiting = tokio::spawn(async move { client.publish_message_confirmed(message("1"), SOON * 2).await });
    assert_eq!(line.raw.next().await.text(), "1");
    line.proxy.cut(Cut::Rst);
    let outcome = soon("an outcome", waiting).await.unwrap();
    assert!(matches!(outcome, PublishOutcome::InDoubt), "{outcome:?}");
    line.proxy.unfreeze(Direction::ToClient);
    line.timeline.reconnected(0).await;
    // Messages in doubt are reported once.
    let _ = soon("an answer", line.client.flush()).await;
    assert!(line.arrived().await.is_empty(), "it had arrived before, once");
}

// N3: the call keeps its deadline, whatever the server does
#[tokio::test]
async fn a_server_that_does_not_answer_in_time_leaves_the_message_in_doubt() {
    let line = line(ConnectOptions::new()).await;
    line.proxy.freeze(Direction::ToClient);
    let within = Duration::from_millis(50);
    let outcome = soon("an outcome", line.client.publish_message_confirmed(message("1"), within)).await;
    assert!(matches!(outcome, PublishOutcome::InDoubt), "{outcome:?}");
}

// N3: at least once, the call waits for the PONG of the resend
#[tokio::test]
async fn at_least_once_the_connection_of_the_resend_confirms_the_message() {
    let mut line = line(ConnectOptions::new().delivery(DeliveryMode::AtLeastOnce)).await;
    line.proxy.freeze(Direction::ToClient);
    let client = line.client.clone();
    let waiting = tokio::spawn(async move { client.publish_message_confirmed(message("1"), SOON * 2).await });
    assert_eq!(line.raw.next().await.text(), "1");
    line.proxy.cut(Cut::Rst);
    line.proxy.unfreeze(Direction::ToClient);
    assert!(soon("an outcome", waiting).await.unwrap().is_confirmed());
    assert_eq!(line.arrived().await, ["1"], "a second time");
}

// N3: at least once, a message that was sent does not count as unsent while it is buffered again
#[tokio::test]
async fn at_least_once_a_message_sent_before_is_in_doubt_at_the_deadline() {
    let mut line = line(ConnectOptions::new().delivery(DeliveryMode::AtLeastOnce)).await;
    line.proxy.freeze(Direction::ToClient);
    let client = line.client.clone();
    let within = Duration::from_millis(500);
    let waiting = tokio::spawn(async move { client.publish_message_confirmed(message("1"), within).await });
    assert_eq!(line.raw.next().await.text(), "1");
    line.proxy.refuse().await;
    line.proxy.cut(Cut::Rst);
    let outcome = soon("an outcome", waiting).await.unwrap();
    assert!(matches!(outcome, PublishOutcome::InDoubt), "{outcome:?}");
}

// N3, P12: a message that the finally connected server cannot accept is returned with the reason
#[tokio::test]
async fn a_message_that_the_next_server_cannot_accept_is_returned() {
    let mut server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    server.kill();
    timeline.disconnected(0).await;
    let mut headers = HeaderMap::new();
    headers.insert("K", "v");
    let large = "x".repeat(2000);
    let messages = [message("1"), OutboundMessage { headers: Some(headers), ..message("2") }, message(&large)];
    let waiting = messages.map(|message| {
        let client = client.clone();
        tokio::spawn(async move { client.publish_message_confirmed(message, SOON * 2).await })
    });
    eventually("they are accepted", SOON, async || client.stats().accepted == 3).await;
    server.restart_as(Server::builder().no_header_support().max_payload(1000)).await;
    let [fine, headed, large_one] = waiting;
    assert!(soon("an outcome", fine).await.unwrap().is_confirmed());
    unsent_for(soon("an outcome", headed).await.unwrap(), "2", &SendFault::HeadersUnsupported);
    let (kind, _) = unsent(soon("an outcome", large_one).await.unwrap(), &large);
    assert_eq!(kind, PublishErrorKind::MaxPayloadExceeded);
}

// N3, N4: the policies' decisions are reported
#[tokio::test]
async fn messages_that_a_policy_drops_refuses_or_expires_are_returned() {
    let cap = |policy| ConnectOptions::new().overflow_policy(policy).reconnect_buffer_size(FRAME);
    for (policy, fault) in [
        (OverflowPolicy::DropNewest, SendFault::Dropped),
        (OverflowPolicy::Error, SendFault::BufferFull { pending: FRAME, limit: FRAME, frame: FRAME }),
    ] {
        let line = line(cap(policy)).await;
        line.outage(0).await;
        line.client.publish("a", "1".into()).await.unwrap();
        unsent_for(soon("an outcome", line.client.publish_confirmed("a", "2".into())).await, "2", &fault);
    }
    let oldest = line(cap(OverflowPolicy::DropOldest)).await;
    oldest.outage(0).await;
    let client = oldest.client.clone();
    let waiting = tokio::spawn(async move { client.publish_confirmed("a", "1".into()).await });
    accepted(&oldest, 1).await;
    oldest.client.publish("a", "2".into()).await.unwrap();
    unsent_for(soon("an outcome", waiting).await.unwrap(), "1", &SendFault::Dropped);

    let aged = line(ConnectOptions::new().max_message_age(Some(Duration::from_millis(50)))).await;
    aged.outage(0).await;
    let client = aged.client.clone();
    let waiting = tokio::spawn(async move { client.publish_message_confirmed(message("1"), SOON * 2).await });
    accepted(&aged, 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    aged.recovery(0).await;
    unsent_for(soon("an outcome", waiting).await.unwrap(), "1", &SendFault::Expired);
}

// N3, D19: the end of the client ends the call
#[tokio::test]
async fn the_end_of_the_client_ends_all_waiting_calls() {
    // Closing sends pending messages.
    let mut connected = line(ConnectOptions::new()).await;
    let (outcome, closed) = soon("both", async {
        tokio::join!(connected.client.publish_confirmed("a", "1".into()), connected.client.close())
    })
    .await;
    closed.unwrap();
    assert!(outcome.is_confirmed(), "{outcome:?}");
    assert_eq!(connected.raw.next().await.text(), "1");
    unsent_for(connected.client.publish_confirmed("a", "2".into()).await, "2", &SendFault::Closed);

    // While disconnected, there is nothing to wait for.
    let down = line(ConnectOptions::new()).await;
    down.outage(0).await;
    let client = down.client.clone();
    let waiting = tokio::spawn(async move { client.publish_message_confirmed(message("1"), SOON * 2).await });
    accepted(&down, 1).await;
    soon("the end", down.client.close()).await.unwrap_err();
    unsent_for(soon("an outcome", waiting).await.unwrap(), "1", &SendFault::Closed);

    // And not after the last attempt either.
    let given_up = line(ConnectOptions::new().max_reconnects(1)).await;
    given_up.proxy.freeze(Direction::ToClient);
    given_up.proxy.refuse().await;
    let client = given_up.client.clone();
    let waiting = tokio::spawn(async move { client.publish_message_confirmed(message("1"), SOON * 2).await });
    accepted(&given_up, 1).await;
    given_up.proxy.cut(Cut::Rst);
    let gave_up = |event: &ConnectionEvent| matches!(event, ConnectionEvent::GaveUp { .. });
    given_up.timeline.nth("GaveUp", 0, gave_up).await;
    let outcome = soon("an outcome", waiting).await.unwrap();
    assert!(!outcome.is_confirmed(), "{outcome:?}");
    unsent_for(given_up.client.publish_confirmed("a", "2".into()).await, "2", &SendFault::Disconnected);
}

// N3, I8: a caller that stops waiting leaves its message, and nothing else
#[tokio::test]
async fn dropping_a_call_keeps_its_message() {
    let mut line = line(ConnectOptions::new()).await;
    for n in 0..3 {
        let mut call = pin!(line.client.publish_confirmed("a", format!("{n}").into()));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    // Never polled: never published.
    drop(line.client.publish_confirmed("a", "3".into()));
    assert_eq!(line.arrived().await, ["0", "1", "2"]);
}

/// Invalid messages are returned too.
#[tokio::test]
async fn a_message_with_an_invalid_subject_is_returned() {
    let line = line(ConnectOptions::new()).await;
    let outcome = line.client.publish_confirmed("a b", "1".into()).await;
    let PublishOutcome::NotSent { message, error, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((message.subject.as_str(), error.kind()), ("a b", PublishErrorKind::InvalidSubject));
}
