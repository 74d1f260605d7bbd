//! `Subscriber::next_batch`: the messages, their order and their counts are those of the stream.

use std::collections::VecDeque;
use std::mem::forget;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use nats_lifeline::client::MessageRef;
use nats_lifeline::connection::Status;
use nats_lifeline::protocol::message;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, HeaderMap, Message, StatusCode, Subscriber};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::support::{SOON, eventually, soon};

async fn client(broker: &Broker) -> Client {
    ConnectOptions::new().connect(broker.url()).await.unwrap()
}

/// A message as a server sends it.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    subject: String,
    reply: Option<String>,
    headers: Option<Bytes>,
    payload: Bytes,
}

impl Sent {
    fn random(rng: &mut SmallRng, number: usize) -> Sent {
        let blocks: [&[u8]; 4] = [
            b"NATS/1.0\r\nTrace: 1\r\nTrace: 2\r\n\r\n",
            b"NATS/1.0 503\r\n\r\n",
            b"NATS/1.0 408 Late\r\nA: b\r\n\r\n",
            b"?",
        ];
        let size = [0, 1, 16, 16, 16, 100, 900, 3000].choose(rng).copied().unwrap();
        Sent {
            subject: format!("a.{}", ["eu", "us", &number.to_string()].choose(rng).unwrap()),
            reply: rng.random_bool(0.2).then(|| format!("reply.{number}")),
            headers: rng.random_bool(0.3).then(|| Bytes::from_static(blocks.choose(rng).unwrap())),
            payload: Bytes::from(vec![b'a' + (number % 26) as u8; size]),
        }
    }

    fn write(&self, out: &mut Vec<u8>, sid: u64) {
        message(
            out,
            self.subject.as_bytes(),
            sid,
            self.reply.as_deref().map(str::as_bytes),
            self.headers.as_deref(),
            &self.payload,
        );
    }

    #[track_caller]
    fn check(&self, message: &Message) {
        let headers = self.headers.clone().map(HeaderMap::from_wire);
        assert_eq!(
            (message.subject.as_str(), message.reply.as_ref().map(|reply| reply.as_str()), &message.headers),
            (self.subject.as_str(), self.reply.as_deref(), &headers)
        );
        assert_eq!(message.headers.as_ref().and_then(HeaderMap::raw), self.headers.as_ref());
        assert_eq!(message.payload, self.payload);
        let headers = self.headers.as_ref().map_or(0, Bytes::len);
        let reply = self.reply.as_ref().map_or(0, String::len);
        assert_eq!(message.length, self.subject.len() + reply + headers + self.payload.len());
    }

    #[track_caller]
    fn check_ref(&self, message: MessageRef<'_>) {
        let kept = message.to_message();
        self.check(&kept);
        assert_eq!(message.subject(), kept.subject.as_str());
        assert_eq!(message.reply().as_deref(), kept.reply.as_ref().map(|reply| reply.as_str()));
        assert_eq!(message.payload(), kept.payload);
        assert_eq!((message.status(), message.length()), (kept.status, kept.length));
        assert_eq!(message.headers(), kept.headers);
        assert_eq!(message.headers().as_ref().and_then(HeaderMap::raw), kept.headers.as_ref().and_then(HeaderMap::raw));
    }
}

/// Reads `expected`, one message or many at a time; batches are dropped, read in part, or forgotten.
async fn read(subscriber: &mut Subscriber, mut expected: VecDeque<Sent>, mut rng: SmallRng) {
    let all = subscriber.delivered() + expected.len() as u64;
    while !expected.is_empty() {
        let left = all - subscriber.delivered();
        assert_eq!(left, expected.len() as u64, "a batch counts when it is dropped or forgotten");
        let counts = subscriber.counts();
        assert_eq!((counts.delivered, counts.pending), (subscriber.delivered(), subscriber.pending()));
        assert!(counts.pending as u64 <= left && counts.dropped == 0, "{counts:?}");
        if rng.random_bool(0.3) {
            expected.pop_front().unwrap().check(&soon("a message", subscriber.next()).await.unwrap());
            continue;
        }
        let max = [0, 1, 1, 2, 7, 100, usize::MAX].choose(&mut rng).copied().unwrap();
        let batch = soon("a batch", subscriber.next_batch(max)).await.unwrap();
        let len = batch.len();
        assert!((1..=max.max(1)).contains(&len), "{len} of {max}");
        assert_eq!(batch.iter().count(), len);
        for (message, sent) in batch.iter().zip(expected.drain(..len)) {
            sent.check_ref(message);
        }
        if rng.random_bool(0.3) {
            forget(batch);
        }
    }
    assert_eq!((subscriber.delivered(), subscriber.pending(), subscriber.dropped()), (all, 0, 0));
}

