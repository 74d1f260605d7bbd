//! The measured code, written once: both clients run the same source, with only the crate's name replaced.

use crate::Failure;
use crate::child::{Done, Job};
use crate::workload::Headers;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A connected client and its operations.
pub(crate) trait Client: Sized {
    fn connect(addr: &str) -> impl Future<Output = Result<Self, Failure>>;
    fn publish(&self, job: &Job, tasks: u64, headers: Headers) -> impl Future<Output = Result<Done, Failure>>;
    fn receive(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn publish_and_receive(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn request(&self, job: &Job, tasks: u64) -> impl Future<Output = Result<Done, Failure>>;
}

/// Messages in flight in the loop through a server: few enough for every queue at its default size,
/// and so many that the loop never waits for them.
const WINDOW: u64 = 32_768;

/// The window moves in steps, so that it costs almost nothing.
const STEP: u64 = 1_024;

/// Waits for a reader, or until it has read nothing for a while, because messages were dropped.
async fn unless_stalled(mut reading: JoinHandle<()>, count: &AtomicU64) -> Result<(), Failure> {
    loop {
        let before = count.load(Ordering::Relaxed);
        match timeout(STALLED, &mut reading).await {
            Ok(read) => return Ok(read?),
            Err(_) if count.load(Ordering::Relaxed) == before => return Ok(()),
            Err(_) => {}
        }
    }
}

/// After this long, nothing more comes: the source sends without pauses.
const STALLED: Duration = Duration::from_millis(500);

macro_rules! client {
    ($name:ident, $nats:ident, $capacity:expr) => {
        mod $name {
            use super::{Client, Done, Failure, Headers, Job, STEP, WINDOW, unless_stalled};
            use crate::far_end::Needs;
            use crate::workload::{HEADERS, LAST, SERVICE, SUBJECT};
            use bytes::Bytes;
            use futures_util::StreamExt;
            use std::sync::Arc;
            use std::sync::atomic::{AtomicU64, Ordering};
            use std::time::Instant;
            use tokio::sync::Semaphore;

            pub(crate) struct Subject {
                client: $nats::Client,
            }

            fn headers() -> $nats::HeaderMap {
                let mut map = $nats::HeaderMap::new();
                for (name, value) in HEADERS {
                    map.insert(name, value);
                }
                map
            }

            async fn publish(
                client: $nats::Client,
                messages: u64,
                mode: Headers,
                payload: Bytes,
            ) -> Result<(), Failure> {
                let map = headers();
                for _ in 0..messages {
                    let payload = payload.clone();
                    match mode {
                        Headers::No => client.publish(SUBJECT, payload).await?,
                        Headers::Made => client.publish_with_headers(SUBJECT, headers(), payload).await?,
                        Headers::Cloned => client.publish_with_headers(SUBJECT, map.clone(), payload).await?,
                    }
                }
                Ok(())
            }

            impl Client for Subject {
                async fn connect(addr: &str) -> Result<Self, Failure> {
                    let options = $nats::ConnectOptions::new().subscription_capacity($capacity);
                    Ok(Self { client: options.connect(addr).await? })
                }

                async fn publish(&self, job: &Job, tasks: u64, headers: Headers) -> Result<Done, Failure> {
                    let payload = Bytes::from(vec![b'x'; job.workload.payload]);
                    let share = job.messages / tasks;
                    let spawn = |_| tokio::spawn(publish(self.client.clone(), share, headers, payload.clone()));
                    let publishers: Vec<_> = (0..tasks).map(spawn).collect();
                    for publisher in publishers {
                        publisher.await??;
                    }
                    if job.workload.far_end == Needs::Server {
                        self.client.publish(LAST, Bytes::new()).await?;
                    }
                    self.client.flush().await?;
                    Ok(Done::default())
                }

                async fn receive(&self, job: &Job) -> Result<Done, Failure> {
                    // No flush: the source sends immediately, and must be read.
                    let mut subscriber = self.client.subscribe(SUBJECT).await?;
                    let messages = job.messages;
                    let count = Arc::new(AtomicU64::new(0));
                    let counted = Arc::clone(&count);
                    let reading = tokio::spawn(async move {
                        let mut received = 0;
                        while received < messages && subscriber.next().await.is_some() {
                            received += 1;
                            counted.store(received, Ordering::Relaxed);
                        }
                    });
                    unless_stalled(reading, &count).await?;
                    Ok(Done { dropped: messages - count.load(Ordering::Relaxed), ..Done::default() })
                }

                async fn publish_and_receive(&self, job: &Job) -> Result<Done, Failure> {
                    let mut subscriber = self.client.subscribe(SUBJECT).await?;
                    self.client.flush().await?;
                    let messages = job.messages;
                    let room = Arc::new(Semaphore::new(WINDOW as usize));
                    let made = Arc::clone(&room);
                    let received = tokio::spawn(async move {
                        let mut received = 0;
                        while received < messages && subscriber.next().await.is_some() {
                            received += 1;
                            if received % STEP == 0 {
                                made.add_permits(STEP as usize);
                            }
                        }
                        received
                    });
                    let client = self.client.clone();
                    let payload = Bytes::from(vec![b'x'; job.workload.payload]);
                    let published = tokio::spawn(async move {
                        for sent in 0..messages {
                            if sent % STEP == 0 {
                                room.acquire_many(STEP as u32).await?.forget();
                            }
                            client.publish(SUBJECT, payload.clone()).await?;
                        }
                        client.flush().await?;
                        Ok::<_, Failure>(())
                    });
                    published.await??;
                    Ok(Done { dropped: messages - received.await?, ..Done::default() })
                }

                async fn request(&self, job: &Job, tasks: u64) -> Result<Done, Failure> {
                    let share = job.messages / tasks;
                    let payload = Bytes::from(vec![b'x'; job.workload.payload]);
                    let spawn = |_| {
                        let (client, payload) = (self.client.clone(), payload.clone());
                        tokio::spawn(async move {
                            let mut round_trips = Vec::with_capacity(share as usize);
                            for _ in 0..share {
                                let began = Instant::now();
                                client.request(SERVICE, payload.clone()).await?;
                                round_trips.push(began.elapsed().as_nanos() as u64);
                            }
                            Ok::<_, Failure>(round_trips)
                        })
                    };
                    let askers: Vec<_> = (0..tasks).map(spawn).collect();
                    let mut done = Done::default();
                    for asker in askers {
                        done.round_trips.extend(asker.await??);
                    }
                    Ok(done)
                }
            }
        }
    };
}

// The parts in which the two differ.
client!(lifeline, nats_lifeline, 65_536);
// At 65,536 it dropped messages in `sub16`, and then its figures would not count. This is room for all of them.
client!(peer, async_nats, 16_777_216);

pub(crate) use lifeline::Subject as Lifeline;
pub(crate) use peer::Subject as Peer;
