//! Requests with many replies, against a real server: each way in which they end, and what they leave behind.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{ConnectionLost, Replies, RepliesEnd};
use nats_lifeline::connection::EndReason;
use nats_lifeline::options::RepliesOptions;
use nats_lifeline::{Client, ConnectOptions, HeaderMap, Message, RequestErrorKind};

use crate::support::line::line;
use crate::support::{Cut, SOON, Server, eventually, soon};

/// Answers a request on `count` with its payload's number of replies; on `until` the same, and then with an empty one;
/// and on `silence` never.
async fn answering(server: &Server) -> Client {
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut requests = client.subscribe_confirmed("*").await.unwrap();
    let answers = client.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let count: u32 = String::from_utf8_lossy(&request.payload).parse().unwrap_or(0);
            let reply = request.reply.expect("a request has a reply subject");
            if request.subject.as_str() == "silence" {
                continue;
            }
            for n in 0..count {
                let headers = request.headers.clone().unwrap_or_default();
                let _ = answers.publish_with_headers(reply.clone(), headers, n.to_string().into()).await;
            }
            if request.subject.as_str() == "until" {
                let _ = answers.publish(reply, "".into()).await;
            }
        }
    });
    client
}

/// A server with a responder and a requester.
async fn pair() -> (Server, Client, Client) {
    let server = Server::start().await;
    let responder = answering(&server).await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    (server, responder, client)
}

fn patient() -> RepliesOptions {
    RepliesOptions::new().timeout(SOON * 3)
}

/// Reads the replies up to the end; all of them are valid.
async fn all(replies: &mut Replies) -> Vec<String> {
    let text = |reply: Result<Message, _>| String::from_utf8_lossy(&reply.unwrap().payload).into_owned();
    soon("the end of the replies", replies.by_ref().map(text).collect()).await
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

// P12, D22
#[tokio::test]
async fn a_count_ends_it() {
    let (_server, _responder, client) = pair().await;
    let mut replies = client.request_stream("count", "10".into(), patient().max_replies(4)).await.unwrap();
    assert_eq!(replies.end(), None);
    assert_eq!(all(&mut replies).await, numbers(4));
    assert_eq!(replies.end(), Some(RepliesEnd::MaxReplies));
    assert!(replies.next().await.is_none(), "the end stays the end");
    let mut none = client.request_stream("count", "10".into(), patient().max_replies(0)).await.unwrap();
    assert!(all(&mut none).await.is_empty());
}

// P12
#[tokio::test]
async fn a_gap_ends_it_except_before_the_first_reply() {
    let (_server, _responder, client) = pair().await;
    let stall = Duration::from_millis(100);
    let mut replies = client.request_stream("count", "5".into(), patient().stall(stall)).await.unwrap();
    // Nothing was read yet: the gap has not begun, however late it is.
    tokio::time::sleep(stall * 2).await;
    assert_eq!(all(&mut replies).await, numbers(5));
    assert_eq!(replies.end(), Some(RepliesEnd::Stall));
    let short = RepliesOptions::new().stall(Duration::from_millis(1)).timeout(Duration::from_millis(200));
    let mut silence = client.request_stream("silence", "5".into(), short).await.unwrap();
    assert!(all(&mut silence).await.is_empty());
    assert_eq!(silence.end(), Some(RepliesEnd::Timeout));
}

// P12
#[tokio::test]
async fn a_deadline_ends_it_after_the_received_replies() {
    let (_server, _responder, client) = pair().await;
    let options = RepliesOptions::new().timeout(Duration::from_secs(1));
    let mut replies = client.request_stream("count", "3".into(), options).await.unwrap();
    assert_eq!(all(&mut replies).await, numbers(3));
    assert_eq!(replies.end(), Some(RepliesEnd::Timeout));
}

// P12
#[tokio::test]
async fn an_empty_reply_ends_it_if_configured() {
    let (_server, _responder, client) = pair().await;
    let mut replies = client.request_stream("until", "3".into(), patient().sentinel()).await.unwrap();
    assert_eq!(all(&mut replies).await, numbers(3));
    assert_eq!(replies.end(), Some(RepliesEnd::Sentinel));
    let mut replies = client.request_stream("until", "3".into(), patient().max_replies(4)).await.unwrap();
    let mut expected = numbers(3);
    expected.push(String::new());
    assert_eq!(all(&mut replies).await, expected);
}

// P12
#[tokio::test]
async fn headers_are_sent_and_no_responders_is_an_error() {
    let (_server, _responder, client) = pair().await;
    let mut headers = HeaderMap::new();
    headers.insert("K", "v");
    let options = patient().max_replies(1).headers(headers);
    let mut replies = client.request_stream("count", "1".into(), options).await.unwrap();
    let reply = soon("a reply", replies.next()).await.unwrap().unwrap();
    assert_eq!(reply.headers.unwrap().get("K").unwrap().as_str(), "v");
    let mut nobody = client.request_stream("nobody.there", "1".into(), patient()).await.unwrap();
    let error = soon("an answer", nobody.next()).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), nobody.end()), (RequestErrorKind::NoResponders, Some(RepliesEnd::Failed)));
    assert!(nobody.next().await.is_none());
    let error = client.request_stream("not a subject", "1".into(), patient()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::InvalidSubject);
}

