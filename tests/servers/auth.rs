//! Credentials: what is sent, what happens when they are refused, and that no secret is ever shown.

use futures_util::StreamExt;
use nats_lifeline::{ConnectErrorKind, ConnectOptions, Event, ServerAddr};

use crate::support::{CallbackLog, Cluster, SOON, Server, eventually, soon};

const SECRET: &str = "s3cr3t-Passw0rd";

async fn works(options: ConnectOptions, addrs: impl nats_lifeline::ToServerAddrs) {
    let client = soon("a connection", options.connect(addrs)).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    client.publish("a", "x".into()).await.unwrap();
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "x");
}

async fn refused(options: ConnectOptions, addrs: impl nats_lifeline::ToServerAddrs) {
    let shown = format!("{options:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("wrong-one"), "{shown}");
    let error = soon("a refusal", options.connect(addrs)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation, "{error}");
    let shown = format!("{error} {error:?} {error:#?}");
    assert!(!shown.contains(SECRET) && !shown.contains("wrong-one"), "{shown}");
}

// P9, S43
#[tokio::test]
async fn user_and_password_are_accepted_and_wrong_ones_are_not() {
    let server = Server::builder().user_and_password("derek", SECRET).start().await;
    let new = ConnectOptions::new;
    works(ConnectOptions::with_user_and_password("derek".into(), SECRET.into()), server.url()).await;
    works(new().user_and_password("derek".into(), SECRET.into()), server.url()).await;
    refused(new().user_and_password("derek".into(), "wrong-one".into()), server.url()).await;
    refused(new().user_and_password("erik".into(), SECRET.into()), server.url()).await;
    refused(new().token(SECRET.into()), server.url()).await;
    refused(new(), server.url()).await;
}

// P9, S43
#[tokio::test]
async fn a_token_is_accepted_and_a_wrong_one_is_not() {
    let server = Server::builder().token(SECRET).start().await;
    works(ConnectOptions::with_token(SECRET.into()), server.url()).await;
    works(ConnectOptions::new().token(SECRET.into()), server.url()).await;
    refused(ConnectOptions::new().token("wrong-one".into()), server.url()).await;
    refused(ConnectOptions::new(), server.url()).await;
}

// P9
#[tokio::test]
async fn credentials_may_be_in_the_url() {
    let server = Server::builder().user_and_password("derek", "p@ss:/w%rd").start().await;
    let at = server.address();
    works(ConnectOptions::new(), format!("nats://derek:p%40ss%3A%2Fw%25rd@{at}")).await;
    refused(ConnectOptions::new(), format!("nats://derek:wrong-one@{at}")).await;
    let server = Server::builder().token(SECRET).start().await;
    let at = server.address();
    works(ConnectOptions::new(), format!("nats://{SECRET}@{at}")).await;
    refused(ConnectOptions::new(), format!("nats://wrong-one@{at}")).await;
}

// P9
#[tokio::test]
async fn credentials_in_the_url_survive_a_reconnect_and_gossip() {
    let mut cluster = Cluster::start_as(3, Server::builder().user_and_password("derek", SECRET)).await;
    let seed = format!("nats://derek:{SECRET}@{}", cluster.servers[0].address());
    let log = CallbackLog::new();
    let client = ConnectOptions::new().event_callback(log.callback()).connect(seed).await.unwrap();
    eventually("gossip has come", SOON, async || client.server_pool().await.unwrap().len() == 3).await;
    cluster.servers[0].kill();
    log.times(Event::Connected, 2).await;
    assert_ne!(client.server_info().port, cluster.servers[0].port());
}

// Hard limits: secrets are never in Debug, logs or errors
#[tokio::test]
async fn no_secret_is_ever_shown() {
    let server = Server::builder().user_and_password("derek", SECRET).start().await;
    let url = format!("nats://derek:{SECRET}@{}", server.address());
    let address: ServerAddr = url.parse().unwrap();
    let options = ConnectOptions::new().user_and_password("derek".into(), SECRET.into()).token(SECRET.into());
    let shown = format!("{address:?} {options:?} {options:#?}");
    assert!(!shown.contains(SECRET), "{shown}");
    let client = ConnectOptions::new().connect(url).await.unwrap();
    let pool = client.server_pool().await.unwrap();
    let shown = format!("{client:?} {client:#?} {pool:?} {:?}", client.server_info());
    assert!(!shown.contains(SECRET), "{shown}");
}

// Scenario 16
#[tokio::test]
async fn if_one_server_refuses_the_credentials_the_others_are_tried() {
    let strict = Server::builder().user_and_password("erik", "other").start().await;
    let (mut one, mut two) = (
        Server::builder().user_and_password("derek", SECRET).start().await,
        Server::builder().user_and_password("derek", SECRET).start().await,
    );
    let log = CallbackLog::new();
    let client = ConnectOptions::new()
        .user_and_password("derek".into(), SECRET.into())
        .retain_servers_order()
        .event_callback(log.callback())
        .connect(vec![strict.url(), one.url(), two.url()])
        .await
        .expect("the second server takes us");
    for round in 2..5 {
        let at = client.server_info().port;
        let (current, other) = if at == one.port() { (&mut one, &mut two) } else { (&mut two, &mut one) };
        assert_eq!(at, current.port());
        current.kill();
        log.times(Event::Connected, round).await;
        eventually("the other server has us", SOON, async || client.server_info().port == other.port()).await;
        current.restart().await;
    }
}

// Scenario 71, P11
#[tokio::test]
async fn only_the_subscription_without_permission_ends() {
    let server = Server::builder()
        .line(
            r#"authorization { users: [ { user: "u", password: "p", permissions: {
                 publish: { deny: ["no.publish"] }, subscribe: { deny: ["no.subscribe"] } } } ] }"#,
        )
        .observer(r#""user":"u","pass":"p""#)
        .start()
        .await;
    let log = CallbackLog::new();
    let client = ConnectOptions::new()
        .user_and_password("u".into(), "p".into())
        .event_callback(log.callback())
        .connect(server.url())
        .await
        .unwrap();
    let mut fine = client.subscribe("fine").await.unwrap();
    let mut denied = client.subscribe("no.subscribe").await.unwrap();
    assert!(soon("the denied one ends", denied.next()).await.is_none());
    client.publish("no.publish", "x".into()).await.unwrap();
    log.until("the violation is reported", |events| {
        events.iter().any(|event| event.to_string().to_lowercase().contains("permissions violation for publish"))
    })
    .await;
    client.publish("fine", "x".into()).await.unwrap();
    assert_eq!(soon("a message", fine.next()).await.unwrap().payload, "x");
    assert_eq!(log.count(|event| *event == Event::Disconnected), 0);
    client.force_reconnect().await.unwrap();
    log.times(Event::Connected, 2).await;
    client.publish("fine", "y".into()).await.unwrap();
    assert_eq!(soon("a message", fine.next()).await.unwrap().payload, "y");
    let subjects: Vec<String> = server.subscriptions().into_iter().map(|one| one.subject).collect();
    assert_eq!(subjects, ["fine"], "ended subscriptions are not replayed");
}