/// Sends and reads rounds of messages, interleaved, in reads of many sizes.
async fn exchange(options: ConnectOptions, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let broker = Broker::start().await.unwrap();
    let client = options.connect(broker.url()).await.unwrap();
    let mut subscribers = Vec::new();
    for _ in 0..3 {
        subscribers.push(client.subscribe("a.*").await.unwrap());
    }
    soon("a flush", client.flush()).await.unwrap();
    for round in 0..12 {
        let (mut bytes, mut expected) = (Vec::new(), vec![VecDeque::new(); subscribers.len()]);
        // In some rounds one subscription has nearly everything, or all of it.
        let most = [0.0, 0.5, 0.95, 1.0].choose(&mut rng).copied().unwrap();
        for number in 0..[3, 40, 700, 3000][round % 4] {
            let sent = Sent::random(&mut rng, number);
            let at = if rng.random_bool(most) { 0 } else { rng.random_range(0..subscribers.len()) };
            sent.write(&mut bytes, subscribers[at].sid());
            expected[at].push_back(sent);
            match rng.random_range(0..300) {
                0 => bytes.extend_from_slice(b"PING\r\n"),
                1 => message(&mut bytes, b"a.x", 999, None, None, b"for nobody"),
                _ => {}
            }
        }
        broker.inject(&bytes);
        // Together: the client may wait for any of them.
        let reading = subscribers.iter_mut().zip(expected).map(|(subscriber, expected)| {
            let rng = SmallRng::seed_from_u64(rng.random());
            read(subscriber, expected, rng)
        });
        join_all(reading).await;
    }
}

// N21
#[tokio::test]
async fn messages_are_complete_and_in_order_whether_read_one_by_one_or_in_batches() {
    for seed in 0..4 {
        exchange(ConnectOptions::new(), seed).await;
    }
}

// N21. Queues that overflow while they are read.
#[tokio::test]
async fn batches_of_a_small_queue_are_complete_and_in_order() {
    for seed in 10..13 {
        let hour = Duration::from_secs(3600);
        let options =
            ConnectOptions::new().subscription_capacity(1000).slow_consumer_grace(hour).ping_interval(2 * hour);
        exchange(options, seed).await;
    }
}

// N21, P10
#[tokio::test]
async fn messages_that_a_reader_of_batches_was_too_slow_for_are_counted() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().subscription_capacity(10).slow_consumer_grace(Duration::ZERO);
    let client = options.connect(broker.url()).await.unwrap();
    let mut subscriber = client.subscribe("a").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    broker.inject(&b"MSG a 1 1\r\nx\r\n".repeat(100));
    eventually("the loss", SOON, async || subscriber.dropped() == 90).await;
    assert_eq!(soon("a batch", subscriber.next_batch(7)).await.unwrap().len(), 7);
    let counts = subscriber.counts();
    assert_eq!((counts.delivered, counts.dropped, counts.pending), (7, 90, 3));
    assert_eq!(soon("a batch", subscriber.next_batch(7)).await.unwrap().len(), 3);
    let counts = subscriber.counts();
    assert_eq!((counts.delivered, counts.dropped, counts.pending), (10, 90, 0));
}

// N21. Messages that wait for room in the queue were received, too.
#[tokio::test]
async fn counts_are_complete_while_the_client_waits_for_a_slow_reader() {
    let broker = Broker::start().await.unwrap();
    let hour = Duration::from_secs(3600);
    let options = ConnectOptions::new().subscription_capacity(10).slow_consumer_grace(hour).ping_interval(2 * hour);
    let client = options.connect(broker.url()).await.unwrap();
    let mut subscriber = client.subscribe("a").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    broker.inject(&b"MSG a 1 1\r\nx\r\n".repeat(100));
    eventually("messages", SOON, async || subscriber.pending() > 0).await;
    assert_eq!(subscriber.counts().pending as u64, client.stats().in_messages);
    let mut read = 0;
    while read < 100 {
        read += soon("a batch", subscriber.next_batch(3)).await.unwrap().len();
        let counts = subscriber.counts();
        assert_eq!(counts.delivered + counts.pending as u64, client.stats().in_messages);
    }
}

// N21, S67
#[tokio::test]
async fn a_cancelled_batch_loses_no_message() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut subscriber = client.subscribe("a").await.unwrap();
    let publisher = client.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..500_u64 {
            publisher.publish("a", number.to_string().into()).await.unwrap();
            publisher.flush().await.unwrap();
        }
    });
    let mut got = Vec::new();
    while got.len() < 500 {
        // Usually cancelled immediately.
        if let Ok(Some(batch)) = tokio::time::timeout(Duration::ZERO, subscriber.next_batch(3)).await {
            got.extend(batch.iter().map(|message| message.subject().len() + message.payload().len()));
        }
        tokio::task::yield_now().await;
    }
    publishing.await.unwrap();
    assert_eq!(got, (0..500_u64).map(|number| 1 + number.to_string().len()).collect::<Vec<_>>());
    assert_eq!(subscriber.delivered(), 500);
}

// N21
#[tokio::test]
async fn after_the_last_message_there_is_no_batch() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut subscriber = client.subscribe("a").await.unwrap();
    for number in 0..5 {
        client.publish("a", number.to_string().into()).await.unwrap();
    }
    soon("a flush", client.flush()).await.unwrap();
    subscriber.unsubscribe().await.unwrap();
    assert_eq!(soon("a batch", subscriber.next_batch(0)).await.unwrap().len(), 1, "0 counts as 1");
    assert_eq!(soon("a batch", subscriber.next_batch(usize::MAX)).await.unwrap().len(), 4);
    for _ in 0..2 {
        assert!(soon("the end", subscriber.next_batch(usize::MAX)).await.is_none());
        assert!(soon("the end", subscriber.next()).await.is_none());
    }
    assert_eq!(subscriber.delivered(), 5);
}

