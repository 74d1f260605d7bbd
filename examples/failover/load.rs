//! The load: a publisher, subscribers, requests and a responder.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::client::FlushFailure;
use nats_lifeline::{Client, ConnectOptions, Message, RequestError, Subscriber};
use tokio::task::JoinHandle;

use crate::account::Account;
use crate::args::Args;
use crate::attack::Attack;
use crate::{Error, payload};

/// Requests in flight at a time.
const ASKING: u64 = 4;

/// The pause between two requests.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(5);

/// The interval between flushes.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// How long the end may take: until everything is confirmed, and until everything is read.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
const READ_WITHIN: Duration = Duration::from_secs(2);

pub(crate) struct Load {
    /// Publishes, and receives its own messages. The attacked client.
    pub(crate) publisher: Client,
    /// Sends requests. It has the same servers.
    pub(crate) asker: Client,
    /// Has a member of the queue group and the responder, on a server that is never killed.
    helper: Client,
    pub(crate) plain: Arc<Mutex<Account>>,
    pub(crate) queue: Arc<Mutex<Account>>,
    pub(crate) published: Arc<AtomicU64>,
    /// Failed publishes, which the caller knows of.
    pub(crate) refused: Arc<AtomicU64>,
    pub(crate) answers: Arc<Mutex<Answers>>,
    pub(crate) flushes: Flushes,
    /// Messages that a client dropped because its subscriber was too slow.
    pub(crate) dropped: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    working: Vec<JoinHandle<()>>,
    flushing: Option<JoinHandle<Flushes>>,
}

/// The results of `flush`.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    /// Messages in doubt, as reported by failed flushes. Each is reported once.
    pub(crate) in_doubt: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) right: u64,
    /// Answers to another request.
    pub(crate) wrong: u64,
    pub(crate) failed: BTreeMap<String, u64>,
}

impl Answers {
    fn note(&mut self, question: u64, outcome: Result<Message, RequestError>) {
        match outcome {
            Ok(answer) if payload::number(&answer.payload) == Some(question) => self.right += 1,
            Ok(_) => self.wrong += 1,
            Err(error) => {
                let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                // The text after the colon has numbers that differ each time.
                let reason = reason.split(';').next().unwrap_or_default().to_owned();
                *self.failed.entry(reason).or_default() += 1;
            }
        }
    }
}

impl Flushes {
    async fn flush(&mut self, client: &Client) -> bool {
        match client.flush_timeout(CONFIRM_WITHIN).await {
            Ok(()) => self.ok += 1,
            Err(error) => {
                self.failed += 1;
                if let Some(FlushFailure::InDoubt(messages)) = error.source_as() {
                    self.in_doubt += messages;
                    return true;
                }
            }
        }
        false
    }
}

impl Load {
    pub(crate) async fn start(args: &Args, attack: &Attack) -> Result<Load, Error> {
        let options = ConnectOptions::new();
        // Gossip announces C to all clients; a client on C could not be attacked any more.
        let exposed = if attack.is_ours() { options.clone().ignore_discovered_servers() } else { options.clone() };
        let load = Load {
            publisher: exposed.clone().name("publisher").connect(attack.exposed.clone()).await?,
            asker: exposed.name("asker").connect(attack.exposed.clone()).await?,
            helper: options.name("helper").connect(attack.sheltered.clone()).await?,
            plain: Arc::default(),
            queue: Arc::default(),
            published: Arc::default(),
            refused: Arc::default(),
            answers: Arc::default(),
            flushes: Flushes::default(),
            dropped: Arc::default(),
            over: Arc::default(),
            working: Vec::new(),
            flushing: None,
        };
        load.work(args).await
    }

