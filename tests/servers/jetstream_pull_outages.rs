//! Pull consumers that lose their connection, their server, or a pull: they never go deaf, and say what is wrong.
//!
//! `DROPS=1000 cargo test --release --test servers jetstream_pull_outages` breaks connections a thousand times.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::jetstream::consumer::PullConsumer;
use nats_lifeline::jetstream::consumer::pull::{self, BatchEnd, MessagesErrorKind, StreamEvent, StreamTrouble};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};
use tokio::task::JoinHandle;

use super::jetstream_pull::{World, number, waits};
use crate::support::proxy::Watch;
use crate::support::{Cut, Direction, Proxy, SOON, Server, Timeline, eventually, soon};

/// A client that reconnects quickly.
async fn quick(url: String) -> Client {
    ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(5))).connect(url).await.unwrap()
}

async fn consumer_of(client: &Client) -> PullConsumer {
    soon("the consumer", jetstream::new(client.clone()).get_consumer_from_stream("c", "M")).await.unwrap()
}

/// Reads all the time, and acknowledges.
struct Reader {
    got: Arc<Mutex<Vec<u64>>>,
    events: pull::StreamEvents,
    task: JoinHandle<Option<pull::MessagesError>>,
}

impl Reader {
    fn of(mut messages: pull::Stream) -> Reader {
        let got = Arc::new(Mutex::new(Vec::new()));
        let (events, numbers) = (messages.events(), Arc::clone(&got));
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                match message {
                    Ok(message) => {
                        // While it can't be queued the message comes again.
                        let _ = message.ack().await;
                        numbers.lock().unwrap().push(number(&message));
                    }
                    Err(error) => return Some(error),
                }
            }
            None
        });
        Reader { got, events, task }
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    fn numbers(&self) -> Vec<u64> {
        let mut numbers = self.got.lock().unwrap().clone();
        numbers.sort_unstable();
        numbers
    }

    /// Whether all numbers below this one have come.
    fn has(&self, count: u64) -> bool {
        let mut numbers = self.numbers();
        numbers.dedup();
        numbers.into_iter().eq(0..count)
    }

    async fn has_all(&self, count: u64) {
        eventually(&format!("{count} messages"), SOON, async || self.has(count)).await;
    }

    /// What was reported since the last time.
    async fn reports(&mut self) -> Vec<StreamEvent> {
        let mut reports = Vec::new();
        while !waits_for_nothing(&mut self.events, &mut reports).await {}
        reports
    }
}

/// Takes one event, if there is one.
async fn waits_for_nothing(events: &mut pull::StreamEvents, into: &mut Vec<StreamEvent>) -> bool {
    match tokio::time::timeout(Duration::from_millis(20), events.next()).await {
        Ok(Some(event)) => into.push(event),
        _ => return true,
    }
    false
}

#[tokio::test]
async fn a_stream_goes_on_when_its_server_comes_back() {
    let mut world = World::of(Server::builder().jetstream().start().await, quick).await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut reader = Reader::of(consumer.messages().await.unwrap());
    for round in 1..4 {
        world.publish((round - 1) * 20..round * 20).await;
        reader.has_all(round * 20).await;
        world.client.flush().await.unwrap();
        world.server.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.server.restart().await;
        eventually("a connection", SOON, async || world.client.flush().await.is_ok()).await;
        let reports = reader.reports().await;
        assert!(reports.contains(&StreamEvent::Began(StreamTrouble::Disconnected)), "{reports:?}");
    }
    world.publish(60..80).await;
    reader.has_all(80).await;
    // A server that was killed may have forgotten what it had delivered last, and delivers it again.
    assert!((80..160).contains(&reader.count()), "{}", reader.count());
    assert!(!reader.task.is_finished());
}

/// When a proxy passed on each pull.
type Pulls = Arc<Mutex<Vec<Instant>>>;

/// Notes when pulls go by. They may be cut into two reads.
fn clock_of_pulls(pulls: Pulls) -> Watch {
    const PULL: &[u8] = b"PUB $JS.API.CONSUMER.MSG.NEXT.";
    Arc::new(move || {
        let (pulls, mut tail) = (Arc::clone(&pulls), Vec::new());
        Box::new(move |bytes| {
            tail.extend_from_slice(bytes);
            let count = tail.windows(PULL.len()).filter(|window| *window == PULL).count();
            pulls.lock().unwrap().extend(std::iter::repeat_n(Instant::now(), count));
            tail.drain(..tail.len().saturating_sub(PULL.len() - 1));
        })
    })
}