// P12: many concurrent ones over one subscription, each with its own replies
#[tokio::test]
async fn concurrent_request_streams_do_not_mix() {
    let (server, _responder, client) = pair().await;
    let asked = (1..=40_usize).map(|count| {
        let client = client.clone();
        async move {
            let options = patient().sentinel();
            let mut replies = client.request_stream("until", count.to_string().into(), options).await.unwrap();
            (count, all(&mut replies).await)
        }
    });
    for (count, got) in soon("all of them", futures_util::future::join_all(asked)).await {
        assert_eq!(got, numbers(count));
    }
    assert_eq!(server.subscriptions().len(), 2, "the responder's and the inbox");
}

// I8: a drain waits for requests, so one that was left behind would show
#[tokio::test]
async fn the_end_a_timeout_and_a_drop_leave_nothing_behind() {
    let (_server, _responder, client) = pair().await;
    for _ in 0..100 {
        let mut ended = client.request_stream("count", "1".into(), patient().max_replies(1)).await.unwrap();
        all(&mut ended).await;
        let short = RepliesOptions::new().timeout(Duration::from_millis(1));
        if let Ok(mut late) = client.request_stream("silence", "1".into(), short).await {
            all(&mut late).await;
            std::mem::forget(ended);
            drop(client.request_stream("silence", "1".into(), patient()).await.unwrap());
        }
    }
    let report = soon("the drain", client.drain_and_close(SOON * 2)).await.unwrap();
    assert!(report.completed, "{report:?}");
}

// D22
#[tokio::test]
async fn a_lost_connection_ends_it_after_the_received_replies_unless_it_keeps_waiting() {
    let mut line = line(ConnectOptions::new()).await;
    line.raw.subscribe("ask", "7").await;
    let mut impatient = line.client.request_stream("ask", "1".into(), patient()).await.unwrap();
    let asked = patient().keep_waiting().max_replies(2);
    let mut keeping = line.client.request_stream("ask", "2".into(), asked).await.unwrap();
    let mut inboxes = Vec::new();
    while inboxes.len() < 2 {
        inboxes.extend(line.raw.next().await.reply);
        inboxes.dedup();
    }
    for inbox in &inboxes {
        line.raw.publish(inbox, "first").await;
    }
    for replies in [&mut impatient, &mut keeping] {
        assert_eq!(soon("a reply", replies.next()).await.unwrap().unwrap().payload, "first");
    }
    line.proxy.cut(Cut::Rst);
    let error = soon("an answer", impatient.next()).await.unwrap().unwrap_err();
    assert!(error.source_as::<ConnectionLost>().is_some(), "{error}");
    assert_eq!(impatient.end(), Some(RepliesEnd::Failed));
    line.timeline.reconnected(0).await;
    // After this the server has the subscription for replies.
    drop(line.client.subscribe_confirmed("b").await.unwrap());
    line.raw.publish(&inboxes[1], "second").await;
    assert_eq!(soon("a reply", keeping.next()).await.unwrap().unwrap().payload, "second");
    assert_eq!(keeping.end(), Some(RepliesEnd::MaxReplies));
}

// D21: unread replies are bounded, and their loss is reported
#[tokio::test]
async fn a_stream_that_is_not_read_reports_missing_replies() {
    let server = Server::start().await;
    let _responder = answering(&server).await;
    let client = ConnectOptions::new().subscription_capacity(5).connect(server.url()).await.unwrap();
    let mut replies = client.request_stream("count", "50".into(), patient()).await.unwrap();
    eventually("the replies are here", SOON, async || client.stats().in_messages >= 50).await;
    let mut good = 0;
    let error = loop {
        match soon("an item", replies.next()).await.unwrap() {
            Ok(_) => good += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((good, error.source_as()), (5, Some(&EndReason::SlowConsumer)));
}
