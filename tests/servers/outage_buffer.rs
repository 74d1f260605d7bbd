//! Messages published while disconnected, and those that a dying connection had taken: none is lost silently.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::{
    ConnectOptions, PublishErrorKind,
    client::{SendFault, TryPublishErrorKind},
    connection::{ConnectionEvent, Status},
    options::OverflowPolicy,
};

use crate::support::line::line;
use crate::support::{Direction, SOON, Server, Timeline, eventually, soon, within};

/// The bytes of `PUB a <size>\r\n<payload>\r\n`.
fn frame(payload: usize) -> usize {
    "PUB a \r\n\r\n".len() + payload.to_string().len() + payload
}

// Scenario 41, D8, I6, S26, S27
#[tokio::test]
async fn during_an_outage_messages_are_accepted_up_to_exactly_the_cap() {
    for (slack, fits) in [(frame(0) - 1, false), (frame(0), true)] {
        let cap = 10 * frame(500) + slack;
        let mut line = line(ConnectOptions::new().reconnect_buffer_size(cap)).await;
        line.outage(0).await;
        for n in 0..10 {
            let payload = format!("{n:0500}");
            line.client.publish("a", payload.into()).await.unwrap_or_else(|error| panic!("message {n}: {error}"));
        }
        assert_eq!(line.client.stats().pending_bytes, (10 * frame(500)) as u64);
        let last = soon("an immediate answer", line.client.publish("a", Bytes::new())).await;
        assert_eq!(last.is_ok(), fits, "{last:?}");
        if let Err(error) = last {
            assert_eq!(error.kind(), PublishErrorKind::Send);
            let fault = error.source_as::<SendFault>().expect("a typed source");
            let expected = SendFault::BufferFull { pending: 10 * frame(500), limit: cap, frame: frame(0) };
            assert_eq!(*fault, expected);
        }
        let full = soon("an immediate answer", line.client.publish("a", vec![b'x'; 500].into())).await.unwrap_err();
        assert_eq!(full.kind(), PublishErrorKind::Send);
        line.recovery(0).await;
        let mut expected: Vec<String> = (0..10).map(|n| format!("{n:0500}")).collect();
        expected.extend(fits.then(String::new));
        assert_eq!(line.arrived().await, expected);
        let stats = line.client.stats();
        assert!(stats.balances(), "{stats:?}");
        assert_eq!((stats.pending_bytes, stats.accepted), (0, expected.len() as u64));
    }
}

// Scenario 42, D8
#[tokio::test]
async fn with_a_cap_of_zero_nothing_is_accepted_during_an_outage() {
    let mut line = line(ConnectOptions::new().reconnect_buffer_size(0)).await;
    line.client.publish("a", "before".into()).await.unwrap();
    assert_eq!(line.arrived().await, ["before"]);
    line.outage(0).await;
    let error = soon("an immediate answer", line.client.publish("a", "lost".into())).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Send);
    line.recovery(0).await;
    line.client.publish("a", "after".into()).await.unwrap();
    assert_eq!(line.arrived().await, ["after"]);
    assert!(line.client.stats().balances());
}

// Fault E1
#[tokio::test]
async fn a_message_larger_than_the_cap_is_refused_only_while_disconnected() {
    let mut line = line(ConnectOptions::new().reconnect_buffer_size(frame(1000))).await;
    line.client.publish("a", vec![b'x'; 1000].into()).await.unwrap();
    line.client.publish("a", vec![b'y'; 100_000].into()).await.unwrap();
    assert_eq!(line.arrived().await, ["x".repeat(1000), "y".repeat(100_000)]);
    line.outage(0).await;
    let error = soon("an answer", line.client.publish("a", vec![b'x'; 1001].into())).await.unwrap_err();
    assert!(matches!(error.source_as::<SendFault>(), Some(SendFault::BufferFull { .. })), "{error}");
    assert!(error.to_string().contains("exceeds the buffer limit"), "{error}");
}

// Fault E1: a publisher that waits while disconnected waits for a server that can accept the message
#[tokio::test]
async fn a_message_larger_than_the_cap_waits_for_a_server_if_that_is_the_policy() {
    let wait = OverflowPolicy::Wait(SOON);
    let mut line = line(ConnectOptions::new().reconnect_buffer_size(frame(1000)).overflow_policy(wait)).await;
    line.outage(0).await;
    let client = line.client.clone();
    let publishing = tokio::spawn(async move { client.publish("a", vec![b'x'; 5000].into()).await });
    tokio::task::yield_now().await;
    line.recovery(0).await;
    soon("room", publishing).await.unwrap().unwrap();
    assert_eq!(line.arrived().await, ["x".repeat(5000)]);
}

