//! NKeys, JWTs and credentials files against real servers, valid and invalid ones; no secret is ever shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{CredsError, NKeyError};
use nats_lifeline::connection::{Cause, ConnectionEvent, Status};
use nats_lifeline::protocol::ErrKind;
use nats_lifeline::testing::Broker;
use nats_lifeline::{AuthError, ConnectErrorKind, ConnectOptions};

use crate::support::jwt::{Key, Kind, Operator, User};
use crate::support::{Server, Timeline, eventually, soon};

async fn works(options: ConnectOptions, server: &Server) {
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    client.publish("a", "x".into()).await.unwrap();
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "x");
}

/// Connecting fails with that kind; neither options nor error show any of the secrets.
#[track_caller]
fn refused(
    options: ConnectOptions,
    server: &Server,
    kind: ConnectErrorKind,
    secrets: &[&str],
) -> impl Future<Output = nats_lifeline::ConnectError> {
    let caller = std::panic::Location::caller();
    async move {
        let shown = format!("{options:?} {options:#?}");
        let error = soon("a refusal", options.connect(server.url())).await.expect_err("connecting fails");
        let shown = format!("{shown} {error} {error:?} {error:#?}");
        assert_eq!(error.kind(), kind, "{caller}: {error}");
        for secret in secrets {
            assert!(!shown.contains(secret), "{caller}: a secret is shown: {shown}");
        }
        error
    }
}

/// A file that is removed on drop.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn signing(user: &User) -> impl Fn(Vec<u8>) -> std::future::Ready<Result<Vec<u8>, AuthError>> + Send + Sync + 'static {
    let key = Arc::new(Key::from_seed_of(&user.key));
    move |nonce| std::future::ready(Ok(key.sign(&nonce)))
}

// P9, S43
#[tokio::test]
async fn an_nkey_is_accepted_and_another_is_not() {
    let (key, other) = (Key::new(Kind::User), Key::new(Kind::User));
    let server =
        Server::builder().line(format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public())).start().await;
    works(ConnectOptions::with_nkey(key.seed()), &server).await;
    works(ConnectOptions::new().nkey(format!(" {}\n", key.seed())), &server).await;
    let seed = other.seed();
    refused(ConnectOptions::with_nkey(seed.clone()), &server, ConnectErrorKind::AuthorizationViolation, &[&seed]).await;
    refused(ConnectOptions::new(), &server, ConnectErrorKind::AuthorizationViolation, &[]).await;
    // An invalid seed is found before any server is dialled.
    let account = Key::new(Kind::Account).seed();
    let error =
        refused(ConnectOptions::with_nkey(account.clone()), &server, ConnectErrorKind::Authentication, &[&account])
            .await;
    assert_eq!(error.source_as::<NKeyError>(), Some(&NKeyError::NotAUser));
    let broken = seed.replace(&seed[20..24], "AAAA");
    let error =
        refused(ConnectOptions::with_nkey(broken.clone()), &server, ConnectErrorKind::Authentication, &[&broken]).await;
    assert_eq!(error.source_as::<NKeyError>(), Some(&NKeyError::Checksum));
}

/// Which of these get in.
async fn accepted(url: String, options: Vec<ConnectOptions>) -> Vec<bool> {
    let mut outcomes = Vec::new();
    for options in options {
        let outcome = soon("an outcome", options.connect(url.clone())).await;
        if let Err(error) = &outcome {
            assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation, "{error}");
        }
        outcomes.push(outcome.is_ok());
    }
    outcomes
}

// P9
#[tokio::test]
async fn the_broker_for_tests_accepts_and_refuses_the_same_keys_as_a_server() {
    let (key, other) = (Key::new(Kind::User), Key::new(Kind::User));
    let logins =
        || [key.seed(), other.seed()].into_iter().map(ConnectOptions::with_nkey).chain([ConnectOptions::new()]);
    let line = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public());
    let server = Server::builder().line(line).start().await;
    let broker = Broker::builder().nkey(key.public()).start().await.unwrap();
    for url in [server.url(), broker.url()] {
        assert_eq!(accepted(url, logins().collect()).await, [true, false, false]);
    }

    let operator = Operator::new();
    let (user, other, stranger) = (operator.user(None), operator.user(None), Operator::new().user(None));
    let logins = || {
        let forged = stranger.jwt.rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
        vec![
            ConnectOptions::with_credentials(&user.creds()).unwrap(),
            ConnectOptions::with_credentials(&stranger.creds()).unwrap(),
            ConnectOptions::with_jwt(user.jwt.clone(), signing(&other)),
            ConnectOptions::with_jwt(forged, signing(&stranger)),
            ConnectOptions::with_nkey(user.key.seed()),
            ConnectOptions::new(),
        ]
    };
    let server = operator.server(&[]).start().await;
    let broker = Broker::builder().account(operator.account()).start().await.unwrap();
    for url in [server.url(), broker.url()] {
        assert_eq!(accepted(url, logins()).await, [true, false, false, false, false, false]);
    }
}

