//! The publisher, the worker, and somebody who watches whether the consumer has a leader.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use nats_lifeline::jetstream::consumer::{AckPolicy, Info, PullConsumer, pull};
use nats_lifeline::jetstream::message::PublishMessage;
use nats_lifeline::jetstream::publish::{PublishOutcome, RetryOptions};
use nats_lifeline::jetstream::stream::{ClusterInfo, Config, StorageType};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::options::Backoff;
use nats_lifeline::{Client, ConnectOptions};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::Error;
use super::account::{Account, Silence};
use super::shared::out::{self, say};

pub(crate) const STREAM: &str = "ORDERS";
pub(crate) const CONSUMER: &str = "worker";
const SUBJECT: &str = "orders";

/// As many messages may wait for their acknowledgement.
const IN_FLIGHT: usize = 2_000;

/// How often the consumer's leader is asked for.
const WATCH: Duration = Duration::from_millis(50);

/// A silence that is worth a line.
const LONG: Duration = Duration::from_millis(700);

/// No worker needs longer for the rest, unless something is stuck.
const REST: Duration = Duration::from_secs(90);

/// What happens while the servers are disturbed.
pub(crate) struct Load {
    publisher: JoinHandle<HashMap<u64, PublishOutcome>>,
    worker: JoinHandle<Result<Delivered, Error>>,
    watcher: JoinHandle<()>,
    shared: Arc<Shared>,
    clients: [Client; 2],
}

#[derive(Default)]
struct Shared {
    /// The publisher stops.
    done: AtomicBool,
    /// The worker stops.
    over: AtomicBool,
    acknowledged: AtomicU64,
    delivered: AtomicU64,
    silence: Mutex<Silences>,
}

/// How long the worker waits.
#[derive(Default)]
struct Silences {
    all: Silence,
    /// Without a pull at the consumer's leader. A leader that has one, and messages, and delivers nothing is not there yet.
    unpulled: Silence,
}

impl Silences {
    fn begins(&mut self) {
        self.all.begins();
        self.unpulled.begins();
    }

    fn ends(&mut self, more: bool) {
        self.all.ends(more);
        self.unpulled.ends(more);
    }

    fn longest(&self) -> (Duration, Duration) {
        (self.all.longest(), self.unpulled.longest())
    }

    fn excused(&mut self, at: Instant) {
        self.all.excused(at);
        self.unpulled.excused(at);
    }
}

impl Shared {
    fn silence(&self) -> MutexGuard<'_, Silences> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the worker got.
#[derive(Default)]
pub(crate) struct Delivered {
    pub(crate) sequences: HashSet<u64>,
    pub(crate) deliveries: u64,
    pub(crate) redelivered: u64,
    pub(crate) counts: jetstream::context::DeliveryCounts,
}

async fn connect(urls: &[String]) -> Result<Client, Error> {
    let options = ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(20)));
    Ok(options.connect(urls.to_vec()).await?)
}

