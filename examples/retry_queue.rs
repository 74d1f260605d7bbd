//! No message is lost twice: returned messages wait in the program's own queue. `cargo run --example retry_queue`
//!
//! Two kinds of messages are published while the server is killed now and then. `payments` are critical: while no
//! server is connected they are returned immediately. `readings` are buffered by the client, twenty of them; further
//! ones are dropped by the policy, and returned by an event. Both go to one bounded queue, and are sent when a server
//! is connected again. Messages that do not fit into the queue go to a list of dead letters.
//!
//! The order within each subject is kept. A message joins the queue if others of its subject are in it. The policy
//! drops the newest messages: those that the client still buffers are older than the returned ones, and are sent before
//! the queue.
//!
//! At the end, every message is in exactly one place. Otherwise the program ends with code 1.

#[path = "shared/small.rs"]
mod small;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::client::{FlushFailure, TryPublishError};
use nats_lifeline::connection::{ConnectionEvent, Events, LostMessage};
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::options::OverflowPolicy;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, Error};

const SUBJECTS: [&str; 2] = ["payments", "readings"];

/// How many readings the client buffers during an outage, and the size of the queue.
const HELD: u64 = 20;
const ROOM: usize = 150;

/// One message of each subject in this time.
const PACE: Duration = Duration::from_millis(4);

/// When the server is killed, and how long it stays down, in milliseconds from the start. The queue has room for the
/// messages that are returned in the first outage, but not in the second.
const OUTAGES: [(u64, u64); 2] = [(400, 250), (1100, 900)];
const END: Duration = Duration::from_millis(2600);

