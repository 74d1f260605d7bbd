//! Calls made while disconnected, or whose connection dies during the call.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::{
    Client, ConnectOptions, Event, Message, Request, RequestErrorKind, Subscriber, client::FlushErrorKind,
};

use crate::support::{CallbackLog, Cut, Direction, Proxy, SOON, Server, eventually, soon, within};

/// A running server, a proxy whose failures the client sees, and the client.
async fn behind_a_proxy() -> (Server, Proxy, Client, CallbackLog) {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let log = CallbackLog::new();
    let options = ConnectOptions::new().name("lifeline").event_callback(log.callback());
    let client = options.connect(proxy.url()).await.unwrap();
    (server, proxy, client, log)
}

/// Cuts the server off, from the client's view, and returns when the client has noticed it.
async fn outage(proxy: &Proxy, log: &CallbackLog) {
    let so_far = log.count(|event| *event == Event::Disconnected);
    proxy.refuse().await;
    proxy.cut(Cut::Rst);
    log.times(Event::Disconnected, so_far + 1).await;
}

async fn recovery(proxy: &Proxy, log: &CallbackLog) {
    let so_far = log.count(|event| *event == Event::Connected);
    proxy.admit().await;
    log.times(Event::Connected, so_far + 1).await;
}

async fn next(subscriber: &mut Subscriber) -> Message {
    soon("a message", subscriber.next()).await.expect("the subscription goes on")
}

fn number(message: &Message) -> u64 {
    std::str::from_utf8(&message.payload).unwrap().parse().unwrap()
}

// Scenario 44, D12
#[tokio::test]
async fn a_flush_during_an_outage_waits_for_the_next_connection() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    outage(&proxy, &log).await;
    client.publish("a", "buffered".into()).await.unwrap();
    let flusher = client.clone();
    let flush = tokio::spawn(async move { flusher.flush().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!flush.is_finished(), "there is no responder");
    recovery(&proxy, &log).await;
    soon("the flush", flush).await.unwrap().expect("confirmed by the new connection");
    assert_eq!(raw.received().await.len(), 1, "Ok means that the server has it");
}

// Scenario 44, S32, promise 1
#[tokio::test]
async fn a_flush_that_finds_no_server_ends_with_its_deadline() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let log = CallbackLog::new();
    let options = ConnectOptions::new().flush_timeout(Duration::from_millis(300)).event_callback(log.callback());
    let client = options.connect(proxy.url()).await.unwrap();
    outage(&proxy, &log).await;
    let begin = Instant::now();
    let error = soon("the deadline of the option", client.flush()).await.unwrap_err();
    assert_eq!(error.kind(), FlushErrorKind::FlushError);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let begin = Instant::now();
    soon("the deadline of the call", client.flush_timeout(Duration::from_millis(600))).await.unwrap_err();
    assert!(begin.elapsed() >= Duration::from_millis(600));
    recovery(&proxy, &log).await;
    soon("a flush", client.flush_timeout(SOON)).await.unwrap();
}

// Scenario 63, I5
#[tokio::test]
async fn flushes_with_nothing_in_doubt_are_answered_by_the_next_connection() {
    let (_server, proxy, client, log) = behind_a_proxy().await;
    soon("a flush", client.flush()).await.unwrap();
    proxy.freeze(Direction::ToClient);
    let sent = proxy.passed(Direction::ToServer);
    let flushes: Vec<_> = (0..3)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.flush().await })
        })
        .collect();
    eventually("a PING is on its way", SOON, async || proxy.passed(Direction::ToServer) > sent).await;
    assert!(flushes.iter().all(|flush| !flush.is_finished()));
    proxy.cut(Cut::Rst);
    proxy.unfreeze(Direction::ToClient);
    log.times(Event::Connected, 2).await;
    for flush in flushes {
        soon("a flush", flush).await.unwrap().expect("no message of this client is in doubt");
    }
}

