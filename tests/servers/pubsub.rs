//! Publishing and subscribing, as the server and a raw observer see it.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::{Client, ConnectOptions, HeaderMap, Message, PublishErrorKind, SubscribeErrorKind, Subscriber};

use crate::support::{Direction, Proxy, SOON, Server, eventually, soon};

async fn client_of(server: &Server) -> Client {
    nats_lifeline::connect(server.url()).await.expect("a fresh server takes clients")
}

async fn next(subscriber: &mut Subscriber) -> Message {
    soon("a message", subscriber.next()).await.expect("the subscription goes on")
}

/// The payload as a number.
fn number(message: &Message) -> u64 {
    std::str::from_utf8(&message.payload).unwrap().parse().unwrap()
}

// P1
#[tokio::test]
async fn a_message_reaches_every_subscriber_unchanged() {
    let server = Server::start().await;
    let (one, two) = (client_of(&server).await, client_of(&server).await);
    let mut raw = server.raw().await;
    raw.subscribe("a.b", "1").await;
    let mut first = one.subscribe("a.b").await.unwrap();
    let mut second = one.subscribe("a.b").await.unwrap();
    let mut other = two.subscribe("a.b").await.unwrap();
    one.flush().await.unwrap();
    two.flush().await.unwrap();
    eventually("the server has all four", SOON, async || server.subscriptions().len() == 4).await;
    let every_byte: Vec<u8> = (0..=255).chain(*b"\r\nMSG a.b 1 0\r\n\r\n").collect();
    for payload in [Bytes::new(), Bytes::from(every_byte.clone())] {
        one.publish("a.b", payload.clone()).await.unwrap();
        for subscriber in [&mut first, &mut second, &mut other] {
            let message = next(subscriber).await;
            assert_eq!((message.subject.as_str(), &message.payload), ("a.b", &payload));
            assert_eq!((message.reply, message.headers, message.status), (None, None, None));
            assert_eq!(message.length, 3 + payload.len());
        }
        assert_eq!(raw.next().await.payload, payload);
    }
}

// P1
#[tokio::test]
async fn wildcards_select_subjects() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut star = client.subscribe("a.*.c").await.unwrap();
    let mut rest = client.subscribe("a.>").await.unwrap();
    for subject in ["a.b.c", "a.b", "a.x.c", "b.b.c", "a.b.c.d"] {
        client.publish(subject, "".into()).await.unwrap();
    }
    for expected in ["a.b.c", "a.x.c"] {
        assert_eq!(next(&mut star).await.subject.as_str(), expected);
    }
    for expected in ["a.b.c", "a.b", "a.x.c", "a.b.c.d"] {
        assert_eq!(next(&mut rest).await.subject.as_str(), expected);
    }
    client.publish("a.last.c", "".into()).await.unwrap();
    assert_eq!(next(&mut star).await.subject.as_str(), "a.last.c", "nothing else had come");
}

// P10
#[tokio::test]
async fn a_queue_group_shares_the_messages_among_its_members() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let clients = [client_of(&server).await, client_of(&server).await, client_of(&server).await];
    let mut members = Vec::new();
    for member in &clients {
        members.push(member.queue_subscribe("work", "workers".to_owned()).await.unwrap());
        member.flush().await.unwrap();
    }
    eventually("three members", SOON, async || {
        server.subscriptions().iter().filter(|one| one.queue.as_deref() == Some("workers")).count() == 3
    })
    .await;
    for n in 0..300 {
        client.publish("work", n.to_string().into()).await.unwrap();
    }
    let (sender, mut gathered) = tokio::sync::mpsc::unbounded_channel();
    for (index, mut member) in members.into_iter().enumerate() {
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(message) = member.next().await {
                let _ = sender.send((index, number(&message)));
            }
        });
    }
    let mut seen = BTreeSet::new();
    let mut shares = [0; 3];
    while seen.len() < 300 {
        let (member, n) = soon("all work is done", gathered.recv()).await.unwrap();
        assert!(seen.insert(n), "{n} was done twice");
        shares[member] += 1;
    }
    // With a fair server, the chance of a member without any of 300 messages is 10^-53.
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

// P1
#[tokio::test]
async fn a_reply_subject_arrives_with_its_message() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    let mut headers = HeaderMap::new();
    headers.insert("K", "v");
    client.publish_with_reply("a", "answers.here", "x".into()).await.unwrap();
    client.publish_with_reply_and_headers("a", "answers.there", headers, "y".into()).await.unwrap();
    let (plain, full) = (raw.next().await, raw.next().await);
    assert_eq!(plain.reply.as_deref(), Some("answers.here"));
    assert_eq!(full.reply.as_deref(), Some("answers.there"));
    assert!(!full.headers.is_empty());
}

