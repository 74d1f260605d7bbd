//! Publishing, receiving, and both at the same time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::client::Publisher;
use nats_lifeline::{Client, HeaderMap, Subscriber};
use tokio::task::{JoinHandle, JoinSet};

use crate::args::{Args, Work};
use crate::far_end::FarEnd;
use crate::latency::Latency;
use crate::pace::Pace;
use crate::{Clock, Error, Outcome, headers, progress};

/// After this long without a message, the rest counts as missing.
const SILENCE: Duration = Duration::from_secs(2);

/// In a closed loop, one message in this many carries its publish time.
const STAMP_EVERY: u64 = 64;

/// Bytes of such a time.
pub(crate) const STAMP: usize = 8;

pub(crate) async fn publish(args: &Args, far_end: &FarEnd) -> Result<Outcome, Error> {
    let clients = far_end.clients(args.clients).await?;
    let clock = Clock::start();
    let mut tasks = JoinSet::new();
    for (number, client) in clients.iter().cycle().take(args.workers()).enumerate() {
        tasks.spawn(Publishing::new(args, client, number)?.run(None, None));
    }
    let accepted = || clients.iter().map(|client| client.stats().accepted).sum();
    let all = async {
        while let Some(outcome) = tasks.join_next().await {
            outcome??;
        }
        Ok::<_, Error>(clock.stop())
    };
    let (elapsed, cpu) = progress::show(args.msgs(), accepted, all).await?;
    Ok(Outcome { published: accepted(), elapsed, cpu, ..Outcome::default() })
}