// J2: `CUTS=1000` and `--nocapture` show how long after Connected a pull is on the wire.
#[tokio::test]
async fn a_pull_is_on_the_wire_as_soon_as_there_is_a_connection() {
    let cuts: usize = std::env::var("CUTS").map_or(10, |cuts| cuts.parse().expect("CUTS is a number"));
    let server = Server::builder().jetstream().start().await;
    let pulls = Pulls::default();
    let proxy = Proxy::start_watched(server.port(), clock_of_pulls(Arc::clone(&pulls))).await;
    let world = World::of(server, quick).await;
    world.consumer(pull::Config::default()).await;
    let client = quick(proxy.url()).await;
    let reader = Reader::of(consumer_of(&client).await.messages().await.unwrap());
    let mut connections = client.events();
    let mut times = Vec::new();
    for cut in 0..cuts {
        let number = u64::try_from(cut).unwrap();
        world.publish(number..number + 1).await;
        reader.has_all(number + 1).await;
        let before = pulls.lock().unwrap().len();
        proxy.cut(if cut % 2 == 0 { Cut::Rst } else { Cut::Fin });
        let connected = soon("a connection", async {
            while !matches!(connections.recv().await, Some(ConnectionEvent::Reconnected { .. })) {}
            Instant::now()
        })
        .await;
        eventually("a pull", SOON, async || pulls.lock().unwrap().len() > before).await;
        // It may be written before Connected is reported.
        times.push(pulls.lock().unwrap()[before].saturating_duration_since(connected));
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    let longest = *times.last().unwrap();
    println!("from Connected to a pull on the wire: n {cuts}, median {median:?}, maximum {longest:?}");
    assert!(longest < SOON, "{longest:?}");
}

#[tokio::test]
async fn a_lost_connection_is_followed_by_a_pull_before_anything_is_asked() {
    let server = Server::builder().jetstream().start().await;
    let proxy = Proxy::start(server.port()).await;
    let world = World::of(server, quick).await;
    world.consumer(pull::Config::default()).await;
    let client = quick(proxy.url()).await;
    let reader = Reader::of(consumer_of(&client).await.messages().await.unwrap());
    world.publish(0..1).await;
    reader.has_all(1).await;
    client.flush().await.unwrap();
    let timeline = Timeline::of(&client);
    let before = proxy.passages().len();
    proxy.cut(Cut::Rst);
    timeline.reconnected(0).await;
    world.publish(1..2).await;
    reader.has_all(2).await;
    let lines = proxy.passages()[before].lines();
    let sent: Vec<&String> = lines.iter().filter(|line| line.starts_with("SUB ") || line.starts_with("PUB ")).collect();
    assert!(sent[0].starts_with("SUB ") && sent.iter().any(|line| line.starts_with("SUB _INBOX.")), "{sent:?}");
    let first = sent.iter().find(|line| line.starts_with("PUB ")).unwrap();
    assert!(first.starts_with("PUB $JS.API.CONSUMER.MSG.NEXT.M.c _INBOX."), "{sent:?}");
}

#[tokio::test]
async fn nothing_is_lost_over_connections_that_are_cut_at_any_byte() {
    let drops: u64 = std::env::var("DROPS").map_or(60, |drops| drops.parse().expect("DROPS is a number"));
    let world = World::of(Server::builder().jetstream().start().await, quick).await;
    let config = pull::Config { ack_wait: Duration::from_secs(1), ..pull::Config::default() };
    world.consumer(config).await;
    let proxy = Proxy::start(world.server.port()).await;
    let client = quick(proxy.url()).await;
    let timeline = Timeline::of(&client);
    let reader = Reader::of(consumer_of(&client).await.stream().max_messages_per_batch(16).messages().await.unwrap());
    // There always is something to send in both directions.
    let (context, done) = (world.context.clone(), Arc::new(AtomicBool::new(false)));
    let publisher = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut count = 0_u64;
            while !done.load(Ordering::Relaxed) {
                let ack = context.publish("m.a", count.to_string().into()).await.unwrap();
                soon("an acknowledgement", ack.into_future()).await.unwrap();
                count += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            count
        }
    });
    for drop in 0..drops {
        let (direction, bytes) = match drop % 3 {
            0 => (Direction::ToServer, drop * 7 % 300),
            _ => (Direction::ToClient, drop * 31 % 2_000),
        };
        proxy.cut_at(direction, proxy.passed(direction) + bytes, if drop % 2 == 0 { Cut::Rst } else { Cut::Fin });
        let number = usize::try_from(drop).unwrap();
        timeline.disconnected(number).await;
        proxy.never_cut(direction);
        timeline.reconnected(number).await;
    }
    done.store(true, Ordering::Relaxed);
    let published = soon("the last message", publisher).await.unwrap();
    // Acknowledgements can be lost with a connection: then a message comes again.
    reader.has_all(published).await;
    assert!(!reader.task.is_finished());
    eventually("acknowledgements", SOON, async || world.info().await.num_ack_pending == 0).await;
}

