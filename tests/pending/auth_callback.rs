//! Credentials from a callback. Move it up to `tests/` when `ConnectOptions::with_auth_callback` is there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use nats_lifeline::{Auth, AuthError, ConnectOptions, Event};
use support::{CallbackLog, Server};

const SECRET: &str = "s3cr3t-Passw0rd";

// P9
#[tokio::test]
async fn the_callback_is_asked_for_each_connection() {
    let mut server = Server::builder().user_and_password("derek", SECRET).start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let log = CallbackLog::new();
    let client = ConnectOptions::with_auth_callback(move |_nonce| {
        counter.fetch_add(1, Ordering::Relaxed);
        async {
            let mut auth = Auth::new();
            auth.username = Some("derek".to_owned());
            auth.password = Some(SECRET.to_owned());
            Ok(auth)
        }
    })
    .event_callback(log.callback())
    .connect(server.url())
    .await
    .unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    server.kill();
    server.restart().await;
    log.times(Event::Connected, 2).await;
    assert!(asked.load(Ordering::Relaxed) >= 2);
    drop(client);
}

// SCENARIOS 19
#[tokio::test]
async fn a_callback_that_fails_once_during_a_reconnect_is_asked_again() {
    let mut server = Server::builder().user_and_password("derek", SECRET).start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let log = CallbackLog::new();
    let client = ConnectOptions::with_auth_callback(move |_nonce| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            if number == 1 {
                return Err(AuthError::new("the vault is closed"));
            }
            let mut auth = Auth::new();
            auth.username = Some("derek".to_owned());
            auth.password = Some(SECRET.to_owned());
            Ok(auth)
        }
    })
    .event_callback(log.callback())
    .connect(server.url())
    .await
    .unwrap();
    server.kill();
    server.restart().await;
    log.times(Event::Connected, 2).await;
    assert!(asked.load(Ordering::Relaxed) >= 3);
    drop(client);
}