impl Load {
    pub(crate) async fn start(urls: &[String], calm: &Context, rate: u64) -> Result<Load, Error> {
        let config = Config {
            name: STREAM.to_owned(),
            subjects: vec![SUBJECT.to_owned()],
            storage: StorageType::File,
            num_replicas: 3,
            allow_direct: true,
            ..Config::default()
        };
        // A cluster that has just started may not place a stream yet.
        let stream = loop {
            match calm.create_stream(config.clone()).await {
                Ok(stream) => break stream,
                Err(error) => eprintln!("not yet: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let config = pull::Config {
            durable_name: Some(CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(5),
            num_replicas: 3,
            ..pull::Config::default()
        };
        stream.create_consumer(config).await?;
        let clients = [connect(urls).await?, connect(urls).await?];
        let shared = Arc::new(Shared::default());
        let publisher = tokio::spawn(publish(jetstream::new(clients[0].clone()), rate, Arc::clone(&shared)));
        let worker = tokio::spawn(work(jetstream::new(clients[1].clone()), Arc::clone(&shared)));
        let watcher = tokio::spawn(watch(calm.clone(), Arc::clone(&shared)));
        Ok(Load { publisher, worker, watcher, shared, clients })
    }

    /// A line about how far it is.
    pub(crate) fn progress(&self) -> String {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (acknowledged, delivered) = (count(&self.shared.acknowledged), count(&self.shared.delivered));
        let longest = self.shared.silence().all.longest();
        format!("acknowledged {acknowledged:>7}   delivered {delivered:>7}   longest silence {longest:.1?}")
    }

    /// Ends the publisher, lets the worker finish, and compares what all know.
    pub(crate) async fn finish(self, calm: &Context, troubles: usize, took: Duration) -> Result<Account, Error> {
        self.shared.done.store(true, Ordering::Relaxed);
        let published = self.publisher.await?;
        let stored = stored(calm).await?;
        // An acknowledgement that a lost connection took with it brings its message again.
        let rest = tokio::time::timeout(REST, drained(calm)).await;
        self.shared.over.store(true, Ordering::Relaxed);
        self.watcher.abort();
        let delivered = self.worker.await??;
        let unacknowledged = match rest {
            Ok(()) => 0,
            Err(_) => calm.get_stream(STREAM).await?.consumer_info(CONSUMER).await?.num_ack_pending as u64,
        };
        let (silence, unpulled) = self.shared.silence().longest();
        for client in self.clients {
            client.close().await?;
        }
        Ok(Account { published, stored, delivered, unacknowledged, silence, unpulled, troubles, took })
    }
}

/// Publishes numbers.
async fn publish(context: Context, rate: u64, shared: Arc<Shared>) -> HashMap<u64, PublishOutcome> {
    let (room, mut sent, mut outcomes) = (Arc::new(Semaphore::new(IN_FLIGHT)), JoinSet::new(), HashMap::new());
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut number = 0;
    while !shared.done.load(Ordering::Relaxed) {
        ticks.tick().await;
        for _ in 0..(rate / 100).max(1) {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let (context, shared) = (context.clone(), Arc::clone(&shared));
            number += 1;
            sent.spawn(async move {
                let message = PublishMessage::build().payload(number.to_string().into());
                let outcome = context.publish_retry(SUBJECT, message, RetryOptions::new()).await;
                if outcome.stored().is_some() {
                    shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                    shared.silence().begins();
                }
                drop(permit);
                (number, outcome)
            });
        }
        while let Some(Ok((number, outcome))) = sent.try_join_next() {
            outcomes.insert(number, outcome);
        }
    }
    while let Some(Ok((number, outcome))) = sent.join_next().await {
        outcomes.insert(number, outcome);
    }
    outcomes
}

/// Waits until the consumer has nothing more to deliver, and every message is acknowledged.
async fn drained(calm: &Context) {
    loop {
        if let Ok(stream) = calm.get_stream_no_info(STREAM).await {
            let info = stream.consumer_info(CONSUMER).await;
            if info.is_ok_and(|info| info.num_pending == 0 && info.num_ack_pending == 0) {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Pulls messages and acknowledges them, until it is over.
async fn work(context: Context, shared: Arc<Shared>) -> Result<Delivered, Error> {
    let consumer: PullConsumer = context.get_consumer_from_stream(CONSUMER, STREAM).await?;
    let mut messages = consumer.messages().await?;
    let mut delivered = Delivered::default();
    while !shared.over.load(Ordering::Relaxed) {
        let Ok(next) = tokio::time::timeout(Duration::from_millis(200), messages.next()).await else { continue };
        let Some(message) = next else { return Err("the consumer's stream has ended".into()) };
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                eprintln!("the worker reports: {error}");
                continue;
            }
        };
        let info = message.info()?;
        delivered.deliveries += 1;
        delivered.redelivered += u64::from(info.delivered > 1);
        delivered.sequences.insert(info.stream_sequence);
        let (got, all) = (delivered.sequences.len() as u64, shared.acknowledged.load(Ordering::Relaxed));
        shared.delivered.store(got, Ordering::Relaxed);
        shared.silence().ends(got < all);
        message.ack().await?;
    }
    delivered.counts = context.delivery_counts();
    Ok(delivered)
}

/// Looks whether the consumer has a leader that has messages to deliver: otherwise nobody can. After an election the new leader may
/// still be fetching what the stream has. Reports what the server knows while the worker waits.
async fn watch(calm: Context, shared: Arc<Shared>) {
    let mut report_at = LONG;
    loop {
        let info = async { calm.get_stream_no_info(STREAM).await.ok()?.consumer_info(CONSUMER).await.ok() };
        let asked = Instant::now();
        let info = tokio::time::timeout(Duration::from_millis(500), info).await.ok().flatten();
        let silence = shared.silence().all.present();
        match info {
            Some(Info {
                cluster: Some(ClusterInfo { leader: Some(leader), .. }),
                num_pending: 1..,
                num_waiting,
                ..
            }) => {
                // It had no leader for most of that time.
                if asked.elapsed() > WATCH * 4 {
                    shared.silence().excused(asked);
                }
                if num_waiting > 0 {
                    shared.silence().unpulled.excused(Instant::now());
                }
                if silence >= report_at {
                    report_at += LONG;
                    say!(
                        "          silent for {silence:.1?}: {leader} has messages to deliver and {num_waiting} pulls"
                    );
                }
            }
            _ => shared.silence().excused(Instant::now()),
        }
        if silence < LONG {
            report_at = LONG;
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// The numbers in the stream that each payload has.
async fn stored(calm: &Context) -> Result<HashMap<u64, Vec<u64>>, Error> {
    let mut stored: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut messages = calm.get_stream(STREAM).await?.get_many().send()?;
    while let Some(message) = messages.try_next().await? {
        let number = std::str::from_utf8(&message.payload)?.parse()?;
        stored.entry(number).or_default().push(message.sequence);
    }
    Ok(stored)
}
