//! Requests and their replies, and requests without a reply.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all};
use nats_lifeline::{Client, ConnectOptions, HeaderMap, Request, RequestErrorKind};

use crate::support::{SOON, Server, eventually, soon};

async fn client_of(server: &Server) -> Client {
    nats_lifeline::connect(server.url()).await.expect("a fresh server takes clients")
}

/// Answers every request on `echo` with its own payload, and every one on `slow` after a while.
async fn answering(server: &Server) -> Client {
    let client = client_of(server).await;
    let mut requests = client.subscribe("echo").await.unwrap();
    let mut slow = client.subscribe("slow").await.unwrap();
    client.flush().await.unwrap();
    eventually("the server has both", SOON, async || server.subscriptions().len() >= 2).await;
    let (echo, later) = (client.clone(), client.clone());
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let headers = request.headers.clone().unwrap_or_default();
            let reply = request.reply.expect("a request has a reply subject");
            let _ = echo.publish_with_headers(reply, headers, request.payload).await;
        }
    });
    tokio::spawn(async move {
        while let Some(request) = slow.next().await {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let _ = later.publish(request.reply.expect("a request has a reply subject"), request.payload).await;
        }
    });
    client
}

// P12
#[tokio::test]
async fn a_request_gets_its_reply() {
    let server = Server::start().await;
    let _responder = answering(&server).await;
    let client = client_of(&server).await;
    let reply = soon("a reply", client.request("echo", "hello".into())).await.unwrap();
    assert_eq!(reply.payload, "hello");
    let mut headers = HeaderMap::new();
    headers.insert("K", "v");
    let reply = soon("a reply", client.request_with_headers("echo", headers, "x".into())).await.unwrap();
    assert_eq!(reply.headers.unwrap().get("K").unwrap().as_str(), "v");
    let request = Request::new().payload("all".into()).timeout(Some(SOON));
    assert_eq!(soon("a reply", client.send_request("echo", request)).await.unwrap().payload, "all");
    let request = Request::new().payload("for ever".into()).timeout(None);
    assert_eq!(soon("a reply", client.send_request("echo", request)).await.unwrap().payload, "for ever");
    assert_eq!(soon("a reply", client.send_request("echo", Request::new())).await.unwrap().payload, "");
}

// P12
#[tokio::test]
async fn a_request_without_responders_fails_long_before_its_timeout() {
    let server = Server::start().await;
    let client =
        ConnectOptions::new().request_timeout(Some(Duration::from_secs(300))).connect(server.url()).await.unwrap();
    let error = soon("no responders", client.request("nobody", "x".into())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    let own = Request::new().inbox(client.new_inbox());
    let error = soon("no responders", client.send_request("nobody", own)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders, "with an inbox of its own");
}

// P12, S68
#[tokio::test]
async fn a_request_without_a_reply_times_out() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("silent", "1").await;
    let client =
        ConnectOptions::new().request_timeout(Some(Duration::from_millis(200))).connect(server.url()).await.unwrap();
    assert_eq!(client.timeout(), Some(Duration::from_millis(200)));
    let start = Instant::now();
    let error = soon("the timeout", client.request("silent", "x".into())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(200));
    let patient = Request::new().timeout(Some(Duration::from_millis(600)));
    let start = Instant::now();
    let error = soon("the timeout", client.send_request("silent", patient)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(600));
    assert_eq!(raw.received().await.len(), 2, "both were sent");
}

// P12
#[tokio::test]
async fn a_custom_inbox_prefix_is_used_for_every_inbox() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("who", "1").await;
    let client = ConnectOptions::new().custom_inbox_prefix("MINE.too").connect(server.url()).await.unwrap();
    let inbox = client.new_inbox();
    let id = inbox.strip_prefix("MINE.too.").expect("the prefix and a dot");
    assert!(id.len() == 22 && id.chars().all(|c| c.is_ascii_alphanumeric()), "{inbox}");
    assert_ne!(client.new_inbox(), inbox);
    let answered = async {
        let request = raw.next().await;
        let reply = request.reply.expect("a request has a reply subject");
        assert!(reply.starts_with("MINE.too."), "{reply}");
        raw.publish(&reply, "you").await;
    };
    let (reply, ()) = tokio::join!(client.request("who", "".into()), answered);
    assert_eq!(reply.unwrap().payload, "you");
    let subscriptions = server.connections().into_iter().flat_map(|connection| connection.subscriptions);
    assert!(subscriptions.into_iter().any(|one| one.subject.starts_with("MINE.too.")));
}

