//! Rows G: what programs that were written for async-nats find.

use std::sync::atomic::Ordering::Relaxed;

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::NotConnected;
use nats_lifeline::connection::Cause;
use nats_lifeline::{ConnectError, ConnectErrorKind, ConnectOptions};

use crate::support::fake::Fake;
use crate::support::ports::Ports;
use crate::support::{SOON, Server, eventually, soon};

// Fault G5: the counters were only ever read right after they had been obtained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_obtained_once_stay_current() {
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
    // Messages published during an outage count when the next connection has them; the remaining ones when the client
    // ends.
    server.kill();
    client.publish("a", "buffered".into()).await.unwrap();
    server.restart().await;
    soon("a message", own.next()).await.unwrap();
    assert_eq!((taken.out_messages.load(Relaxed), taken.connects.load(Relaxed)), (31, 2));
    client.publish("a", "last".into()).await.unwrap();
    soon("the end", client.close()).await.unwrap();
    eventually("the last is counted", SOON, async || taken.out_messages.load(Relaxed) == 32).await;
}

/// Connecting to these servers fails with an error that contains all `words`.
#[track_caller]
fn explained(options: ConnectOptions, servers: Vec<String>, words: &[&str]) -> impl Future<Output = ConnectError> {
    let caller = std::panic::Location::caller();
    async move {
        let error = soon("an error", options.connect(servers)).await.expect_err("no server is running");
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{caller}: {text:?} does not say {word:?}");
        }
        error
    }
}

// Fault G7: tests checked the kind of `connect`'s errors, but not the text.
#[tokio::test]
async fn an_error_of_connect_names_every_server_and_what_to_check() {
    let (one, two) = (Ports::reserve(), Ports::reserve());
    let [one, two] = [&one, &two].map(|ports| format!("127.0.0.1:{}", ports.client()));
    let in_order = || ConnectOptions::new().retain_servers_order();
    let error = explained(in_order(), vec![one.clone()], &[&one, "refused", "is the server running"]).await;
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    assert!(matches!(error.source_as(), Some(Cause::Io(io)) if io.kind() == std::io::ErrorKind::ConnectionRefused));
    explained(in_order(), vec![format!("nats://{one}"), two.clone()], &[&format!("{one}: "), &format!("; {two}: ")])
        .await;

    let web = Fake::start(|mut conversation, _| async move {
        conversation.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        conversation.ignore().await;
    })
    .await;
    let fake = web.url().replace("nats://", "");
    let error = explained(in_order(), vec![fake.clone(), one.clone()], &[&fake, "web server", "4222", &one]).await;
    let tried: Vec<_> = error.source_as::<NotConnected>().unwrap().attempts().map(|(server, _)| server).collect();
    assert_eq!(tried, [fake, one]);

    // The monitoring port of a real server waits for a request.
    let server = Server::start().await;
    let monitor = format!("127.0.0.1:{}", server.monitor_port());
    let short = in_order().connection_timeout(Duration::from_millis(500));
    let error = explained(short.clone(), vec![monitor.clone()], &[&monitor, "INFO", "sends first", "tls_first"]).await;
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut);
    let nowhere = "nobody.invalid:4222".to_owned();
    // If no name server answers, the error is a timeout.
    explained(short, vec![nowhere.clone()], &[&nowhere, "look"]).await;
}
