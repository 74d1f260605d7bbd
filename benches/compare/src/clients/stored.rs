//! JetStream: storing messages, and reading them.

macro_rules! functions {
    ($nats:ident) => {
        use crate::workload::{BATCH, CONSUMER, IN_FLIGHT, STORED, STREAM};
        use futures_util::TryStreamExt;
        use std::collections::VecDeque;
        use std::future::IntoFuture;

        fn context(client: &$nats::Client) -> $nats::jetstream::Context {
            $nats::jetstream::new(client.clone())
        }

        async fn consumer(client: &$nats::Client) -> Result<$nats::jetstream::consumer::PullConsumer, Failure> {
            Ok(context(client).get_consumer_from_stream(CONSUMER, STREAM).await?)
        }

        async fn store(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let (context, payload) = (context(client), Bytes::from(vec![b'x'; job.payload]));
            let mut done = Done::default();
            for _ in 0..job.messages {
                let began = Instant::now();
                context.publish(STORED, payload.clone()).await?.await?;
                done.times.push(began.elapsed().as_nanos() as u64);
            }
            Ok(done)
        }

        async fn store_many(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let (context, payload) = (context(client), Bytes::from(vec![b'x'; job.payload]));
            let mut pending = VecDeque::with_capacity(IN_FLIGHT);
            for _ in 0..job.messages {
                if pending.len() == IN_FLIGHT {
                    if let Some(oldest) = pending.pop_front() {
                        let oldest: $nats::jetstream::context::PublishAckFuture = oldest;
                        oldest.into_future().await?;
                    }
                }
                pending.push_back(context.publish(STORED, payload.clone()).await?);
            }
            for ack in pending {
                ack.await?;
            }
            Ok(Done::default())
        }

        async fn pull(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let acked = job.work()? == Work::PullAcked;
            let consumer = consumer(client).await?;
            let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
            for _ in 0..job.messages {
                let message = messages.try_next().await?.ok_or("the stream has ended")?;
                if acked {
                    message.ack().await?;
                }
            }
            client.flush().await?;
            Ok(Done::default())
        }

        async fn fetch(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let consumer = consumer(client).await?;
            let mut done = Done::default();
            for _ in 0..job.messages / job.tasks {
                let began = Instant::now();
                let mut batch = consumer.fetch().max_messages(job.tasks as usize).messages().await?;
                for _ in 0..job.tasks {
                    batch.try_next().await?.ok_or("a batch is too short")?;
                }
                done.times.push(began.elapsed().as_nanos() as u64);
            }
            Ok(done)
        }

        async fn ordered(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let stream = context(client).get_stream(STREAM).await?;
            let config = $nats::jetstream::consumer::pull::OrderedConfig::default();
            let mut messages = stream.create_consumer(config).await?.messages().await?;
            for _ in 0..job.messages {
                messages.try_next().await?.ok_or("the stream has ended")?;
            }
            Ok(Done::default())
        }
    };
}

pub(super) use functions;
