//! What only nats-lifeline has: handles for one subject, and batches. The others use their usual calls for the same work.

use super::{Client, Lifeline, Peer, lifeline};
use crate::Failure;
use crate::child::Done;
use crate::job::Job;
use crate::workload::SUBJECT;
use std::future::Future;

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
        self.receive(job).await
    }
}