pub(crate) async fn receive(args: &Args, far_end: &FarEnd) -> Result<Outcome, Error> {
    let clients = far_end.clients(args.clients).await?;
    let each = args.share(0);
    let clock = Clock::start();
    let subscribers = clients.iter().cycle().take(args.workers());
    let readers = read(args, subscribers, each, None).await?;
    // A source begins immediately; from a server the first message may take longer.
    let received = || clients.iter().map(|client| client.stats().in_messages).sum::<u64>();
    let reading = async {
        if args.server.is_some() {
            // Not on standard output, which is the report.
            eprintln!("bench: waiting for a publisher on `{}`", args.subject);
            while received() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let clock = if args.server.is_some() { Clock::start() } else { clock };
        collect(readers, &clients, each, &clock).await
    };
    progress::show(each * args.workers() as u64, received, reading).await
}

pub(crate) async fn both(args: &Args, far_end: &FarEnd) -> Result<Outcome, Error> {
    let subscribers = far_end.clients(args.clients).await?;
    let publisher = far_end.connect().await?;
    let epoch = (args.size >= STAMP).then(Instant::now);
    let readers = read(args, subscribers.iter(), args.msgs(), epoch).await?;
    for client in &subscribers {
        // After this the server has the subscription.
        client.flush().await?;
    }
    let clock = Clock::start();
    let mut publishing = JoinSet::new();
    for (number, pace) in args.paces()?.into_iter().enumerate() {
        publishing.spawn(Publishing::new(args, &publisher, number)?.run(epoch, pace));
    }
    let received = || subscribers.iter().map(|client| client.stats().in_messages).sum::<u64>();
    let all = async {
        while let Some(outcome) = publishing.join_next().await {
            outcome??;
        }
        collect(readers, &subscribers, args.msgs(), &clock).await
    };
    let outcome = progress::show(args.msgs() * args.clients as u64, received, all).await?;
    Ok(Outcome { published: publisher.stats().accepted, ..outcome })
}

/// One task that publishes.
struct Publishing {
    client: Client,
    msgs: u64,
    subject: &'static str,
    headers: Option<HeaderMap>,
    payload: Bytes,
    /// For batches, and how many messages each has.
    batches: Option<(Publisher, u64)>,
}

impl Publishing {
    fn new(args: &Args, client: &Client, number: usize) -> Result<Publishing, Error> {
        let publisher = |batch| Ok::<_, Error>((client.publisher(args.subject)?, batch));
        Ok(Publishing {
            client: client.clone(),
            msgs: args.share(number),
            subject: args.subject,
            headers: headers(args),
            // Subject and payload live as long as the program, so that the benchmark measures publishing and not reference
            // counting.
            payload: Bytes::from_static(vec![0; args.size].leak()),
            batches: args.batch.map(publisher).transpose()?,
        })
    }

    /// `epoch`: some messages carry the time since then, with `pace` all of them. Without `pace`, as fast as it can.
    async fn run(self, epoch: Option<Instant>, mut pace: Option<Pace>) -> Result<(), Error> {
        let mut number = 0;
        while number < self.msgs {
            let due = match &mut pace {
                Some(pace) => Some(pace.due().await),
                None => None,
            };
            let payload = |number| match epoch {
                Some(epoch) if due.is_some() || number % STAMP_EVERY == 0 => {
                    self.stamped(due.unwrap_or_else(Instant::now).duration_since(epoch))
                }
                _ => self.payload.clone(),
            };
            // In this function, since a call of another one would cost a part of what is measured.
            number += match (&self.batches, &self.headers) {
                (None, None) => {
                    self.client.publish(self.subject, payload(number)).await?;
                    1
                }
                (None, Some(headers)) => {
                    self.client.publish_with_headers(self.subject, headers.clone(), payload(number)).await?;
                    1
                }
                (Some((publisher, batch)), _) => {
                    let end = self.msgs.min(number + batch);
                    publisher.publish_batch((number..end).map(payload)).await?;
                    end - number
                }
            };
        }
        Ok(self.client.flush().await?)
    }

    fn stamped(&self, time: Duration) -> Bytes {
        let mut payload = self.payload.to_vec();
        // Zero means: no time.
        let nanos = (time.as_nanos() as u64).max(1);
        payload.splice(..STAMP, nanos.to_le_bytes());
        payload.into()
    }
}

/// The messages that a subscriber received.
struct Taken {
    count: u64,
    dropped: u64,
    latency: Option<Latency>,
}

type Reader = JoinHandle<Taken>;

/// Starts a subscriber on each of these clients, which ends after `each` messages.
async fn read(
    args: &Args,
    clients: impl Iterator<Item = &Client>,
    each: u64,
    epoch: Option<Instant>,
) -> Result<Vec<Reader>, Error> {
    let mut readers = Vec::new();
    for client in clients {
        let subscriber = client.subscribe(args.subject).await?;
        let latency = epoch.map(|_| Latency::new()).transpose()?;
        readers.push(match args.batch.filter(|_| args.work == Work::Sub) {
            Some(batch) => tokio::spawn(take_batches(subscriber, each, batch as usize)),
            None => tokio::spawn(take(subscriber, each, epoch.zip(latency))),
        });
    }
    Ok(readers)
}

async fn take(mut subscriber: Subscriber, each: u64, mut timing: Option<(Instant, Latency)>) -> Taken {
    let mut count = 0;
    while count < each {
        let Some(message) = subscriber.next().await else { break };
        count += 1;
        if let Some((epoch, latency)) = &mut timing {
            let stamp = message.payload.first_chunk().map_or(0, |stamp| u64::from_le_bytes(*stamp));
            if stamp != 0 {
                latency.record(epoch.elapsed().saturating_sub(Duration::from_nanos(stamp)));
            }
        }
    }
    Taken { count, dropped: subscriber.dropped(), latency: timing.map(|(_, latency)| latency) }
}

async fn take_batches(mut subscriber: Subscriber, each: u64, batch: usize) -> Taken {
    let (mut count, mut bytes) = (0, 0);
    while count < each {
        let Some(messages) = subscriber.next_batch(batch).await else { break };
        count += messages.len() as u64;
        // As a program does, it looks at every message.
        bytes += messages.iter().map(|message| message.payload().len()).sum::<usize>();
    }
    black_box(bytes);
    Taken { count, dropped: subscriber.dropped(), latency: None }
}

/// Waits for the readers. Those that receive nothing any more are ended.
async fn collect(mut readers: Vec<Reader>, clients: &[Client], each: u64, clock: &Clock) -> Result<Outcome, Error> {
    let arrived = || clients.iter().map(|client| client.stats().in_messages).sum::<u64>();
    let (mut before, mut since, mut measured) = (arrived(), Instant::now(), clock.stop());
    let mut all = Box::pin(futures_util::future::join_all(&mut readers));
    let taken = loop {
        tokio::select! {
            taken = &mut all => {
                measured = clock.stop();
                break taken;
            }
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        let now = arrived();
        if now != before {
            (before, since, measured) = (now, Instant::now(), clock.stop());
        } else if since.elapsed() > SILENCE {
            for client in clients {
                // This ends the streams, which is its only purpose here.
                let _ = client.close().await;
            }
            break all.await;
        }
    };
    let (elapsed, cpu) = measured;
    let mut outcome = Outcome { elapsed, cpu, ..Outcome::default() };
    for taken in taken {
        let Taken { count, dropped, latency } = taken?;
        outcome.received += count;
        outcome.dropped += dropped;
        outcome.missing += each.saturating_sub(count + dropped);
        match (&mut outcome.latency, latency) {
            (Some(all), Some(latency)) => all.add(&latency)?,
            (all, latency) => *all = latency,
        }
    }
    Ok(outcome)
}
