//! The first connection with a limit of attempts, against real servers.

use std::time::Duration;

use nats_lifeline::client::NotConnected;
use nats_lifeline::options::{Backoff, Jitter};
use nats_lifeline::{ConnectErrorKind, ConnectOptions};

use crate::support::{Proxy, SOON, Server, eventually, soon};

/// 20 ms and up to 10 ms more after each failure.
fn options() -> ConnectOptions {
    let jitter = Jitter::Added(Duration::from_millis(10));
    ConnectOptions::new()
        .retain_servers_order()
        .backoff(Backoff { jitter, ..Backoff::fixed(Duration::from_millis(20)) })
}

// S22
#[tokio::test]
async fn after_its_attempts_connect_names_their_number_and_each_servers_last_error() {
    let refusing = Server::builder().user_and_password("joe", "hunter2").start().await;
    let nobody = Proxy::start(refusing.port()).await;
    nobody.refuse().await;
    let (refusing, nobody) = (refusing.address(), format!("127.0.0.1:{}", nobody.port()));
    let connecting = options().connect_attempts(7).connect(vec![nobody.clone(), refusing.clone()]);
    let error = soon("the end of the attempts", connecting).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::MaxReconnects);
    let tried = error.source_as::<NotConnected>().unwrap();
    assert_eq!(tried.total_attempts(), 7);
    let attempts: Vec<_> = tried.attempts().map(|(server, cause)| (server.to_owned(), cause.to_string())).collect();
    assert_eq!(attempts.len(), 2, "{error}");
    assert_eq!((&attempts[0].0, &attempts[1].0), (&nobody, &refusing));
    assert!(attempts[0].1.contains("refused"), "{error}");
    assert!(attempts[1].1.contains("Authorization Violation"), "{error}");
    let text = error.to_string();
    let beginning = format!("reached maximum number of reconnects: after 7 attempts: {nobody}: ");
    assert!(text.starts_with(&beginning) && text.contains(&format!("; {refusing}: ")), "{text}");
}

// S22
#[tokio::test]
async fn one_attempt_is_not_enough_for_two_servers() {
    let server = Server::start().await;
    let nobody = Proxy::start(server.port()).await;
    nobody.refuse().await;
    let servers = vec![format!("127.0.0.1:{}", nobody.port()), server.url()];
    let error = soon("an error", options().connect_attempts(1).connect(servers.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::MaxReconnects);
    assert_eq!(error.source_as::<NotConnected>().unwrap().total_attempts(), 1);
    let client = soon("a connection", options().connect_attempts(2).connect(servers)).await.unwrap();
    assert_eq!(client.server_info().port, server.port());
}

// S22
#[tokio::test]
async fn a_server_that_comes_up_within_the_attempts_is_found() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    proxy.refuse().await;
    let url = format!("nats://127.0.0.1:{}", proxy.port());
    // Without the option the first refusal is final, and its kind is that of the refusal.
    let error = soon("an error", options().connect(&url)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    let connecting = tokio::spawn(options().connect_attempts(100_000).connect(url));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!connecting.is_finished());
    proxy.admit().await;
    let client = soon("a connection", connecting).await.unwrap().unwrap();
    soon("a round trip", client.flush()).await.unwrap();
    eventually("it is counted once", SOON, async || server.connections().len() == 1).await;
}