// P12, S31
#[tokio::test]
async fn a_payload_over_the_servers_limit_is_refused_here_with_both_numbers() {
    let server = Server::builder().max_payload(1000).start().await;
    let client = client_of(&server).await;
    assert_eq!(client.max_payload(), 1000);
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    client.publish("a", vec![b'x'; 1000].into()).await.unwrap();
    let error = client.publish("a", vec![b'x'; 1001].into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::MaxPayloadExceeded);
    let text = error.to_string();
    assert!(text.contains("1000") && text.contains("1001"), "{text}");
    // "NATS/1.0\r\nK: v\r\n\r\n" are 18 bytes, which count.
    let mut headers = HeaderMap::new();
    headers.insert("K", "v");
    let error = client.publish_with_headers("a", headers.clone(), vec![b'x'; 983].into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::MaxPayloadExceeded);
    client.publish_with_headers("a", headers, vec![b'x'; 982].into()).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(raw.next_n(2).await.iter().map(|message| message.payload.len()).collect::<Vec<_>>(), [1000, 982]);
    assert_eq!(server.connections().len(), 2, "no client was disconnected");
}

// P1
#[tokio::test]
async fn the_largest_payload_passes() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut own = client.subscribe("big").await.unwrap();
    let payload: Bytes = (0..client.max_payload()).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
    for _ in 0..3 {
        client.publish("big", payload.clone()).await.unwrap();
    }
    for _ in 0..3 {
        assert!(next(&mut own).await.payload == payload);
    }
}

// P1
#[tokio::test]
async fn input_that_could_break_the_protocol_is_refused_before_it_is_sent() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut raw = server.raw().await;
    raw.subscribe(">", "1").await;
    for subject in ["", "a b", "a\tb", "a\r\nPUB b 0\r\n", "\n", " a"] {
        let error = client.publish(subject.to_owned(), "x".into()).await.expect_err(subject);
        assert_eq!(error.kind(), PublishErrorKind::InvalidSubject, "{subject:?}");
        let error = client.publish_with_reply("a", subject.to_owned(), "x".into()).await.expect_err(subject);
        assert_eq!(error.kind(), PublishErrorKind::InvalidSubject, "reply {subject:?}");
    }
    for subject in ["", "a b", "a\tb", "a\r\nb", ".a", "a.", "a..b", "."] {
        let error = client.subscribe(subject.to_owned()).await.expect_err(subject);
        assert_eq!(error.kind(), SubscribeErrorKind::InvalidSubject, "{subject:?}");
    }
    for queue in ["", "a b", "a\tb", "a\r\nb"] {
        let error = client.queue_subscribe("a", queue.to_owned()).await.expect_err(queue);
        assert_eq!(error.kind(), SubscribeErrorKind::InvalidQueueName, "{queue:?}");
    }
    client.publish("fine", "x".into()).await.unwrap();
    assert_eq!(raw.next().await.subject, "fine", "nothing that was sent");
    assert_eq!(server.connections().len(), 2);
}

// P1
#[tokio::test]
async fn unsubscribing_ends_the_stream_after_the_received_messages() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut own = client.subscribe("a").await.unwrap();
    let mut later = client.subscribe("a").await.unwrap();
    client.publish("a", "1".into()).await.unwrap();
    assert_eq!(next(&mut later).await.payload, "1");
    own.unsubscribe().await.unwrap();
    eventually("the server knows", SOON, async || server.subscriptions().len() == 1).await;
    client.publish("a", "2".into()).await.unwrap();
    assert_eq!(next(&mut later).await.payload, "2");
    // The message came before the UNSUB and may still be read; the later one may not.
    let rest: Vec<Message> = soon("the stream ends", own.collect()).await;
    assert!(rest.iter().all(|message| message.payload == "1"), "{rest:?}");
}

// P10
#[tokio::test]
async fn unsubscribe_after_gives_exactly_that_many() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut own = client.subscribe("a").await.unwrap();
    let mut witness = client.subscribe("a").await.unwrap();
    own.unsubscribe_after(3).await.unwrap();
    for n in 1..=5 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    for n in 1..=5 {
        assert_eq!(number(&next(&mut witness).await), n);
    }
    let got: Vec<Message> = soon("the stream ends", own.collect()).await;
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [1, 2, 3]);
    eventually("the server forgot it", SOON, async || server.subscriptions().len() == 1).await;
}

// P10
#[tokio::test]
async fn unsubscribe_after_counts_messages_delivered_before_it() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut own = client.subscribe("a").await.unwrap();
    for n in 1..=4 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    for n in 1..=4 {
        assert_eq!(number(&next(&mut own).await), n);
    }
    own.unsubscribe_after(6).await.unwrap();
    for n in 5..=9 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    let got: Vec<Message> = soon("the stream ends", own.collect()).await;
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [5, 6]);
}

