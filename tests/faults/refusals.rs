//! What a server refuses: messages, subscriptions, and floods of `-ERR`.

use std::io::{Read, Write};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{PublishOutcome, SendFault};
use nats_lifeline::options::{DeliveryMode, RepliesOptions};
use nats_lifeline::protocol::{ErrKind, Violation};
use nats_lifeline::{Client, ConnectOptions, Request, RequestError, RequestErrorKind};

use crate::support::fake::INFO;
use crate::support::{Server, soon};

const HOUR: Duration = Duration::from_secs(3600);

/// A client of a server that forbids `no.>`.
async fn restricted(options: ConnectOptions) -> (Server, Client) {
    let users = r#"authorization { users: [ { user: "u", password: "p", permissions: {
                     publish: { deny: "no.>" }, subscribe: ">" } } ] }"#;
    let server = Server::builder().line(users).observer(r#""user":"u","pass":"p""#).start().await;
    let options = options.user_and_password("u".into(), "p".into()).request_timeout(Some(HOUR));
    let client = options.flush_timeout(HOUR).connect(server.url()).await.unwrap();
    (server, client)
}

fn check(error: &RequestError) {
    assert_eq!(error.kind(), RequestErrorKind::Other, "{error}");
    assert!(error.to_string().contains("\"no.way\""), "{error}");
    let Some(SendFault::Refused { error: ErrKind::PermissionsViolation(Violation::Publish { subject }) }) =
        error.source_as()
    else {
        panic!("{error:?}")
    };
    assert_eq!(subject.as_str(), "no.way");
}

// Fault C1. Our tests of permissions covered only subscriptions.
#[tokio::test]
async fn a_request_to_a_forbidden_subject_fails_immediately_and_names_it() {
    let (_server, client) = restricted(ConnectOptions::new()).await;
    let mut answers = client.subscribe("yes").await.unwrap();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.request("yes", "".into()).await }
    });
    let question = soon("a question", answers.next()).await.unwrap();
    check(&soon("a refusal", client.request("no.way", "".into())).await.unwrap_err());
    let inbox = Request::new().inbox("somewhere".into());
    check(&soon("a refusal", client.send_request("no.way", inbox)).await.unwrap_err());
    let mut replies =
        soon("acceptance", client.request_stream("no.way", "".into(), RepliesOptions::new())).await.unwrap();
    check(&soon("a refusal", replies.next()).await.unwrap().unwrap_err());
    // The other request is not affected.
    client.publish(question.reply.unwrap(), "fine".into()).await.unwrap();
    assert_eq!(soon("a reply", asking).await.unwrap().unwrap().payload, "fine");
    assert!(client.stats().balances());
}

// Fault C1
#[tokio::test]
async fn a_confirmed_publish_to_a_forbidden_subject_is_returned_as_refused() {
    for mode in [DeliveryMode::AtMostOnce, DeliveryMode::AtLeastOnce] {
        let (_server, client) = restricted(ConnectOptions::new().delivery(mode)).await;
        let (no, yes) = (client.publish_confirmed("no.way", "1".into()), client.publish_confirmed("yes", "2".into()));
        let (no, yes) = soon("outcomes", async { tokio::join!(no, yes) }).await;
        assert!(yes.is_confirmed(), "{yes:?}");
        let PublishOutcome::NotSent { message, error, .. } = no else { panic!("{no:?}") };
        assert_eq!((message.subject.as_str(), &message.payload[..]), ("no.way", &b"1"[..]));
        assert!(error.to_string().contains("\"no.way\""), "{error}");
        assert!(matches!(error.source_as(), Some(SendFault::Refused { .. })), "{error:?}");
        client.publish("no.way", "3".into()).await.unwrap();
        soon("a flush", client.flush()).await.unwrap();
        let stats = client.stats();
        assert!(stats.balances(), "{stats:?}");
        assert_eq!((stats.confirmed, stats.lost.refused, stats.in_doubt), (1, 2, 0), "{stats:?}");
    }
}

// Fault C1: closing reports it too.
#[tokio::test]
async fn closing_reports_a_message_that_was_refused() {
    let (_server, client) = restricted(ConnectOptions::new()).await;
    client.publish("no.way", "1".into()).await.unwrap();
    let report = soon("the end", client.close()).await.unwrap_err().report();
    assert_eq!((report.lost.refused, report.in_doubt, report.completed), (1, 0, true));
}

// Fault H4. The cost of the task's polls was limited in bytes, and tested with messages.
#[tokio::test]
async fn a_flood_of_errors_lets_other_tasks_run_on_one_thread() {
    const ERRORS: u64 = 200_000;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let flood = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(INFO.as_bytes()).unwrap();
        let mut heard = [0; 4096];
        let _ = stream.read(&mut heard).unwrap();
        stream.write_all(b"PONG\r\n").unwrap();
        stream.write_all(&b"-ERR 'x'\r\n".repeat(ERRORS as usize)).unwrap();
        stream
    });
    let client = ConnectOptions::new().connect(format!("127.0.0.1:{port}")).await.unwrap();
    // A task beside the connection's. The main future runs only now and then.
    let watching = client.clone();
    let turns = tokio::spawn(async move {
        let mut turns = 0;
        while watching.stats().errors < ERRORS {
            tokio::task::yield_now().await;
            turns += 1;
        }
        turns
    });
    let turns = soon("all errors", turns).await.unwrap();
    assert!(turns > ERRORS / 2000, "{turns} turns in {ERRORS} errors");
    drop(flood.join().unwrap());
}

// Fault C3: many requests that are refused, beside many pending ones.
#[tokio::test]
async fn each_of_many_requests_is_refused() {
    let (_server, client) = restricted(ConnectOptions::new()).await;
    let mut answers = client.subscribe("yes").await.unwrap();
    let asking: Vec<_> = (0..2000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.request("yes", "".into()).await })
        })
        .collect();
    let refused: Vec<_> = (0..2000)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.request(format!("no.{number}"), "".into()).await })
        })
        .collect();
    for (number, refused) in refused.into_iter().enumerate() {
        let error = soon("a refusal", refused).await.unwrap().unwrap_err();
        assert!(error.to_string().contains(&format!("\"no.{number}\"")), "{error}");
    }
    for _ in 0..asking.len() {
        let question = soon("a question", answers.next()).await.unwrap();
        client.publish(question.reply.unwrap(), "fine".into()).await.unwrap();
    }
    for asking in asking {
        assert_eq!(soon("a reply", asking).await.unwrap().unwrap().payload, "fine");
    }
}