#[tokio::main]
async fn main() -> ExitCode {
    small::no_arguments("Sends refused and lost messages again, in order, from a queue of its own.");
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("retry_queue: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: the account is wrong.
async fn run() -> Result<bool, Error> {
    let broker = Broker::start().await?;
    let client = ConnectOptions::new()
        .overflow_policy(OverflowPolicy::DropNewest)
        .reconnect_buffer_messages(Some(HELD))
        .reconnect_delay_callback(|_| Duration::from_millis(100))
        .connect(broker.url())
        .await?;
    // On the publisher's own connection: messages that the server has processed arrive before the PONG that confirms
    // them.
    let mut everything = client.subscribe(">").await?;
    let receiving = tokio::spawn(async move {
        let mut received = [Vec::new(), Vec::new()];
        while let Some(message) = everything.next().await {
            if let Some((subject, number)) = name(&message.subject, &message.payload) {
                received[subject].push(number);
            }
        }
        received
    });
    let killing = tokio::spawn(async move {
        let began = Instant::now();
        for (at, away) in OUTAGES {
            tokio::time::sleep(Duration::from_millis(at).saturating_sub(began.elapsed())).await;
            broker.kill();
            tokio::time::sleep(Duration::from_millis(away)).await;
            broker.restart().await?;
        }
        Ok::<Broker, io::Error>(broker)
    });

    let mut sender = Sender::new(client);
    let (began, mut pace) = (Instant::now(), tokio::time::interval(PACE));
    let mut published = 0;
    while began.elapsed() < END {
        pace.tick().await;
        published += 1;
        sender.payment(published).await?;
        sender.reading(published).await?;
    }
    let broker = killing.await??;
    sender.finish().await?;
    let received = receiving.await?;
    drop(broker);
    Ok(account(published, &sender, &received)?)
}

/// The publisher, with the queue of returned messages.
struct Sender {
    client: Client,
    events: Events,
    /// Whether a server is connected, as reported by events.
    connected: bool,
    /// How many messages events have returned.
    handed_back: u64,
    /// At most [`ROOM`], in order within each subject.
    queue: VecDeque<OutboundMessage>,
    /// Returned messages that did not fit.
    dead: Vec<OutboundMessage>,
    retried: u64,
}

impl Sender {
    fn new(client: Client) -> Sender {
        let (events, queue) = (client.events(), VecDeque::with_capacity(ROOM));
        Sender { client, events, connected: true, handed_back: 0, queue, dead: Vec::new(), retried: 0 }
    }

    /// A critical message: it is sent now, or returned now.
    async fn payment(&mut self, number: u64) -> Result<(), Error> {
        self.send(0, number, Client::try_publish_critical).await
    }

    /// A message that the client may buffer, and may drop.
    async fn reading(&mut self, number: u64) -> Result<(), Error> {
        self.send(1, number, Client::try_publish_message).await
    }

    async fn send(
        &mut self,
        subject: usize,
        number: u64,
        publish: fn(&Client, OutboundMessage) -> Result<(), TryPublishError>,
    ) -> Result<(), Error> {
        self.catch_up().await?;
        let message = OutboundMessage {
            subject: SUBJECTS[subject].into(),
            reply: None,
            payload: number.to_string().into(),
            headers: None,
        };
        if self.queue.iter().any(|waiting| waiting.subject == message.subject) {
            self.keep(message);
        } else if let Err(refused) = publish(&self.client, message) {
            self.keep(refused.into_message());
        }
        Ok(())
    }

    /// Reads events; when a server is connected, sends the queue.
    async fn catch_up(&mut self) -> Result<(), Error> {
        while let Some(event) = self.events.try_recv() {
            self.hear(&event);
        }
        // The counters show a loss immediately, and its event comes as soon as the client's task runs. Nothing is
        // published in between, or it would overtake the messages that are about to be returned.
        while self.client.stats().lost.total() > self.handed_back {
            let event = self.events.recv().await.ok_or("the client has ended")?;
            self.hear(&event);
        }
        if self.connected {
            self.retry();
        }
        Ok(())
    }

    fn hear(&mut self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Disconnected { .. } => self.connected = false,
            ConnectionEvent::Reconnected { .. } => self.connected = true,
            ConnectionEvent::Lost { lost, messages, .. } => {
                // Up to 1 MiB of them is returned, which is all of them here.
                self.handed_back += lost.total();
                for LostMessage { subject, reply, payload, headers, .. } in messages.iter() {
                    self.keep(OutboundMessage { subject, reply, payload, headers });
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, message: OutboundMessage) {
        if self.queue.len() < ROOM {
            self.queue.push_back(message);
        } else {
            self.dead.push(message);
        }
    }

    /// Sends queued messages as critical, so that they cannot be dropped again: the oldest first, until one is
    /// returned.
    fn retry(&mut self) {
        while let Some(message) = self.queue.pop_front() {
            if let Err(refused) = self.client.try_publish_critical(message) {
                self.queue.push_front(refused.into_message());
                return;
            }
            self.retried += 1;
        }
    }

    /// Sends the last messages, and ends the client.
    async fn finish(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.catch_up().await?;
            match self.client.flush().await {
                Ok(()) if self.queue.is_empty() => break,
                Ok(()) => {}
                // Messages in doubt are reported once. They are in the account.
                Err(error) if matches!(error.source_as(), Some(FlushFailure::InDoubt(_))) => {}
                Err(error) => return Err(error.into()),
            }
            if Instant::now() > deadline {
                break; // Messages that are still queued are in the account too.
            }
            tokio::time::sleep(PACE).await;
        }
        self.client.drain_and_close(Duration::from_secs(5)).await?;
        // Messages that the client still buffered are returned at the very end.
        while let Some(event) = self.events.recv().await {
            self.hear(&event);
        }
        Ok(())
    }
}

/// The identity of a message: the number of its subject, and its own.
fn name(subject: &str, payload: &[u8]) -> Option<(usize, u64)> {
    let subject = SUBJECTS.iter().position(|known| *known == subject)?;
    Some((subject, std::str::from_utf8(payload).ok()?.parse().ok()?))
}

/// Where each message is. `true`: each is in exactly one place, in order, and at most those in doubt are missing.
fn account(published: u64, sender: &Sender, received: &[Vec<u64>; 2]) -> io::Result<bool> {
    let numbers = |subject: usize, messages: &mut dyn Iterator<Item = &OutboundMessage>| {
        let named = messages.filter_map(|message| name(&message.subject, &message.payload));
        named.filter(|(of, _)| *of == subject).map(|(_, number)| number).collect::<Vec<u64>>()
    };
    let mut text =
        format!("{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "published", "received", "queue", "dead", "missing");
    let (mut broken, mut missing_in_all) = (Vec::new(), 0);
    for (at, subject) in SUBJECTS.iter().enumerate() {
        let queue = numbers(at, &mut sender.queue.iter());
        let dead = numbers(at, &mut sender.dead.iter());
        let places = [&received[at], &queue, &dead];
        let found = |number| places.iter().map(|place| place.iter().filter(|it| **it == number).count()).sum::<usize>();
        let missing = (1..=published).filter(|number| found(*number) == 0).count() as u64;
        let twice = (1..=published).filter(|number| found(*number) > 1).count();
        if twice > 0 {
            broken.push(format!("{subject}: {twice} are in more than one place"));
        }
        if places.iter().any(|place| place.iter().any(|number| !(1..=published).contains(number))) {
            broken.push(format!("{subject}: there are messages that were never published"));
        }
        if !received[at].is_sorted() {
            broken.push(format!("{subject}: the order was not kept"));
        }
        let [received, queue, dead] = places.map(Vec::len);
        let _ = writeln!(text, "{subject:<12}{published:>10}{received:>10}{queue:>10}{dead:>10}{missing:>10}");
        missing_in_all += missing;
    }
    let stats = sender.client.stats();
    let (in_doubt, outages) = (stats.in_doubt, stats.reconnects);
    if missing_in_all > in_doubt {
        broken.push(format!("{missing_in_all} are missing, but only {in_doubt} are in doubt"));
    }
    if outages == 0 || sender.retried == 0 {
        broken.push("the run shows nothing: no outage, or no message was sent again".to_owned());
    }
    let retried = sender.retried;
    let _ = writeln!(
        text,
        "\n{outages} outages; {} lost by the client and {retried} sent from the queue;",
        stats.lost.total()
    );
    let _ =
        writeln!(text, "missing are at most those in doubt: {in_doubt}, taken by a server that died before a PONG\n");
    for what in &broken {
        let _ = writeln!(text, "BROKEN  {what}");
    }
    if broken.is_empty() {
        text += "Every message is in exactly one place, in order within its subject.\n";
    }
    io::stdout().write_all(text.as_bytes())?;
    Ok(broken.is_empty())
}
