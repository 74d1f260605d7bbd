//! Publishing, receiving, and both at the same time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::{Client, HeaderMap, Subscriber};
use tokio::task::{JoinHandle, JoinSet};

use crate::args::Args;
use crate::latency::Latency;
use crate::{Clock, Error, Outcome, clients, headers, progress};

/// After this long without a message, the rest counts as missing.
const SILENCE: Duration = Duration::from_secs(2);

/// One message in this many carries its publish time.
const STAMP_EVERY: u64 = 64;

/// Bytes of such a time.
const STAMP: usize = 8;

pub(crate) async fn publish(args: &Args, url: &str) -> Result<Outcome, Error> {
    let clients = clients(args.clients, url).await?;
    let clock = Clock::start();
    let mut tasks = JoinSet::new();
    for (number, client) in clients.iter().enumerate() {
        let work = Publishing::new(args, client, args.share(number, args.clients));
        tasks.spawn(work.run(None));
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

pub(crate) async fn receive(args: &Args, url: &str) -> Result<Outcome, Error> {
    let clients = clients(args.clients, url).await?;
    let each = args.share(0, args.clients);
    let clock = Clock::start();
    let readers = read(args, &clients, each, None).await?;
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
    progress::show(each * args.clients as u64, received, reading).await
}

pub(crate) async fn both(args: &Args, url: &str) -> Result<Outcome, Error> {
    let subscribers = clients(args.clients, url).await?;
    let publisher = nats_lifeline::connect(url.to_owned()).await?;
    let epoch = (args.size >= STAMP).then(Instant::now);
    let readers = read(args, &subscribers, args.msgs(), epoch).await?;
    for client in &subscribers {
        // After this the server has the subscription.
        client.flush().await?;
    }
    let clock = Clock::start();
    let publishing = tokio::spawn(Publishing::new(args, &publisher, args.msgs()).run(epoch));
    let received = || subscribers.iter().map(|client| client.stats().in_messages).sum::<u64>();
    let all = async {
        publishing.await??;
        collect(readers, &subscribers, args.msgs(), &clock).await
    };
    let outcome = progress::show(args.msgs() * args.clients as u64, received, all).await?;
    Ok(Outcome { published: publisher.stats().accepted, ..outcome })
}

/// One client that publishes.
struct Publishing {
    client: Client,
    msgs: u64,
    subject: &'static str,
    headers: Option<HeaderMap>,
    payload: Bytes,
}

impl Publishing {
    fn new(args: &Args, client: &Client, msgs: u64) -> Publishing {
        // Subject and payload live as long as the program, so that the benchmark measures publishing and not reference
        // counting.
        let payload = Bytes::from_static(vec![0; args.size].leak());
        Publishing { client: client.clone(), msgs, subject: args.subject, headers: headers(args), payload }
    }

    /// `epoch`: some messages carry the time since then.
    async fn run(self, epoch: Option<Instant>) -> Result<(), Error> {
        for number in 0..self.msgs {
            let payload = match epoch {
                Some(epoch) if number % STAMP_EVERY == 0 => self.stamped(epoch),
                _ => self.payload.clone(),
            };
            match &self.headers {
                None => self.client.publish(self.subject, payload).await?,
                Some(headers) => {
                    self.client.publish_with_headers(self.subject, headers.clone(), payload).await?;
                }
            }
        }
        Ok(self.client.flush().await?)
    }

    fn stamped(&self, epoch: Instant) -> Bytes {
        let mut payload = self.payload.to_vec();
        let now = epoch.elapsed().as_nanos() as u64;
        payload.splice(..STAMP, now.to_le_bytes());
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

/// Starts one subscriber for each client, which ends after `each` messages.
async fn read(args: &Args, clients: &[Client], each: u64, epoch: Option<Instant>) -> Result<Vec<Reader>, Error> {
    let mut readers = Vec::new();
    for client in clients {
        let subscriber = client.subscribe(args.subject).await?;
        let latency = epoch.map(|_| Latency::new()).transpose()?;
        readers.push(tokio::spawn(take(subscriber, each, epoch.zip(latency))));
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