// P9
#[tokio::test]
async fn a_server_that_asks_for_no_key_gets_no_signature() {
    let server = Server::start().await;
    works(ConnectOptions::with_nkey(Key::new(Kind::User).seed()), &server).await;
}

// P9, S43
#[tokio::test]
async fn a_jwt_with_its_signature_is_accepted_and_a_wrong_one_is_not() {
    let operator = Operator::new();
    let server = operator.server(&[]).start().await;
    let user = operator.user(None);
    works(ConnectOptions::with_jwt(user.jwt.clone(), signing(&user)), &server).await;
    // Signed by another key; of another operator; without a signature.
    let violation = ConnectErrorKind::AuthorizationViolation;
    let other = operator.user(None);
    refused(ConnectOptions::with_jwt(user.jwt.clone(), signing(&other)), &server, violation, &[&user.jwt]).await;
    let stranger = Operator::new().user(None);
    let options = ConnectOptions::with_jwt(stranger.jwt.clone(), signing(&stranger));
    refused(options, &server, violation, &[&stranger.jwt]).await;
    let options = ConnectOptions::with_jwt(user.jwt.clone(), |_| async { Err(AuthError::new("the vault is closed")) });
    let error = refused(options, &server, ConnectErrorKind::Authentication, &[&user.jwt]).await;
    assert!(error.to_string().contains("the vault is closed"), "{error}");
    let options = ConnectOptions::with_jwt(user.jwt.clone(), |_| async { panic!("as a signer may") });
    let error = refused(options, &server, ConnectErrorKind::Authentication, &[&user.jwt]).await;
    assert!(error.to_string().contains("panicked"), "{error}");
}

// P9: expired and revoked
#[tokio::test]
async fn a_jwt_that_has_expired_or_was_revoked_is_refused() {
    let operator = Operator::new();
    let revoked = operator.user(None);
    let server = operator.server(&[revoked.key.public()]).start().await;
    let violation = ConnectErrorKind::AuthorizationViolation;
    for user in [operator.user(Some(-60)), revoked] {
        let options = ConnectOptions::with_credentials(&user.creds()).unwrap();
        let error = refused(options, &server, violation, &[&user.jwt, &user.key.seed()]).await;
        assert!(error.source_as::<Cause>().unwrap().is_auth(), "{error}");
    }
}

// P9: CONNECT is a control line, and contains the JWT
#[tokio::test]
async fn a_jwt_that_is_too_long_for_the_server_is_refused_with_that_reason() {
    let user = Operator::new().user(None);
    let long = "x".repeat(5000);
    let options = || ConnectOptions::with_jwt(long.clone(), signing(&user));
    let server = Server::start().await;
    let error = refused(options(), &server, ConnectErrorKind::Io, &[&long]).await;
    assert!(error.to_string().contains("maximum control line exceeded"), "{error}");
    let server = Server::builder().max_control_line(8192).start().await;
    works(options(), &server).await;
}

// P9: credentials as text and as a file
#[tokio::test]
async fn credentials_are_read_from_text_and_from_a_file() {
    let operator = Operator::new();
    let server = operator.server(&[]).start().await;
    let user = operator.user(Some(3600));
    works(ConnectOptions::with_credentials(&user.creds()).unwrap(), &server).await;
    works(ConnectOptions::new().credentials(&user.creds()).unwrap(), &server).await;
    let file = File::new("good.creds", &user.creds());
    works(ConnectOptions::with_credentials_file(&file.0).await.unwrap(), &server).await;
    works(ConnectOptions::new().credentials_file(&file.0).await.unwrap(), &server).await;

    let error = ConnectOptions::with_credentials_file("/nowhere/at-all.creds").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().starts_with("/nowhere/at-all.creds: "), "{error}");
    let seed = user.key.seed();
    for (text, fault) in [
        (seed.clone(), CredsError::NoJwt),
        (user.creds().replace(&seed, "SUNOTASEED"), CredsError::Seed(NKeyError::NotASeed)),
    ] {
        let bad = File::new("bad.creds", &text);
        let error = ConnectOptions::with_credentials_file(&bad.0).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(error.get_ref().unwrap().downcast_ref::<CredsError>(), Some(&fault));
        let shown = format!("{error} {error:?} {:?}", ConnectOptions::with_credentials(&text).unwrap_err());
        assert!(!shown.contains(&seed) && !shown.contains("SUNOTASEED"), "{shown}");
    }
}

