//! Rows B: refused credentials, and files that cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use nats_lifeline::connection::{ConnectionEvent, Status};
use nats_lifeline::{ConnectErrorKind, ConnectOptions};

use crate::support::fake::{Conversation, Fake, INFO};
use crate::support::{SOON, Timeline, eventually, soon};

/// Serves the first connection for a moment, then refuses with each text of `refusals`, then serves again.
async fn refusing(refusals: &'static [&'static str]) -> (Fake, Arc<AtomicU8>) {
    let served = Arc::new(AtomicU8::new(0));
    let count = Arc::clone(&served);
    let fake = Fake::start(move |mut conversation: Conversation, number| {
        let count = Arc::clone(&count);
        async move {
            if number == 0 {
                if conversation.handshake().await {
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1200)).await;
                }
                return;
            }
            if let Some(text) = refusals.get(number - 1) {
                conversation.say(INFO).await;
                while conversation.hear().await.is_some_and(|line| line != "PING") {}
                return conversation.say(format!("-ERR '{text}'\r\n")).await;
            }
            if conversation.handshake().await {
                count.fetch_add(1, Ordering::Relaxed);
                conversation.serve().await;
            }
        }
    })
    .await;
    (fake, served)
}

// Faults B2, B3: no test had a server that accepts a client after having refused it; ours only counted the refusals.
#[tokio::test]
async fn a_server_that_refuses_for_a_while_is_tried_again() {
    for refusals in [
        ["Authentication Timeout"; 3].as_slice(),
        ["Account Authentication Expired"; 4].as_slice(),
        ["Authorization Violation"; 4].as_slice(),
        ["User Authentication Revoked", "User Authentication Revoked", "Authorization Violation"].as_slice(),
    ] {
        let (fake, served) = refusing(refusals).await;
        let client = soon("a connection", ConnectOptions::new().connect(fake.url())).await.unwrap();
        let timeline = Timeline::of(&client);
        for (nth, text) in refusals.iter().enumerate() {
            let failed = timeline.nth(text, nth, |event| matches!(event, ConnectionEvent::AttemptFailed { .. })).await;
            let ConnectionEvent::AttemptFailed { cause, retry_in, .. } = failed else { unreachable!() };
            assert_eq!(cause.to_string(), format!("server error: {text}"));
            assert!(retry_in > Duration::ZERO, "no wait before the next attempt");
        }
        timeline.reconnected(0).await;
        assert_eq!((client.status(), served.load(Ordering::Relaxed)), (Status::Connected, 2));
    }
}

// Fault B3: what a user sees in the meantime.
#[tokio::test]
async fn the_cause_of_a_refusal_is_visible_while_it_lasts() {
    let (fake, _) = refusing(&["Account Authentication Expired"; 200]).await;
    let client = soon("a connection", ConnectOptions::new().connect(fake.url())).await.unwrap();
    eventually("the health names it", SOON, async || {
        client.health_snapshot().last_error.is_some_and(|error| error.contains("Account Authentication Expired"))
    })
    .await;
    assert_eq!(client.status(), Status::Reconnecting);
    let log = client.recovery_log();
    let seen = log.last().and_then(|line| line.last_failure.clone()).unwrap_or_default();
    assert!(seen.contains("Account Authentication Expired"), "{log:?}");
}

// Fault B2: the first connection fails immediately, with the right kind.
#[tokio::test]
async fn connect_reports_a_refusal_and_a_slow_line_by_their_kinds() {
    for (text, kind) in [
        ("Authorization Violation", ConnectErrorKind::AuthorizationViolation),
        ("Account Authentication Expired", ConnectErrorKind::AuthorizationViolation),
        ("Authentication Timeout", ConnectErrorKind::TimedOut),
    ] {
        let fake = Fake::start(move |mut conversation: Conversation, _| async move {
            conversation.say(INFO).await;
            conversation.hear().await;
            conversation.say(format!("-ERR '{text}'\r\n")).await;
        })
        .await;
        let error = soon("a refusal", ConnectOptions::new().connect(fake.url())).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(fake.accepted().len(), 1);
    }
}