// Scenario 43, I5
#[tokio::test]
async fn a_flush_whose_connection_dies_before_the_pong_reports_messages_in_doubt_once() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    client.flush().await.unwrap();
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    proxy.freeze(Direction::ToClient);
    for n in 0..3 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    let dies = async {
        for n in 0..3 {
            assert_eq!(raw.next().await.text(), n.to_string(), "the server has it, but the client cannot know");
        }
        // The PONG waits in the proxy, and is lost there.
        proxy.cut(Cut::Rst);
        proxy.unfreeze(Direction::ToClient);
        log.times(Event::Connected, 2).await;
    };
    let (flushed, ()) = soon("the flush", async { tokio::join!(client.flush(), dies) }).await;
    let error = flushed.expect_err("no PONG ever covered the messages");
    assert_eq!(error.kind(), FlushErrorKind::FlushError);
    assert!(error.to_string().contains('3'), "how many are in doubt: {error}");
    soon("the next flush", client.flush()).await.expect("each handle says it once");
    assert_eq!(raw.received().await, [], "messages in doubt are not sent again");
}

// Scenario 45, D22
#[tokio::test]
async fn a_request_that_was_sent_fails_immediately_with_its_connection() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut raw = server.raw().await;
    raw.subscribe("silent", "1").await;
    let asker = client.clone();
    let request = Request::new().timeout(Some(Duration::from_secs(600)));
    let asking = tokio::spawn(async move { asker.send_request("silent", request).await });
    raw.next().await;
    outage(&proxy, &log).await;
    let error = soon("the request", asking).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::Other, "{error}");
    recovery(&proxy, &log).await;
}

// Scenario 46
#[tokio::test]
async fn a_request_during_an_outage_is_answered_after_it() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    outage(&proxy, &log).await;
    let asker = client.clone();
    let asking = tokio::spawn(async move { asker.send_request("a", Request::new().timeout(Some(SOON))).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!asking.is_finished());
    recovery(&proxy, &log).await;
    let request = raw.next().await;
    raw.publish(&request.reply.unwrap(), "there").await;
    assert_eq!(soon("the reply", asking).await.unwrap().unwrap().payload, "there");
}

// Scenario 46, D22
#[tokio::test]
async fn a_request_that_timed_out_during_an_outage_is_never_sent() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut raw = server.raw().await;
    raw.subscribe(">", "1").await;
    outage(&proxy, &log).await;
    let hasty = Request::new().payload("expired".into()).timeout(Some(Duration::from_millis(50)));
    let error = soon("the timeout", client.send_request("a", hasty)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
    let dropped = tokio::time::timeout(Duration::from_millis(50), client.request("a", "cancelled".into())).await;
    assert!(dropped.is_err());
    client.publish("a", "wanted".into()).await.unwrap();
    recovery(&proxy, &log).await;
    soon("a flush", client.flush()).await.unwrap();
    let got: Vec<String> = raw.received().await.iter().map(|message| message.text()).collect();
    assert_eq!(got, ["wanted"]);
}

// D22: the request inbox is replayed like any subscription
#[tokio::test]
async fn requests_work_after_each_of_many_outages() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    for round in 0..5_u32 {
        let answered = async {
            let reply = raw.next().await.reply.unwrap();
            raw.publish(&reply, round.to_string()).await;
        };
        let (reply, ()) = tokio::join!(soon("a reply", client.request("a", "".into())), answered);
        assert_eq!(reply.unwrap().payload, round.to_string());
        outage(&proxy, &log).await;
        recovery(&proxy, &log).await;
    }
    eventually("one subscription for all replies", SOON, async || {
        server.connection("lifeline").is_some_and(|connection| connection.subscriptions.len() == 1)
    })
    .await;
}