// Scenario 18: P9, read again at each connect
#[tokio::test]
async fn a_connection_with_an_expired_jwt_reconnects_with_the_new_file() {
    let operator = Operator::new();
    let server = operator.server(&[]).start().await;
    // Too short to be renewed in time.
    let user = operator.user(Some(3));
    let file = File::new("expires.creds", &user.creds());
    let options = ConnectOptions::with_credentials_file(&file.0).await.unwrap();
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    // In the second in which a JWT expires, a server still accepts it, and closes immediately because it has expired.
    let refused =
        |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { cause, .. } if cause.is_auth());
    let lost = |event: &ConnectionEvent| {
        matches!(event, ConnectionEvent::Disconnected { cause: Cause::Server(ErrKind::UserAuthenticationExpired), .. })
    };
    timeline.nth("the server says that it has expired", 0, lost).await;
    // The file may be renewed late: the only server is not given up after the second refusal.
    timeline.nth("the old file does not help", 4, refused).await;
    fs::write(&file.0, operator.user(Some(3600)).creds()).unwrap();
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap();
}

// P9: with the option, a lasting refusal removes the only server, and is the cause
#[tokio::test]
async fn a_client_whose_pool_is_empty_ends_with_the_refusal() {
    let operator = Operator::new();
    let mut server = operator.server(&[]).start().await;
    let user = operator.user(None);
    let options = ConnectOptions::with_credentials(&user.creds()).unwrap();
    let options = options.give_up_on_auth_error_after(Duration::from_millis(100));
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    server.kill();
    server.restart_as(operator.server(&[user.key.public()])).await;
    let over = |event: &ConnectionEvent| {
        matches!(event, ConnectionEvent::GaveUp { cause: Cause::Server(ErrKind::AuthorizationViolation), .. })
    };
    timeline.nth("the end of the search", 0, over).await;
    eventually("nothing is sought", Duration::from_secs(10), async || client.status() == Status::Disconnected).await;
    let refusals =
        timeline.count(|event| matches!(event, ConnectionEvent::AttemptFailed { cause, .. } if cause.is_auth()));
    assert!(refusals >= 2, "{refusals}");
}

// N10
#[tokio::test]
async fn credentials_are_renewed_before_they_expire_without_an_error_in_between() {
    let operator = Operator::new();
    let server = operator.server(&[]).start().await;
    let file = File::new("renewed.creds", &operator.user(Some(6)).creds());
    let options = ConnectOptions::with_credentials_file(&file.0).await.unwrap();
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    let received = Arc::new(AtomicUsize::new(0));
    let mut own = client.subscribe("beat").await.unwrap();
    fs::write(&file.0, operator.user(Some(3600)).creds()).unwrap();
    let counter = Arc::clone(&received);
    let reading = tokio::spawn(async move {
        while own.next().await.is_some() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut sent = 0;
    let beating = async {
        loop {
            client.publish("beat", "x".into()).await.unwrap();
            sent += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = beating => {}
        () = async { timeline.reconnected(0).await; } => {}
    }
    // After the expiry of the old one.
    tokio::time::sleep(Duration::from_secs(3)).await;
    soon("a flush", client.flush()).await.unwrap();
    let lost = timeline.count(|event| matches!(event, ConnectionEvent::Disconnected { .. }));
    let failed = timeline
        .count(|event| matches!(event, ConnectionEvent::AttemptFailed { .. } | ConnectionEvent::ServerError { .. }));
    assert_eq!((lost, failed), (1, 0), "{:#?}", timeline.all());
    let stats = client.stats();
    assert_eq!((stats.confirmed, stats.in_doubt, stats.errors), (sent, 0, 0), "{stats:?}");
    reading.abort();
}