// A server drops a pull with a heartbeat without a word if too many are waiting.
#[tokio::test]
async fn a_pull_that_is_swallowed_is_noticed_by_its_silence() {
    let world = World::of(Server::builder().jetstream().start().await, quick).await;
    let consumer = world.consumer(pull::Config { max_waiting: 1, ..pull::Config::default() }).await;
    let blocks = Duration::from_secs(4);
    let mut other =
        consumer.batch().max_messages(2).expires(blocks).heartbeat(Duration::ZERO).messages().await.unwrap();
    assert!(waits(&mut other).await);
    world.client.flush().await.unwrap();
    let mut reader = Reader::of(consumer.messages().await.unwrap());
    world.publish(0..1).await;
    soon("the other's message", other.next()).await.unwrap().unwrap().ack().await.unwrap();
    let began = soon("a report", reader.events.next()).await;
    assert_eq!(began, Some(StreamEvent::Began(StreamTrouble::Silence)));
    assert!(soon("the other's end", other.next()).await.is_none());
    assert_eq!(other.end(), Some(&BatchEnd::Expired));
    let over = soon("a report", reader.events.next()).await;
    assert!(matches!(over, Some(StreamEvent::Over { cause: StreamTrouble::Silence, .. })), "{over:?}");
    world.publish(1..2).await;
    eventually("a message", SOON, async || reader.numbers() == [1]).await;
}

#[tokio::test]
async fn a_consumer_that_is_deleted_during_an_outage_ends_its_stream() {
    let world = World::of(Server::builder().jetstream().start().await, quick).await;
    world.consumer(pull::Config::default()).await;
    let proxy = Proxy::start(world.server.port()).await;
    let client = quick(proxy.url()).await;
    let mut reader = Reader::of(consumer_of(&client).await.messages().await.unwrap());
    world.publish(0..1).await;
    reader.has_all(1).await;
    proxy.refuse().await;
    proxy.cut(Cut::Rst);
    soon("a deletion", world.stream.delete_consumer("c")).await.unwrap();
    proxy.admit().await;
    let error = soon("the end", &mut reader.task).await.unwrap().unwrap();
    assert_eq!(error.kind(), MessagesErrorKind::ConsumerDeleted);
    let reports = reader.reports().await;
    assert!(reports.contains(&StreamEvent::Began(StreamTrouble::NoResponders)), "{reports:?}");
}

#[tokio::test]
async fn a_batch_ends_within_its_deadline_although_nothing_comes_any_more() {
    let world = World::of(Server::builder().jetstream().start().await, quick).await;
    world.consumer(pull::Config::default()).await;
    let proxy = Proxy::start(world.server.port()).await;
    let client = quick(proxy.url()).await;
    let consumer = consumer_of(&client).await;
    let second = Duration::from_secs(1);
    for cut in [false, true] {
        let began = Instant::now();
        let builder = consumer.batch().max_messages(2).expires(second).heartbeat(second / 4);
        let mut batch = builder.messages().await.unwrap();
        client.flush().await.unwrap();
        if cut {
            proxy.refuse().await;
            proxy.cut(Cut::Rst);
        } else {
            proxy.freeze(Direction::ToClient);
        }
        assert!(soon("the end", batch.next()).await.is_none());
        let trouble = if cut { StreamTrouble::Disconnected } else { StreamTrouble::Silence };
        assert_eq!(batch.end(), Some(&BatchEnd::TimedOut(Some(trouble))));
        assert!(began.elapsed() >= second / 2, "{:?}", began.elapsed());
        proxy.unfreeze(Direction::ToClient);
        proxy.admit().await;
        soon("a flush", async { while client.flush().await.is_err() {} }).await;
    }
}