// Scenario 52
#[tokio::test]
async fn only_subscriptions_that_survive_the_outage_are_replayed() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut kept = client.subscribe("kept").await.unwrap();
    let mut before = client.subscribe("before").await.unwrap();
    let dropped = client.subscribe("dropped").await.unwrap();
    client.flush().await.unwrap();
    outage(&proxy, &log).await;
    before.unsubscribe().await.unwrap();
    drop(dropped);
    let mut brief = soon("a subscription", client.subscribe("brief")).await.unwrap();
    let mut new = soon("a subscription", client.queue_subscribe("new", "q".to_owned())).await.unwrap();
    brief.unsubscribe().await.unwrap();
    recovery(&proxy, &log).await;
    client.publish("kept", "1".into()).await.unwrap();
    client.publish("new", "2".into()).await.unwrap();
    assert_eq!((number(&next(&mut kept).await), number(&next(&mut new).await)), (1, 2));
    assert!(soon("an unsubscribed stream ends", brief.next()).await.is_none());
    assert!(soon("an unsubscribed stream ends", before.next()).await.is_none());
    let mut subjects: Vec<String> = server.subscriptions().into_iter().map(|one| one.subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["kept", "new"]);
    // The new connection gets exactly one SUB for each of them, and none for the others.
    let lines = proxy.passages().last().unwrap().lines();
    let about: Vec<&String> =
        lines.iter().filter(|line| line.starts_with("SUB ") || line.starts_with("UNSUB ")).collect();
    assert_eq!(about.len(), 2, "{about:?}");
    let first = |start: &str| lines.iter().position(|line| line.starts_with(start));
    assert!(first("SUB ") < first("PUB "), "subscriptions come before messages: {lines:?}");
}

// Scenario 53, I10
#[tokio::test]
async fn unsubscribe_after_counts_across_an_outage() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut raw = server.raw().await;
    let mut own = client.subscribe("a").await.unwrap();
    own.unsubscribe_after(10).await.unwrap();
    client.flush().await.unwrap();
    eventually("the server knows the limit", SOON, async || server.subscriptions().iter().any(|one| one.max == 10))
        .await;
    for n in 0..5 {
        raw.publish("a", n.to_string()).await;
    }
    for n in 0..5 {
        assert_eq!(number(&next(&mut own).await), n);
    }
    outage(&proxy, &log).await;
    recovery(&proxy, &log).await;
    client.flush().await.unwrap();
    let lines = proxy.passages().last().unwrap().lines();
    let unsub: Vec<&String> = lines.iter().filter(|line| line.starts_with("UNSUB ")).collect();
    assert!(unsub.len() == 1 && unsub[0].ends_with(" 5"), "five of ten remain: {unsub:?}");
    for n in 5..35 {
        raw.publish("a", n.to_string()).await;
    }
    let rest: Vec<u64> = soon("the stream ends", own.map(|message| number(&message)).collect()).await;
    assert_eq!(rest, [5, 6, 7, 8, 9]);
}

// Scenario 53: the limit may also be set while disconnected
#[tokio::test]
async fn unsubscribe_after_during_an_outage_reaches_the_next_server() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut raw = server.raw().await;
    let mut own = client.subscribe("a").await.unwrap();
    let mut spent = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    eventually("the server has both", SOON, async || server.subscriptions().len() == 2).await;
    raw.publish("a", "0").await;
    raw.publish("a", "1").await;
    for n in 0..2 {
        assert_eq!((number(&next(&mut own).await), number(&next(&mut spent).await)), (n, n));
    }
    outage(&proxy, &log).await;
    own.unsubscribe_after(5).await.unwrap();
    // Two were already delivered: none remain, and the stream ends without a server.
    spent.unsubscribe_after(2).await.unwrap();
    assert!(soon("the stream ends", spent.next()).await.is_none());
    recovery(&proxy, &log).await;
    client.flush().await.unwrap();
    assert_eq!(server.subscriptions().len(), 1);
    for n in 2..9 {
        raw.publish("a", n.to_string()).await;
    }
    let rest: Vec<u64> = soon("the stream ends", own.map(|message| number(&message)).collect()).await;
    assert_eq!(rest, [2, 3, 4]);
}

// Scenario 55, in small
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_subscriptions_are_restored() {
    let (server, proxy, client, log) = behind_a_proxy().await;
    let mut all = Vec::new();
    for n in 0..10_000 {
        all.push(client.subscribe(format!("many.{n}")).await.unwrap());
    }
    within("a flush", SOON * 2, client.flush()).await.unwrap();
    outage(&proxy, &log).await;
    recovery(&proxy, &log).await;
    within("a flush", SOON * 2, client.flush()).await.unwrap();
    assert_eq!(server.connection("lifeline").unwrap().subscriptions.len(), 10_000);
    client.publish("many.9999", "1".into()).await.unwrap();
    assert_eq!(number(&next(&mut all[9999]).await), 1);
}
