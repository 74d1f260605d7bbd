//! What only nats-lifeline has: handles for one subject, and batches. The others use their usual calls for the same work.

use super::streams::unless_stalled;
use super::{Client, Lifeline, Peer, lifeline};
use crate::Failure;
use crate::child::Done;
use crate::job::Job;
use crate::workload::SUBJECT;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages in a batch.
const BATCH: u64 = 256;

pub(crate) trait Handles: Client {
    fn publish_handle(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn publish_batch(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn receive_batch(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
}

impl Handles for Peer {
    async fn publish_handle(&self, job: &Job) -> Result<Done, Failure> {
        self.publish(job).await
    }

    async fn publish_batch(&self, job: &Job) -> Result<Done, Failure> {
        self.publish(job).await
    }

    async fn receive_batch(&self, job: &Job) -> Result<Done, Failure> {
        self.receive(job).await
    }
}

impl Handles for Lifeline {
    async fn publish_handle(&self, job: &Job) -> Result<Done, Failure> {
        let publisher = self.client.publisher(SUBJECT)?;
        let (payload, messages) = (vec![b'x'; job.payload], job.messages);
        // In a task, as in `publish`.
        let publishing = tokio::spawn(async move {
            for _ in 0..messages {
                publisher.publish(&payload).await?;
            }
            Ok::<_, Failure>(())
        });
        publishing.await??;
        lifeline::finish(&self.client, job).await
    }

    async fn publish_batch(&self, job: &Job) -> Result<Done, Failure> {
        let publisher = self.client.publisher(SUBJECT)?;
        let (payload, messages) = (vec![b'x'; job.payload], job.messages);
        let publishing = tokio::spawn(async move {
            let mut left = messages;
            while left > 0 {
                let batch = left.min(BATCH);
                publisher.publish_batch((0..batch).map(|_| &payload)).await?;
                left -= batch;
            }
            Ok::<_, Failure>(())
        });
        publishing.await??;
        lifeline::finish(&self.client, job).await
    }

    async fn receive_batch(&self, job: &Job) -> Result<Done, Failure> {
        // As in `receive`.
        let mut subscriber = self.client.subscribe(SUBJECT).await?;
        let messages = job.messages;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let reading = tokio::spawn(async move {
            let mut received = 0;
            while received < messages {
                let Some(batch) = subscriber.next_batch(BATCH as usize).await else { break };
                for message in &batch {
                    black_box(message.payload());
                    received += 1;
                }
                counted.store(received, Ordering::Relaxed);
            }
        });
        unless_stalled(reading, &count).await?;
        Ok(Done { dropped: messages - count.load(Ordering::Relaxed), ..Done::default() })
    }
}