// N4: a refusal returns the message
#[tokio::test]
async fn a_refused_try_publish_returns_the_message() {
    let mut line = line(ConnectOptions::new().reconnect_buffer_size(frame(5))).await;
    line.outage(0).await;
    line.client.try_publish("a", "first".into()).unwrap();
    let error = line.client.try_publish("a", "other".into()).unwrap_err();
    assert_eq!(error.kind(), TryPublishErrorKind::BufferFull);
    let message = error.into_message();
    assert_eq!((message.subject.as_str(), &message.payload[..]), ("a", &b"other"[..]));
    line.recovery(0).await;
    soon("room", line.client.flush()).await.unwrap();
    line.client.try_publish(message.subject, message.payload).unwrap();
    assert_eq!(line.arrived().await, ["first", "other"]);
    line.client.close().await.unwrap();
    assert_eq!(line.client.try_publish("a", "late".into()).unwrap_err().kind(), TryPublishErrorKind::Closed);
}

// N1, I4: messages that the transport took and no PONG covered are counted, reported, and not sent again
#[tokio::test]
async fn messages_in_doubt_are_counted_and_reported() {
    let mut line = line(ConnectOptions::new()).await;
    line.client.publish("a", "confirmed".into()).await.unwrap();
    assert_eq!(line.arrived().await, ["confirmed"]);
    line.proxy.freeze(Direction::ToClient);
    for n in 0..5 {
        line.client.publish("a", n.to_string().into()).await.unwrap();
    }
    assert_eq!(line.raw.next_n(5).await.len(), 5, "the server has them, but the client cannot know");
    let stats = line.client.stats();
    assert_eq!((stats.confirmed, stats.unconfirmed), (1, 5), "{stats:?}");
    match line.outage(0).await {
        ConnectionEvent::Disconnected { in_doubt, buffered, .. } => assert_eq!((in_doubt, buffered), (5, 0)),
        other => panic!("{other:?}"),
    }
    line.proxy.unfreeze(Direction::ToClient);
    let stats = line.client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.accepted, stats.confirmed, stats.in_doubt, stats.resent), (6, 1, 5, 0));
    line.recovery(0).await;
    // A flush reports once that five are in doubt, see outage_calls; the next one is Ok.
    let _ = line.client.flush().await;
    assert_eq!(line.arrived().await, Vec::<String>::new(), "at most once");
}

// I4, N5: only frames that were taken completely are in doubt; all later ones are sent again, whole and in order
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_a_lost_connection_had_not_taken_go_to_the_next() {
    const SIZE: usize = 64 * 1024;
    let payload = |n: u64| Bytes::from(n.to_be_bytes().repeat(SIZE / 8));
    let mut line = line(ConnectOptions::new()).await;
    line.client.flush().await.unwrap();
    line.proxy.freeze(Direction::ToServer);
    let mut accepted = 0;
    // Until the kernels' buffers and our mark are full. Pending means that nothing was published (D11).
    while let Ok(result) =
        tokio::time::timeout(Duration::from_millis(500), line.client.publish("a", payload(accepted))).await
    {
        result.unwrap();
        accepted += 1;
        assert!(accepted < 1000, "64 MiB without waiting");
    }
    let taken = match line.outage(0).await {
        ConnectionEvent::Disconnected { in_doubt, buffered, .. } => {
            assert_eq!(in_doubt + buffered, accepted);
            in_doubt
        }
        other => panic!("{other:?}"),
    };
    assert!(taken < accepted, "the mark is above the bytes that the transport took");
    line.proxy.unfreeze(Direction::ToServer);
    line.recovery(0).await;
    let _ = line.client.flush().await;
    soon("a flush", line.client.flush()).await.unwrap();
    let got: Vec<u64> = line
        .raw
        .received()
        .await
        .into_iter()
        .map(|message| {
            let n = u64::from_be_bytes(message.payload[..8].try_into().unwrap());
            assert!(message.payload == payload(n), "message {n} came changed");
            n
        })
        .collect();
    assert_eq!(got, (taken..accepted).collect::<Vec<_>>());
    let stats = line.client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.in_doubt, stats.lost.total(), stats.pending_bytes), (taken, 0, 0));
}