#[tokio::test]
async fn a_batch_gets_its_messages_although_the_connection_is_lost() {
    let world = World::of(Server::builder().jetstream().start().await, quick).await;
    world.consumer(pull::Config::default()).await;
    let proxy = Proxy::start(world.server.port()).await;
    let client = quick(proxy.url()).await;
    let mut batch = consumer_of(&client).await.batch().max_messages(4).expires(SOON).messages().await.unwrap();
    world.publish(0..2).await;
    for expected in 0..2 {
        assert_eq!(number(&soon("a message", batch.next()).await.unwrap().unwrap()), expected);
    }
    proxy.cut(Cut::Fin);
    assert!(waits(&mut batch).await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.publish(2..4).await;
    for expected in 2..4 {
        assert_eq!(number(&soon("a message", batch.next()).await.unwrap().unwrap()), expected);
    }
    assert!(soon("the end", batch.next()).await.is_none());
    assert_eq!(batch.end(), Some(&BatchEnd::Full));
}

#[tokio::test]
async fn two_clients_share_a_consumer_and_one_takes_over_when_the_other_is_gone() {
    let world = World::of(Server::builder().jetstream().start().await, quick).await;
    world.consumer(pull::Config { ack_wait: Duration::from_secs(1), ..pull::Config::default() }).await;
    let proxy = Proxy::start(world.server.port()).await;
    let (one, two) = (quick(proxy.url()).await, quick(world.server.url()).await);
    let mut readers = Vec::new();
    for client in [&one, &two] {
        let consumer = consumer_of(client).await;
        readers.push(Reader::of(consumer.stream().max_messages_per_batch(4).messages().await.unwrap()));
    }
    let all = |count: u64| {
        let mut numbers: Vec<u64> = readers.iter().flat_map(Reader::numbers).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().eq(0..count)
    };
    world.publish(0..100).await;
    eventually("100 messages", SOON, async || all(100)).await;
    assert!(readers.iter().all(|reader| reader.count() > 0), "both get some");
    proxy.freeze(Direction::ToClient);
    proxy.freeze(Direction::ToServer);
    world.publish(100..200).await;
    // What was on the way to the first one comes again.
    eventually("200 messages", SOON * 2, async || all(200)).await;
}

// What a user sees who leaves the context's client with it.
#[tokio::test]
async fn a_stream_ends_with_its_client() {
    let world = World::of(Server::builder().jetstream().start().await, quick).await;
    let consumer = world.consumer(pull::Config::default()).await;
    let mut messages = consumer.messages().await.unwrap();
    let mut batch = consumer.batch().messages().await.unwrap();
    assert!(waits(&mut messages).await && waits(&mut batch).await);
    let _ = soon("the end", world.client.drain()).await;
    assert!(soon("the end", messages.next()).await.is_none());
    assert!(soon("the end", batch.next()).await.is_none());
    assert_eq!(batch.end(), Some(&BatchEnd::Closed));
    let _: &Context = &world.context;
}

// J2
#[tokio::test]
async fn what_a_server_delivers_again_under_the_same_numbers_is_delivered() {
    let world = World::start().await;
    let consumer = world.consumer(pull::Config::default()).await;
    world.publish(0..5).await;
    let mut messages = consumer.messages().await.unwrap();
    for _ in 0..5 {
        let message = soon("a message", messages.next()).await.unwrap().unwrap();
        message.double_ack().await.unwrap();
    }
    // Until no move can deliver them twice.
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    soon("a reset", world.stream.reset_consumer("c", Some(1))).await.unwrap();
    for number in 1..=5 {
        let message = soon("a message again", messages.next()).await.unwrap().unwrap();
        let info = message.info().unwrap();
        assert_eq!((info.stream_sequence, info.delivered), (number, 1));
    }
}
