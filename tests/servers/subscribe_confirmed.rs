//! Subscriptions that are confirmed, or refused with a reason, by a real server.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::NotConfirmed;
use nats_lifeline::connection::EndReason;
use nats_lifeline::options::SubscribeOptions;
use nats_lifeline::{Client, ConnectOptions, SubscribeError, SubscribeErrorKind};

use crate::support::line::line;
use crate::support::{Cut, Direction, SOON, Server, eventually, soon};

#[track_caller]
fn reason(error: &SubscribeError) -> &EndReason {
    assert_eq!(error.kind(), SubscribeErrorKind::Other, "{error}");
    error.source_as().unwrap_or_else(|| panic!("no typed source: {error}"))
}

/// A client of a server that forbids some subjects.
async fn restricted() -> (Server, Client) {
    let users = r#"authorization { users: [ { user: "u", password: "p", permissions: {
                     publish: ">", subscribe: { deny: ["no.>", "half q"] } } } ] }"#;
    let server = Server::builder().line(users).observer(r#""user":"u","pass":"p""#).start().await;
    let options = ConnectOptions::new().user_and_password("u".into(), "p".into());
    let client = options.connect(server.url()).await.unwrap();
    (server, client)
}

// N12
#[tokio::test]
async fn after_it_the_server_has_the_subscription() {
    let server = Server::start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut raw = server.raw().await;
    let mut plain = soon("a subscription", client.subscribe_confirmed("a")).await.unwrap();
    let mut group = soon("a subscription", client.queue_subscribe_confirmed("a", "q".into())).await.unwrap();
    // From another client, immediately: there is no flush in between.
    raw.publish("a", "1").await;
    assert_eq!(soon("a message", plain.next()).await.unwrap().payload, "1");
    assert_eq!(soon("a message", group.next()).await.unwrap().payload, "1");
}

// N12, P11
#[tokio::test]
async fn a_refusal_is_reported_with_the_servers_text() {
    let (_server, client) = restricted().await;
    let error = soon("an answer", client.subscribe_confirmed("no.way")).await.unwrap_err();
    let EndReason::Refused(words) = reason(&error) else { panic!("{error}") };
    assert!(words.to_string().to_lowercase().contains("permissions violation"), "{words}");
    let error = soon("an answer", client.queue_subscribe_confirmed("half", "q".into())).await.unwrap_err();
    assert!(matches!(reason(&error), EndReason::Refused(_)), "{error}");
    // Nothing else is affected.
    let mut fine = soon("a subscription", client.queue_subscribe_confirmed("half", "other".into())).await.unwrap();
    client.publish("half", "1".into()).await.unwrap();
    assert_eq!(soon("a message", fine.next()).await.unwrap().payload, "1");
}

// N12
#[tokio::test]
async fn a_full_server_is_reported() {
    let server = Server::builder().line("max_subscriptions: 1").start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let _first = soon("a subscription", client.subscribe_confirmed("a")).await.unwrap();
    let error = soon("an answer", client.subscribe_confirmed("b")).await.unwrap_err();
    assert!(matches!(reason(&error), EndReason::Refused(_)), "{error}");
}

// N12: while disconnected it waits for the next connection
#[tokio::test]
async fn during_an_outage_it_waits_for_the_next_connection() {
    let mut line = line(ConnectOptions::new()).await;
    line.outage(0).await;
    let client = line.client.clone();
    let waiting =
        tokio::spawn(async move { client.subscribe_confirmed_with("b", SubscribeOptions::new(), SOON * 2).await });
    line.recovery(0).await;
    let mut own = soon("a subscription", waiting).await.unwrap().unwrap();
    line.raw.publish("b", "1").await;
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "1");
}

// N12: a connection that dies between SUB and PONG gives no answer, and messages in doubt do not matter
#[tokio::test]
async fn a_lost_connection_is_not_an_answer() {
    let mut line = line(ConnectOptions::new()).await;
    line.proxy.freeze(Direction::ToClient);
    line.client.publish("a", "in doubt".into()).await.unwrap();
    assert_eq!(line.raw.next().await.text(), "in doubt");
    let client = line.client.clone();
    let waiting =
        tokio::spawn(async move { client.subscribe_confirmed_with("b", SubscribeOptions::new(), SOON * 2).await });
    let subscribed = || line.proxy.passages()[0].lines().iter().any(|line| line.starts_with("SUB b"));
    eventually("the SUB is out", SOON, async || subscribed()).await;
    line.proxy.cut(Cut::Rst);
    line.proxy.unfreeze(Direction::ToClient);
    let mut own = soon("a subscription", waiting).await.unwrap().unwrap();
    line.raw.publish("b", "1").await;
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "1");
    assert_eq!(line.client.stats().in_doubt, 1);
}

// N12: it keeps its deadline, and leaves nothing behind
#[tokio::test]
async fn at_the_deadline_the_subscription_is_gone() {
    let line = line(ConnectOptions::new()).await;
    line.outage(0).await;
    let within = Duration::from_millis(50);
    let waiting = line.client.subscribe_confirmed_with("b", SubscribeOptions::new(), within);
    let error = soon("an answer", waiting).await.unwrap_err();
    assert_eq!(error.source_as::<NotConfirmed>().map(|fault| fault.waited), Some(within), "{error}");
    line.recovery(0).await;
    line.client.flush().await.unwrap();
    let lines = line.proxy.passages().last().unwrap().lines();
    assert!(!lines.iter().any(|line| line.starts_with("SUB b")), "{lines:?}");
}

// N12: the end of the client ends the call
#[tokio::test]
async fn the_end_of_the_client_ends_it() {
    let down = line(ConnectOptions::new()).await;
    down.outage(0).await;
    let client = down.client.clone();
    let waiting =
        tokio::spawn(async move { client.subscribe_confirmed_with("b", SubscribeOptions::new(), SOON * 2).await });
    tokio::task::yield_now().await;
    soon("the end", down.client.close()).await.unwrap();
    let error = soon("an answer", waiting).await.unwrap().unwrap_err();
    assert_eq!(reason(&error), &EndReason::Closed);
}