// N21. A batch may be about to be answered.
#[tokio::test]
async fn a_drain_ends_when_the_last_batch_is_dropped_and_not_before() {
    for end in ["dropped", "forgotten", "forgotten, then the stream is read"] {
        let broker = Broker::start().await.unwrap();
        let client = client(&broker).await;
        let mut subscriber = client.subscribe("a").await.unwrap();
        for number in 0..5 {
            client.publish("a", number.to_string().into()).await.unwrap();
        }
        soon("a flush", client.flush()).await.unwrap();
        for (max, len) in [(3, 3), (usize::MAX, 2)] {
            let batch = soon("a batch", subscriber.next_batch(max)).await.unwrap();
            assert_eq!(batch.len(), len);
            if max == 3 {
                client.drain().await.unwrap();
            }
            // Time enough to end, if it did.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(client.status(), Status::Draining, "{end}");
            // An answer is still possible.
            client.publish("b", "answer".into()).await.unwrap();
            if end != "dropped" {
                forget(batch);
            }
        }
        // Whoever asks for the next message has answered the last one.
        if end.ends_with("read") {
            assert!(soon("the end", subscriber.next()).await.is_none());
        } else {
            assert!(soon("the end", subscriber.next_batch(1)).await.is_none());
        }
        eventually("closed", SOON, async || client.status() == Status::Closed).await;
        assert_eq!((subscriber.delivered(), subscriber.pending()), (5, 0), "{end}");
    }
}

// N21
#[tokio::test]
async fn a_forgotten_batch_stays_counted_while_the_reader_waits() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut subscriber = client.subscribe("a".to_owned()).await.unwrap();
    client.publish("a", "x".into()).await.unwrap();
    forget(soon("a batch", subscriber.next_batch(9)).await.unwrap());
    assert_eq!(subscriber.delivered(), 1);
    assert!(subscriber.next().now_or_never().is_none());
    assert_eq!((subscriber.delivered(), subscriber.pending()), (1, 0));
}

// N21
#[tokio::test]
async fn a_status_is_read_from_the_borrowed_block() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut subscriber = client.subscribe("a").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    broker.inject(b"HMSG a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\nMSG a 1 0\r\n\r\n");
    let mut statuses = Vec::new();
    while statuses.len() < 2 {
        statuses
            .extend(soon("a batch", subscriber.next_batch(2)).await.unwrap().iter().map(|message| message.status()));
    }
    assert_eq!(statuses, [Some(StatusCode::NO_RESPONDERS), None]);
}

// Shares that are left over and cut again hid the reader from tokio's budget.
#[tokio::test]
async fn a_reader_of_small_batches_lets_others_run() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut subscriber = client.subscribe("a").await.unwrap();
    for _ in 0..30_000 {
        client.publish("a", "x".into()).await.unwrap();
    }
    eventually("all messages", SOON, async || subscriber.pending() == 30_000).await;
    let reading = tokio::spawn(async move {
        let mut read = 0;
        while read < 30_000 {
            read += subscriber.next_batch(3).await.unwrap().len();
        }
    });
    let mut turns = 0;
    while !reading.is_finished() {
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert!(turns > 10, "{turns} turns beside 10,000 batches");
}

// N21. The messages are the batch's own, whatever becomes of the connection.
#[tokio::test]
async fn a_batch_is_whole_after_its_connection_and_its_client_are_gone() {
    for ending in ["lost", "closed", "drained", "dropped"] {
        let broker = Broker::start().await.unwrap();
        let client = client(&broker).await;
        let mut subscriber = client.subscribe("a").await.unwrap();
        let payload = |number: usize| vec![b'a' + (number % 26) as u8; number];
        for number in 0..600 {
            client.publish("a", payload(number).into()).await.unwrap();
        }
        soon("a flush", client.flush()).await.unwrap();
        let batch = soon("a batch", subscriber.next_batch(500)).await.unwrap();
        match ending {
            "lost" => broker.kill(),
            "closed" => drop(client.close().await),
            "drained" => drop(client.drain_and_close(Duration::from_millis(50)).await),
            _ => drop(client),
        }
        // Reads that follow use the memory again that nobody has any more.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let len = batch.len();
        for (number, message) in batch.iter().enumerate() {
            assert_eq!(message.payload(), payload(number), "{ending}");
        }
        drop(batch);
        let mut next = len;
        while next < 600 {
            let batch = soon("the rest", subscriber.next_batch(usize::MAX)).await.unwrap();
            for message in &batch {
                assert_eq!(message.payload(), payload(next), "{ending}");
                next += 1;
            }
        }
        assert_eq!((subscriber.delivered(), subscriber.dropped()), (600, 0), "{ending}");
    }
}
