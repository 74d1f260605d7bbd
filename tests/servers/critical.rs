//! Critical messages are sent now or refused now, against a real server.

use std::time::Duration;

use nats_lifeline::client::{SendFault, TryPublishErrorKind};
use nats_lifeline::connection::Status;
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::options::OverflowPolicy;
use nats_lifeline::{Client, ConnectOptions, PublishError, PublishErrorKind};

use crate::support::line::line;
use crate::support::{Cut, Direction, Proxy, SOON, eventually, soon};

#[track_caller]
fn disconnected(error: &PublishError) {
    assert_eq!(error.kind(), PublishErrorKind::Send);
    assert_eq!(error.source_as(), Some(&SendFault::Disconnected));
}

/// The message is refused, and returned whole.
#[track_caller]
fn comes_back(client: &Client, expected: TryPublishErrorKind) {
    let message = OutboundMessage {
        subject: "a".into(),
        reply: Some("r".into()),
        payload: "whole".into(),
        headers: Some([("K".parse().unwrap(), "v".into())].into_iter().collect()),
    };
    let error = client.try_publish_critical(message).unwrap_err();
    assert_eq!(error.kind(), expected, "{error}");
    let back = error.into_message();
    assert_eq!((back.subject.as_str(), back.reply.unwrap().as_str(), &back.payload[..]), ("a", "r", &b"whole"[..]));
    assert_eq!(back.headers.unwrap().get("K").unwrap().as_str(), "v");
}

// S29, S31
#[tokio::test]
async fn without_a_server_critical_messages_are_refused_immediately_and_others_buffered() {
    let mut line = line(ConnectOptions::new()).await;
    line.client.publish_critical("a", "1".into()).await.unwrap();
    assert_eq!(line.arrived().await, ["1"]);
    line.outage(0).await;
    disconnected(&soon("an answer", line.client.publish_critical("a", "2".into())).await.unwrap_err());
    comes_back(&line.client, TryPublishErrorKind::Disconnected);
    line.client.publish("a", "3".into()).await.unwrap();
    assert_eq!(line.client.stats().accepted, 2);
    line.recovery(0).await;
    line.client.publish_critical("a", "4".into()).await.unwrap();
    assert_eq!(line.arrived().await, ["3", "4"]);
}

// S29: before the first connection, and after the end
#[tokio::test]
async fn a_client_that_was_never_connected_refuses_critical_messages_too() {
    let silent = Proxy::start(1).await;
    silent.silence();
    let client = ConnectOptions::new().retry_on_initial_connect().connect(silent.url()).await.unwrap();
    disconnected(&soon("an answer", client.publish_critical("a", "1".into())).await.unwrap_err());
    comes_back(&client, TryPublishErrorKind::Disconnected);
    soon("the end", client.close()).await.unwrap();
    let error = soon("an answer", client.publish_critical("a", "1".into())).await.unwrap_err();
    assert_eq!(error.source_as(), Some(&SendFault::Closed));
    comes_back(&client, TryPublishErrorKind::Closed);
}

// S29: a call that waits for room does not wait for a connection, whatever the policy
#[tokio::test]
async fn a_critical_publish_waiting_for_room_is_refused_when_the_connection_is_lost() {
    let patient = OverflowPolicy::Wait(Duration::from_secs(600));
    let options = ConnectOptions::new().overflow_policy(patient).publish_timeout(Duration::from_secs(600));
    let line = line(options.reconnect_buffer_size(256 * 1024)).await;
    line.proxy.freeze(Direction::ToServer);
    let large = vec![b'x'; 16 * 1024];
    eventually("the outbox is full", SOON * 2, async || {
        while line.client.try_publish("a", large.clone().into()).is_ok() {}
        line.client.stats().pending_bytes >= 128 * 1024
    })
    .await;
    let client = line.client.clone();
    let payload = large.clone();
    let waiting = tokio::spawn(async move { client.publish_critical("a", payload.into()).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    // It may have found room in the meantime; otherwise it waits.
    line.proxy.refuse().await;
    line.proxy.cut(Cut::Rst);
    if let Err(error) = soon("an answer", waiting).await.unwrap() {
        disconnected(&error);
    }
    line.timeline.disconnected(0).await;
    disconnected(&soon("an answer", line.client.publish_critical("a", large.into())).await.unwrap_err());
}

// S29, D15: during a planned move there is a connection
#[tokio::test]
async fn critical_messages_are_accepted_during_a_planned_move() {
    let mut line = line(ConnectOptions::new().no_prepared_moves()).await;
    line.proxy.freeze(Direction::ToClient);
    line.client.force_reconnect().await.unwrap();
    let pings = || line.proxy.passages()[0].lines().iter().filter(|line| *line == "PING").count();
    eventually("the server is asked for the last PONG", SOON, async || pings() == 2).await;
    assert_eq!(line.client.status(), Status::Connected);
    line.client.publish_critical("a", "1".into()).await.unwrap();
    line.proxy.unfreeze(Direction::ToClient);
    line.timeline.reconnected(0).await;
    assert_eq!(line.arrived().await, ["1"]);
}
