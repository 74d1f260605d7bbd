//! Credentials from a callback: called on every attempt, with its details, and without delaying anything else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nats_lifeline::client::AuthRequest;
use nats_lifeline::connection::Cause;
use nats_lifeline::{Auth, AuthError, ClientError, ConnectErrorKind, ConnectOptions, Event};

use crate::support::{CallbackLog, Server, soon};

const SECRET: &str = "s3cr3t-Passw0rd";

fn derek() -> Auth {
    let mut auth = Auth::new();
    auth.username = Some("derek".to_owned());
    auth.password = Some(SECRET.to_owned());
    auth
}

// P9
#[tokio::test]
async fn the_callback_is_called_for_each_connection() {
    let mut server = Server::builder().user_and_password("derek", SECRET).start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let log = CallbackLog::new();
    let options = ConnectOptions::with_auth_callback(move |nonce| {
        assert!(nonce.is_empty(), "this server wants nothing signed");
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok(derek()) }
    });
    let client = options.event_callback(log.callback()).connect(server.url()).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    server.kill();
    server.restart().await;
    log.times(Event::Connected, 2).await;
    assert!(asked.load(Ordering::Relaxed) >= 2);
    drop(client);
}

// Scenario 19
#[tokio::test]
async fn a_callback_that_fails_once_during_a_reconnect_is_called_again() {
    let mut server = Server::builder().user_and_password("derek", SECRET).start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let log = CallbackLog::new();
    let options = ConnectOptions::with_auth_callback(move |_nonce| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        async move { if number == 1 { Err(AuthError::new("the vault is closed")) } else { Ok(derek()) } }
    });
    let client = options.event_callback(log.callback()).connect(server.url()).await.unwrap();
    server.kill();
    server.restart().await;
    log.times(Event::Connected, 2).await;
    assert!(asked.load(Ordering::Relaxed) >= 3);
    let reported = |event: &Event| matches!(event, Event::ClientError(ClientError::Other(text)) if text.contains("the vault is closed"));
    assert!(log.count(reported) >= 1, "{:?}", log.all());
    drop(client);
}

// P9: it gets the server, the attempt and the last error
#[tokio::test]
async fn the_callback_gets_the_attempt() {
    let mut server = Server::builder().user_and_password("derek", SECRET).start().await;
    let requests: Arc<Mutex<Vec<AuthRequest>>> = Arc::default();
    let log = CallbackLog::new();
    let notes = Arc::clone(&requests);
    let options = ConnectOptions::new().authenticate_with(move |request| {
        notes.lock().unwrap().push(request);
        async { Ok(derek()) }
    });
    let client = options.event_callback(log.callback()).connect(server.url()).await.unwrap();
    server.kill();
    server.restart().await;
    log.times(Event::Connected, 2).await;
    let requests = requests.lock().unwrap();
    assert_eq!((requests[0].server.as_str(), requests[0].attempt), (server.address().as_str(), 1));
    assert!(requests[0].last_error.is_none());
    let last = requests.last().unwrap();
    assert!(last.attempt >= 1 && matches!(last.last_error, Some(Cause::ClosedByServer | Cause::Io(_))), "{last:?}");
    drop(client);
}

// P9: only the callback's credentials are sent
#[tokio::test]
async fn only_the_callbacks_credentials_are_sent() {
    let server = Server::builder().user_and_password("derek", SECRET).start().await;
    let options = || {
        ConnectOptions::with_auth_callback(|_| async { Ok(Auth::new()) })
            .user_and_password("derek".to_owned(), SECRET.to_owned())
    };
    let error = options().connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation, "{error}");
    let url = format!("nats://derek:{SECRET}@{}", server.address());
    let error = options().connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation, "{error}");
}

// P9
#[tokio::test]
async fn a_callback_that_errs_panics_or_hangs_fails_the_attempt_and_is_named() {
    let server = Server::builder().user_and_password("derek", SECRET).start().await;
    let fails = ConnectOptions::with_auth_callback(|_| async { Err(AuthError::new("no vault")) });
    let error = soon("an answer", fails.connect(server.url())).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Authentication);
    assert!(error.to_string().contains("no vault"), "{error}");
    assert!(error.to_string().starts_with("failed signing nonce"), "{error}");
    let panics = ConnectOptions::with_auth_callback(|_| async { panic!("as callbacks may") });
    let error = soon("an answer", panics.connect(server.url())).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Authentication);
    let hangs =
        ConnectOptions::with_auth_callback(|_| std::future::pending()).connection_timeout(Duration::from_millis(300));
    let error = soon("an answer", hangs.connect(server.url())).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut);
    assert!(error.to_string().contains("waiting for credentials"), "{error}");
    // The server's timeout is shorter than ours: it reports it, which is not a refusal of credentials (fault B2).
    let hangs = ConnectOptions::with_auth_callback(|_| std::future::pending());
    let error = soon("an answer", hangs.connect(server.url())).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("Authentication Timeout"), "{error}");
}

// P9: a callback that blocks its thread delays nothing else
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_callback_that_blocks_does_not_delay_the_client() {
    let server = Server::builder().line("authorization { timeout: 10, user: derek, password: pw }").start().await;
    let client = ConnectOptions::with_auth_callback(|_| async {
        std::thread::sleep(Duration::from_millis(700));
        let mut auth = Auth::new();
        auth.username = Some("derek".to_owned());
        auth.password = Some("pw".to_owned());
        Ok(auth)
    })
    .retry_on_initial_connect()
    .connect(server.url());
    let client = soon("a handle", client).await.unwrap();
    let asked = std::time::Instant::now();
    client.publish("a", "buffered".into()).await.unwrap();
    assert_eq!(client.server_pool().await.unwrap().len(), 1);
    assert!(asked.elapsed() < Duration::from_millis(600), "calls still return");
    soon("a flush", client.flush()).await.unwrap();
}

// Hard limits: secrets are never in Debug
#[tokio::test]
async fn the_callbacks_credentials_are_never_shown() {
    let mut auth = derek();
    (auth.jwt, auth.token, auth.signature) = (Some("jwt".into()), Some("tok".into()), Some(b"sig".to_vec()));
    let shown = format!("{auth:?} {auth:#?}");
    for secret in [SECRET, "\"jwt\"", "tok\"", "115, 105"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(format!("{:?} {}", AuthError::new("x"), AuthError::new("x")), "AuthError(x) AuthError(x)");
}