// P10, I10: the server reaches the old number, and forgets the subscription, before it learns of the new one
#[tokio::test]
async fn unsubscribe_after_may_be_raised_after_the_server_has_finished() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let client = nats_lifeline::connect(proxy.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    own.unsubscribe_after(2).await.unwrap();
    client.flush().await.unwrap();
    proxy.freeze(Direction::ToClient);
    let mut raw = server.raw().await;
    for n in 1..=2 {
        raw.publish("a", n.to_string()).await;
    }
    raw.sync().await;
    eventually("the server forgot it", SOON, async || server.subscriptions().is_empty()).await;
    own.unsubscribe_after(5).await.unwrap();
    eventually("the server knows it again", SOON, async || server.subscriptions().len() == 1).await;
    for n in 3..=9 {
        raw.publish("a", n.to_string()).await;
    }
    proxy.unfreeze(Direction::ToClient);
    let got: Vec<Message> = soon("the stream ends", own.collect()).await;
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    eventually("the server forgot it again", SOON, async || server.subscriptions().is_empty()).await;
}

// P10: the same while the server is still counting
#[tokio::test]
async fn unsubscribe_after_may_be_raised_and_lowered() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut own = client.subscribe("a").await.unwrap();
    for count in [2, 9, 3, 4] {
        own.unsubscribe_after(count).await.unwrap();
    }
    for n in 1..=8 {
        client.publish("a", n.to_string().into()).await.unwrap();
    }
    let got: Vec<Message> = soon("the stream ends", own.collect()).await;
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    eventually("the server forgot it", SOON, async || server.subscriptions().is_empty()).await;
}

// P10, S50
#[tokio::test]
async fn with_no_echo_ones_own_messages_do_not_come_back() {
    let server = Server::start().await;
    let client = ConnectOptions::new().no_echo().connect(server.url()).await.unwrap();
    let other = client_of(&server).await;
    let mut own = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    eventually("the server has it", SOON, async || server.subscriptions().len() == 1).await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    client.publish("a", "own".into()).await.unwrap();
    assert_eq!(raw.next().await.text(), "own");
    other.publish("a", "other".into()).await.unwrap();
    assert_eq!(next(&mut own).await.payload, "other");
}

// I2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_messages_arrive_in_order() {
    const COUNT: u64 = 100_000;
    let server = Server::start().await;
    let client = ConnectOptions::new().subscription_capacity(200_000).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        for n in 0..COUNT {
            publisher.publish("a", n.to_string().into()).await.unwrap();
        }
    });
    for n in 0..COUNT {
        assert_eq!(number(&next(&mut own).await), n);
    }
    publishing.await.unwrap();
}

// I2, scenario 85
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clones_publish_concurrently_and_each_keeps_its_order() {
    const CLONES: usize = 10;
    const EACH: u64 = 5_000;
    let server = Server::start().await;
    let client = ConnectOptions::new().subscription_capacity(200_000).connect(server.url()).await.unwrap();
    let mut own = client.subscribe("clone.*").await.unwrap();
    for index in 0..CLONES {
        let clone = client.clone();
        tokio::spawn(async move {
            for n in 0..EACH {
                clone.publish(format!("clone.{index}"), n.to_string().into()).await.unwrap();
            }
        });
    }
    let mut expected = [0; CLONES];
    for _ in 0..CLONES as u64 * EACH {
        let message = next(&mut own).await;
        let index: usize = message.subject.as_str().rsplit('.').next().unwrap().parse().unwrap();
        assert_eq!(number(&message), expected[index], "of clone {index}");
        expected[index] += 1;
    }
    assert_eq!(expected, [EACH; CLONES]);
}

// I5, promise 2
#[tokio::test]
async fn after_a_flush_the_server_has_the_published_messages() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut raw = server.raw().await;
    raw.subscribe("a", "1").await;
    for round in 1..=50 {
        for n in 0..20 {
            client.publish("a", n.to_string().into()).await.unwrap();
        }
        client.flush().await.unwrap();
        assert_eq!(raw.received().await.len(), 20, "round {round}");
    }
}

// I8, D23
#[tokio::test]
async fn a_dropped_subscriber_is_unsubscribed() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let own = client.subscribe("a").await.unwrap();
    let kept = client.subscribe("b").await.unwrap();
    client.flush().await.unwrap();
    eventually("the server has both", SOON, async || server.subscriptions().len() == 2).await;
    drop(own);
    eventually("one is left", SOON, async || server.subscriptions().iter().map(|one| one.subject.as_str()).eq(["b"]))
        .await;
    drop(kept);
}