// D8, D11: while connected, publishing waits when the outbox is full, up to its deadline
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_to_a_server_that_reads_nothing_waits_and_then_fails() {
    let options =
        ConnectOptions::new().publish_timeout(Duration::from_millis(700)).write_timeout(Duration::from_secs(600));
    let mut line = line(options.ping_interval(Duration::from_secs(600))).await;
    line.client.flush().await.unwrap();
    line.proxy.freeze(Direction::ToServer);
    let payload = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut accepted = 0;
    let error = loop {
        match soon("an answer", line.client.publish("a", payload.clone())).await {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 1000, "64 MiB without waiting");
    };
    assert_eq!(error.kind(), PublishErrorKind::Send);
    assert!(matches!(error.source_as::<SendFault>(), Some(SendFault::NoRoom { .. })), "{error}");
    assert_eq!(line.client.try_publish("a", payload.clone()).unwrap_err().kind(), TryPublishErrorKind::NoRoom);
    assert_eq!(line.client.status(), Status::Connected);
    line.proxy.unfreeze(Direction::ToServer);
    assert_eq!(line.arrived().await.len(), accepted, "refused messages are not sent");
    assert_eq!(line.timeline.count(|event| matches!(event, ConnectionEvent::Disconnected { .. })), 0);
}

// Scenario 6: a stalled write ends the connection
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_byte_for_the_write_timeout_is_left() {
    let options =
        ConnectOptions::new().write_timeout(Duration::from_millis(500)).ping_interval(Duration::from_secs(600));
    let line = line(options).await;
    line.client.flush().await.unwrap();
    line.proxy.freeze(Direction::ToServer);
    let publisher = line.client.clone();
    let publishing = tokio::spawn(async move {
        let mut accepted = 0_u64;
        let payload = Bytes::from(vec![b'x'; 64 * 1024]);
        // More than the kernels' buffers, but less than these plus the cap of 8 MiB.
        while accepted < 300 {
            match publisher.publish("a", payload.clone()).await {
                Ok(()) => accepted += 1,
                Err(_) => break,
            }
        }
        accepted
    });
    let lost = line.timeline.disconnected(0).await;
    assert!(matches!(lost, ConnectionEvent::Disconnected { .. }));
    line.proxy.unfreeze(Direction::ToServer);
    line.timeline.reconnected(0).await;
    let accepted = within("publishing", SOON * 2, publishing).await.unwrap();
    let _ = line.client.flush().await;
    soon("a flush", line.client.flush()).await.unwrap();
    let stats = line.client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(stats.accepted, accepted);
    assert_eq!(stats.confirmed + stats.in_doubt, accepted, "{stats:?}");
}

// Scenario 79, promise 3
#[tokio::test]
async fn messages_buffered_when_the_client_gives_up_are_reported_lost() {
    let mut server = Server::start().await;
    let client = ConnectOptions::new().max_reconnects(3).connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    server.kill();
    timeline.disconnected(0).await;
    for n in 0..7 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    timeline.nth("GaveUp", 0, |event| matches!(event, ConnectionEvent::GaveUp { .. })).await;
    eventually("the loss is counted", SOON, async || client.stats().lost.closed == 7).await;
    let stats = client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(client.status(), Status::Disconnected);
    let reported = timeline.nth("Lost", 0, |event| matches!(event, ConnectionEvent::Lost { .. })).await;
    assert!(matches!(reported, ConnectionEvent::Lost { lost, .. } if lost.closed == 7), "{reported:?}");
}

// S18: reconnecting can be switched off
#[tokio::test]
async fn without_reconnecting_a_loss_ends_the_client() {
    let mut server = Server::start().await;
    let client = ConnectOptions::new().no_reconnect().connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe("a").await.unwrap();
    server.kill();
    timeline.disconnected(0).await;
    assert!(soon("the stream ends", own.next()).await.is_none());
    eventually("disconnected", SOON, async || client.status() == Status::Disconnected).await;
    let error = soon("an answer", client.publish("a", "x".into())).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Send);
    assert_eq!(timeline.count(|event| matches!(event, ConnectionEvent::Connecting { .. })), 0);
}
