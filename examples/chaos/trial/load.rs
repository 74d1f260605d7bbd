//! The load: publishers, a subscriber, flushes that check what has arrived, and a check of the sum all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::Stats;
use nats_lifeline::options::SubscribeOptions;
use nats_lifeline::{Client, ConnectOptions, Subscriber};
use tokio::task::JoinHandle;

use super::Error;
use super::args::{Args, Mode};
use super::attack::Attack;
use super::cutter::wait;
use super::letter::Letter;
use super::publisher::{FlushResults, Publisher};
use super::record::Record;

/// The number of publishers, each with its own clone of the client, and the most messages between two flushes.
const PUBLISHERS: [u64; 4] = [20, 300, 5_000, u64::MAX];

/// The interval between checks of flushes and of the sum.
const MARK_EVERY: Duration = Duration::from_millis(200);
const SAMPLE_EVERY: Duration = Duration::from_millis(5);

/// How long the end may take, after the last fault.
const END: Duration = Duration::from_secs(60);

/// The state that all tasks share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) over: AtomicBool,
    pub(crate) published: AtomicU64,
    /// Failed publishes, which the caller knows of.
    pub(crate) refused: AtomicU64,
    pub(crate) record: Mutex<Record>,
    /// Messages that the subscriber's client dropped because this program read too slowly.
    pub(crate) dropped: AtomicU64,
    pub(crate) samples: AtomicU64,
    /// The first sample whose sum did not hold.
    pub(crate) unbalanced: Mutex<Option<Stats>>,
}

pub(crate) struct Load {
    pub(crate) publisher: Client,
    pub(crate) subscriber: Client,
    pub(crate) shared: Arc<Shared>,
    subject: String,
    publishing: Vec<JoinHandle<FlushResults>>,
    /// The results of each publisher's flushes.
    pub(crate) results: Vec<FlushResults>,
    /// The number of the last mark.
    marks: u64,
    is_marking: bool,
}

impl Load {
    pub(crate) async fn start(args: &Args, attack: &Attack) -> Result<Load, Error> {
        // A dead network is noticed within two seconds.
        let options = ConnectOptions::new()
            .ping_interval(Duration::from_secs(1))
            .connection_timeout(Duration::from_secs(2))
            .delivery(args.delivery)
            .overflow_policy(args.overflow)
            .reconnect_buffer_size(4 * 1024 * 1024);
        let options = if args.mode == Mode::Cut { options.ignore_discovered_servers() } else { options };
        let publisher = options.clone().name("publisher").connect(attack.exposed()).await?;
        let subscriber = options.name("subscriber").connect(attack.sheltered()).await?;
        let subject = subscriber.new_inbox();
        let shared = Arc::new(Shared::default());

        let patient = SubscribeOptions::new().capacity(10_000_000).byte_capacity(1 << 30);
        let subscription = subscriber.subscribe_with(format!("{subject}.*"), patient).await?;
        tokio::spawn(read(subscription, publisher.clone(), subscriber.clone(), shared.clone()));
        subscriber.flush().await?;
        // In a cluster the servers exchange subscriptions a moment later.
        tokio::time::sleep(Duration::from_millis(300)).await;

        tokio::spawn(sample([publisher.clone(), subscriber.clone()], shared.clone()));
        let publishing = (0_u32..).zip(PUBLISHERS).map(|(from, between_flushes)| {
            let rate = args.rate.div_ceil(PUBLISHERS.len() as u64);
            let client = publisher.clone();
            let subject = format!("{subject}.{from}");
            let seed = args.seed;
            let publisher = Publisher { client, subject, from, rate, between_flushes, seed, shared: shared.clone() };
            tokio::spawn(publisher.run())
        });
        let publishing = publishing.collect();
        let is_marking = args.mode == Mode::Cut;
        Ok(Load { publisher, subscriber, shared, subject, publishing, results: Vec::new(), marks: 0, is_marking })
    }

    /// Sends a mark after everything that the server has processed by now: when the subscriber reads it, it has read
    /// the messages that flushes have reported as arrived. Only if the subscriber is on the same server.
    pub(crate) async fn mark(&mut self) -> Result<(), Error> {
        if self.is_marking {
            self.marks += 1;
            lock(&self.shared.record).mark(self.marks);
            self.subscriber.publish(format!("{}.mark", self.subject), self.marks.to_string().into()).await?;
        }
        Ok(())
    }

    /// Sends marks for this long.
    pub(crate) async fn go_on(&mut self, time: Duration) -> Result<(), Error> {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            self.mark().await?;
            tokio::time::sleep_until(end.min(tokio::time::Instant::now() + MARK_EVERY)).await;
        }
        Ok(())
    }

    /// Ends the load, and waits until published messages are confirmed and messages in flight are read. `false`: that
    /// took too long.
    pub(crate) async fn finish(&mut self) -> Result<bool, Error> {
        self.shared.over.store(true, Ordering::Relaxed);
        let mut in_time = true;
        for task in self.publishing.drain(..) {
            match tokio::time::timeout(END, task).await {
                Ok(results) => self.results.push(results?),
                Err(_) => in_time = false,
            }
        }
        self.mark().await?;
        let (marks, shared) = (self.marks, self.shared.clone());
        in_time &= wait(END, || lock(&shared.record).marked == marks).await;
        // Through a cluster, messages take longer.
        let received = || lock(&shared.record).sums().received;
        loop {
            let before = received();
            tokio::time::sleep(Duration::from_millis(500)).await;
            if received() == before {
                return Ok(in_time);
            }
        }
    }

    pub(crate) async fn close(self) {
        for client in [self.publisher, self.subscriber] {
            // Its result is in the account.
            let _ = client.close().await;
        }
    }
}

/// Records every received message.
async fn read(mut messages: Subscriber, publisher: Client, subscriber: Client, shared: Arc<Shared>) {
    let mut connection = 0;
    while let Some(message) = messages.next().await {
        // After the message was received: events that are already reported happened before it.
        let (era, own) = (publisher.stats().disconnects + 1, subscriber.stats().disconnects);
        shared.dropped.store(messages.dropped(), Ordering::Relaxed);
        let mut record = lock(&shared.record);
        if own != connection {
            connection = own;
            record.moved();
        }
        if message.subject.ends_with(".mark") {
            match std::str::from_utf8(&message.payload).ok().and_then(|number| number.parse().ok()) {
                Some(number) => record.came(number),
                None => record.corrupted += 1,
            }
        } else {
            record.note(
                Letter::of(&message).filter(|letter| message.subject.ends_with(&format!(".{}", letter.from))),
                era,
            );
        }
    }
}

/// Checks repeatedly that every sum holds.
async fn sample(clients: [Client; 2], shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    loop {
        ticks.tick().await;
        for client in &clients {
            let stats = client.stats();
            shared.samples.fetch_add(1, Ordering::Relaxed);
            if !stats.balances() {
                lock(&shared.unbalanced).get_or_insert(stats);
            }
            if client.status() == nats_lifeline::connection::Status::Closed {
                return;
            }
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