// P12
#[tokio::test]
async fn a_request_can_bring_its_own_inbox_and_leaves_no_subscription() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("who", "1").await;
    let client = client_of(&server).await;
    let request = Request::new().inbox("my.own.inbox".to_owned()).timeout(Some(SOON));
    let answered = async {
        assert_eq!(raw.next().await.reply.as_deref(), Some("my.own.inbox"));
        raw.publish("my.own.inbox", "you").await;
    };
    let (reply, ()) = tokio::join!(client.send_request("who", request), answered);
    assert_eq!(reply.unwrap().payload, "you");
    eventually("the inbox is gone", SOON, async || {
        server.subscriptions().iter().all(|one| one.subject != "my.own.inbox")
    })
    .await;
}

// P12, I8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_requests_each_get_their_own_reply() {
    let server = Server::start().await;
    let _responder = answering(&server).await;
    let client = ConnectOptions::new()
        .name("asking")
        .request_timeout(Some(Duration::from_secs(60)))
        .connect(server.url())
        .await
        .unwrap();
    for _ in 0..3 {
        let replies = (0..1000).map(|n| {
            let client = client.clone();
            tokio::spawn(async move { (n, client.request("echo", n.to_string().into()).await) })
        });
        for reply in soon("all replies", join_all(replies)).await {
            let (n, reply) = reply.unwrap();
            assert_eq!(reply.unwrap().payload, n.to_string());
        }
    }
    let subscriptions = server.connection("asking").unwrap().subscriptions;
    assert_eq!(subscriptions.len(), 1, "one subscription for all replies: {subscriptions:?}");
}

// P12
#[tokio::test]
async fn a_slow_responder_is_waited_for_and_delays_no_other() {
    let server = Server::start().await;
    let _responder = answering(&server).await;
    let client = client_of(&server).await;
    let slow = client.request("slow", "late".into());
    let fast = async {
        for n in 0..20 {
            assert_eq!(client.request("echo", n.to_string().into()).await.unwrap().payload, n.to_string());
        }
    };
    let (slow, ()) = soon("both", async { tokio::join!(slow, fast) }).await;
    assert_eq!(slow.unwrap().payload, "late");
}

// P12, D22
#[tokio::test]
async fn a_late_reply_is_ignored() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    let client = client_of(&server).await;
    let hasty = Request::new().timeout(Some(Duration::from_millis(100)));
    let error = client.send_request("a", hasty).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::TimedOut);
    let late = raw.next().await.reply.unwrap();
    let cancelled = tokio::time::timeout(Duration::from_millis(100), client.request("a", "".into())).await;
    assert!(cancelled.is_err());
    let cancelled = raw.next().await.reply.unwrap();
    let answered = async {
        let reply = raw.next().await.reply.unwrap();
        assert!(reply != late && reply != cancelled);
        raw.publish(&late, "late").await;
        raw.publish(&cancelled, "unwanted").await;
        raw.publish(&reply, "right").await;
        raw.publish(&reply, "second").await;
    };
    let (reply, ()) = tokio::join!(client.request("a", "".into()), answered);
    assert_eq!(reply.unwrap().payload, "right");
    // A second reply to one request is ignored, and the connection stays.
    let answered = async {
        let reply = raw.next().await.reply.unwrap();
        raw.publish(&reply, "next").await;
    };
    let (reply, ()) = tokio::join!(client.request("a", "".into()), answered);
    assert_eq!(reply.unwrap().payload, "next");
}

// P12
#[tokio::test]
async fn a_request_that_cannot_be_sent_reports_the_reason() {
    let server = Server::builder().max_payload(100).start().await;
    let client = client_of(&server).await;
    for subject in ["", "a b", "a\r\nb"] {
        let error = soon("an answer", client.request(subject.to_owned(), "".into())).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::InvalidSubject, "{subject:?}");
    }
    let error = soon("an answer", client.request("a", vec![0; 101].into())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::MaxPayloadExceeded);
}

// I8
#[tokio::test]
async fn dropping_the_client_ends_the_connection_that_requests_used() {
    let server = Server::start().await;
    let responder = answering(&server).await;
    let client = ConnectOptions::new().name("brief").connect(server.url()).await.unwrap();
    soon("a reply", client.request("echo", "x".into())).await.unwrap();
    drop(client);
    eventually("the connection ends", SOON, async || server.connection("brief").is_none()).await;
    drop(responder);
}
