//! The stream for a measurement: new, with as many messages as will be read, and a consumer.

use crate::Failure;
use crate::job::Job;
use crate::workload::{CONSUMER, STORED, STREAM, Work};
use bytes::Bytes;
use nats_lifeline::jetstream;
use nats_lifeline::jetstream::consumer::{AckPolicy, pull};
use nats_lifeline::jetstream::stream::{Config, StorageType};

pub(super) fn prepare(addr: &str, work: Work, files: bool, job: &Job) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let client = nats_lifeline::connect(addr).await?;
        let context = jetstream::new(client.clone());
        let _ = context.delete_stream(STREAM).await;
        let stream = context
            .create_stream(Config {
                name: STREAM.to_owned(),
                subjects: vec![STORED.to_owned()],
                storage: if files { StorageType::File } else { StorageType::Memory },
                ..Config::default()
            })
            .await?;
        if work.reads_a_stream() {
            let payload = Bytes::from(vec![b'x'; job.payload]);
            for _ in 0..job.messages {
                drop(context.publish(STORED, payload.clone()).await?);
            }
            let counts = context.acks_outcome().await;
            if counts.stored < job.messages {
                return Err(format!("the stream was not filled: {counts:?}").into());
            }
            let ack_policy = if work == Work::PullAcked { AckPolicy::Explicit } else { AckPolicy::None };
            let config = pull::Config {
                durable_name: Some(CONSUMER.to_owned()),
                ack_policy,
                max_ack_pending: if work == Work::PullAcked { 100_000 } else { 0 },
                ..pull::Config::default()
            };
            stream.create_consumer(config).await?;
        }
        Ok(client.close().await?)
    })
}