    async fn work(mut self, args: &Args) -> Result<Load, Error> {
        // Others may run this program on the same servers.
        let here = self.publisher.new_inbox();
        let (data, questions) = (format!("{here}.data"), format!("{here}.questions"));
        let group = || "group".to_owned();
        self.read(self.publisher.subscribe(data.clone()).await?, &self.plain);
        self.read(self.publisher.queue_subscribe(data.clone(), group()).await?, &self.queue);
        self.read(self.helper.queue_subscribe(data.clone(), group()).await?, &self.queue);
        tokio::spawn(answer(self.helper.clone(), self.helper.subscribe(questions.clone()).await?));
        // After this the servers have the subscriptions; in a cluster of real ones they exchange them a moment later.
        self.publisher.flush().await?;
        self.helper.flush().await?;
        tokio::time::sleep(Duration::from_millis(200)).await;

        self.working.push(tokio::spawn(publish(
            self.publisher.clone(),
            data,
            args.rate,
            self.published.clone(),
            self.refused.clone(),
            self.over.clone(),
        )));
        self.flushing = Some(tokio::spawn(flush(self.publisher.clone(), self.over.clone())));
        for first in 0..ASKING {
            let (client, subject) = (self.asker.clone(), questions.clone());
            self.working.push(tokio::spawn(ask(client, subject, first, self.answers.clone(), self.over.clone())));
        }
        Ok(self)
    }

    /// Records every received message.
    fn read(&self, mut subscriber: Subscriber, account: &Arc<Mutex<Account>>) {
        let (account, dropped) = (account.clone(), self.dropped.clone());
        tokio::spawn(async move {
            let (mut highest, mut counted) = (None, 0);
            while let Some(message) = subscriber.next().await {
                lock(&account).note(&message.payload, &mut highest);
                dropped.fetch_add(subscriber.dropped() - counted, Ordering::Relaxed);
                counted = subscriber.dropped();
            }
        });
    }

    /// Ends the load, and waits until published messages are confirmed and messages in flight are read.
    pub(crate) async fn finish(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for task in self.working.drain(..) {
            // A panic there would show in the account.
            let _ = task.await;
        }
        if let Some(flushing) = self.flushing.take() {
            self.flushes = flushing.await.unwrap_or_default();
        }
        let ended = Instant::now();
        let mut before = self.received();
        while ended.elapsed() < READ_WITHIN {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.received();
            if now == before {
                return;
            }
            before = now;
        }
    }

    pub(crate) async fn close(self) {
        for client in [self.publisher, self.asker, self.helper] {
            // Its result is in the account.
            let _ = client.close().await;
        }
    }

    /// Received by the plain subscription, and by the queue group.
    pub(crate) fn received(&self) -> (u64, u64) {
        (lock(&self.plain).received, lock(&self.queue).received)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn publish(
    client: Client,
    subject: String,
    rate: u64,
    published: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
) {
    let subject = nats_lifeline::Subject::from(subject);
    let (began, mut number, mut tried) = (Instant::now(), 0, 0);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while !over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let due = began.elapsed().as_micros() as u64 * rate / 1_000_000;
        while tried < due {
            tried += 1;
            match client.publish(subject.clone(), payload::of(number)).await {
                Ok(()) => number += 1,
                Err(_) => _ = refused.fetch_add(1, Ordering::Relaxed),
            }
        }
        published.store(number, Ordering::Relaxed);
    }
}

async fn flush(client: Client, over: Arc<AtomicBool>) -> Flushes {
    let mut flushes = Flushes::default();
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(FLUSH_EVERY).await;
        flushes.flush(&client).await;
    }
    // The last flush: messages in doubt were reported before or are reported now, and everything else is confirmed.
    while flushes.flush(&client).await {}
    flushes
}

async fn answer(client: Client, mut questions: Subscriber) {
    while let Some(question) = questions.next().await {
        if let Some(reply) = question.reply {
            // The requester notices the missing answer.
            let _ = client.publish(reply, question.payload).await;
        }
    }
}

async fn ask(client: Client, subject: String, first: u64, answers: Arc<Mutex<Answers>>, over: Arc<AtomicBool>) {
    let mut number = first;
    while !over.load(Ordering::Relaxed) {
        let outcome = client.request(subject.clone(), payload::of(number)).await;
        lock(&answers).note(number, outcome);
        number += ASKING;
        tokio::time::sleep(BETWEEN_REQUESTS).await;
    }
}
