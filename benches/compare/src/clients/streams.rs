//! Publishing and receiving.

use crate::Failure;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Messages in flight in the loop through a server: few enough for every queue at its default size,
/// and enough that the loop never waits for them.
pub(super) const WINDOW: u64 = 32_768;

/// The window moves in steps, so that it costs almost nothing.
pub(super) const STEP: u64 = 1_024;

/// After this long, nothing more comes: the source sends without pauses.
const STALLED: Duration = Duration::from_millis(500);

/// Waits for a reader, or until it has read nothing for a while, because messages were dropped.
pub(super) async fn unless_stalled(mut reading: JoinHandle<()>, count: &AtomicU64) -> Result<(), Failure> {
    loop {
        let before = count.load(Ordering::Relaxed);
        match timeout(STALLED, &mut reading).await {
            Ok(read) => return Ok(read?),
            Err(_) if count.load(Ordering::Relaxed) == before => return Ok(()),
            Err(_) => {}
        }
    }
}

macro_rules! functions {
    ($nats:ident) => {
        use crate::clients::streams::{STEP, WINDOW, unless_stalled};
        use crate::workload::{LAST, SUBJECT, Work};
        use bytes::Bytes;
        use futures_util::StreamExt;
        use std::sync::Arc;
        use std::sync::atomic::{AtomicU64, Ordering};
        use tokio::sync::Semaphore;

        async fn publish_share(
            client: $nats::Client,
            messages: u64,
            work: Work,
            payload: Bytes,
        ) -> Result<(), Failure> {
            let map = headers();
            for _ in 0..messages {
                let payload = payload.clone();
                match work {
                    Work::PublishHeaders => client.publish_with_headers(SUBJECT, headers(), payload).await?,
                    Work::PublishCloned => client.publish_with_headers(SUBJECT, map.clone(), payload).await?,
                    _ => client.publish(SUBJECT, payload).await?,
                }
            }
            Ok(())
        }

        async fn publish(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let (work, share) = (job.work()?, job.messages / job.tasks);
            // A payload for each task: with one for all, its reference count, which is the program's, would cost the most.
            let payload = || Bytes::from(vec![b'x'; job.payload]);
            let spawn = |_| tokio::spawn(publish_share(client.clone(), share, work, payload()));
            let publishers: Vec<_> = (0..job.tasks).map(spawn).collect();
            for publisher in publishers {
                publisher.await??;
            }
            finish(client, job).await
        }

        /// The end of all publishing.
        pub(super) async fn finish(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            if job.last {
                client.publish(LAST, Bytes::new()).await?;
            }
            client.flush().await?;
            Ok(Done::default())
        }

        async fn receive(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            // No flush: the source sends immediately, and must be read.
            let mut subscriber = client.subscribe(SUBJECT).await?;
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

        async fn publish_and_receive(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let mut subscriber = client.subscribe(SUBJECT).await?;
            client.flush().await?;
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
            let client = client.clone();
            let payload = Bytes::from(vec![b'x'; job.payload]);
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
    };
}

pub(super) use functions;
