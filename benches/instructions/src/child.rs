//! The process under valgrind: it does one operation a number of times.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use nats_lifeline::jetstream::consumer::PullConsumer;
use nats_lifeline::jetstream::context::PublishAckFuture;
use nats_lifeline::{Client, ConnectOptions, HeaderMap, jetstream};
use tokio::runtime::Builder;

use crate::Failure;
use crate::operation::{Operation, Work};

/// The first argument of such a process.
pub(crate) const FLAG: &str = "--child";

/// A literal, like the subjects of most programs.
const SUBJECT: &str = "orders.eu.new";

/// Messages of one call of `Publisher::publish_batch`.
const BATCH: u64 = 100;

/// Messages of one batch of `Subscriber::next_batch`, at most.
const RECEIVED: usize = 1000;

/// Acknowledgements that are pending.
const IN_FLIGHT: usize = 1000;

/// No run takes a tenth of it on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// `--child NAME TIMES [ADDRESS]`.
pub(crate) fn main(mut words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut word = || words.next().ok_or("a child is started by the program itself");
    let operation = Operation::named(&word()?).ok_or("no such operation")?;
    let times = word()?.parse()?;
    match operation {
        Operation::Protocol { name } => {
            let case = protocol_bench::cases().into_iter().find(|case| case.name == name);
            case.ok_or("no such case")?.run(usize::try_from(times)?);
            Ok(())
        }
        Operation::Client { work, .. } => {
            // On one thread, as valgrind would run several, the order of the steps is the same in every run.
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let addr = word()?;
            // A task of its own takes turns with the client's; the future in `block_on` would have one turn in 61.
            let all = async { tokio::time::timeout(PATIENCE, tokio::spawn(client(work, times, addr))).await };
            runtime.block_on(all).map_err(|_| "messages or answers were lost")??
        }
    }
}

async fn client(work: Work, times: u64, addr: String) -> Result<(), Failure> {
    // Under valgrind a round of the client's task may take longer than it waits for slow consumers: nothing may be dropped.
    let options = ConnectOptions::new().subscription_capacity(usize::MAX).subscription_byte_capacity(usize::MAX);
    let client = options.connect(addr).await?;
    match work {
        Work::Publish { payload } => {
            let payload = zeroes(payload);
            for _ in 0..times {
                client.publish(SUBJECT, payload.clone()).await?;
            }
            client.flush().await?;
        }
        Work::PublishHeaders { payload } => {
            let payload = zeroes(payload);
            for _ in 0..times {
                client.publish_with_headers(SUBJECT, headers(), payload.clone()).await?;
            }
            client.flush().await?;
        }
        Work::PublishHeadersCloned { payload } => {
            let (headers, payload) = (headers(), zeroes(payload));
            for _ in 0..times {
                client.publish_with_headers(SUBJECT, headers.clone(), payload.clone()).await?;
            }
            client.flush().await?;
        }
        Work::Publisher { payload } => {
            let (publisher, payload) = (client.publisher(SUBJECT)?, zeroes(payload));
            for _ in 0..times {
                publisher.publish(&payload).await?;
            }
            client.flush().await?;
        }
        Work::PublisherBatch { payload } => {
            let (publisher, payload) = (client.publisher(SUBJECT)?, zeroes(payload));
            for _ in 0..times / BATCH {
                publisher.publish_batch((0..BATCH).map(|_| &payload)).await?;
            }
            client.flush().await?;
        }
        Work::Receive { .. } => receive(&client, times).await?,
        Work::ReceiveBatch { .. } => receive_batches(&client, times).await?,
        Work::Request { payload, tasks } => {
            let ask = async || {
                for _ in 0..times / tasks {
                    client.request(SUBJECT, zeroes(payload)).await?;
                }
                Ok::<_, Failure>(())
            };
            try_join_all((0..tasks).map(|_| ask())).await?;
        }
        Work::Store { payload } => store(&client, payload, times).await?,
        Work::Pull { acks, .. } => pull(&client, acks, times).await?,
    }
    Ok(())
}

async fn pull(client: &Client, acks: bool, times: u64) -> Result<(), Failure> {
    let context = jetstream::new(client.clone());
    let consumer: PullConsumer = context.get_consumer_from_stream("worker", "ORDERS").await?;
    let mut messages = consumer.messages().await?;
    for _ in 0..times {
        let message = messages.next().await.ok_or("the stream ended")??;
        if acks {
            message.ack().await?;
        }
    }
    client.flush().await?;
    Ok(())
}

async fn store(client: &Client, payload: usize, times: u64) -> Result<(), Failure> {
    let (context, payload) = (jetstream::new(client.clone()), zeroes(payload));
    let mut pending = VecDeque::with_capacity(IN_FLIGHT);
    for _ in 0..times {
        if pending.len() == IN_FLIGHT {
            let oldest: Option<PublishAckFuture> = pending.pop_front();
            oldest.ok_or("nothing is pending")?.await?;
        }
        pending.push_back(context.publish(SUBJECT, payload.clone()).await?);
    }
    for ack in pending {
        ack.await?;
    }
    Ok(())
}

async fn receive(client: &Client, times: u64) -> Result<(), Failure> {
    let mut subscriber = client.subscribe(SUBJECT).await?;
    for _ in 0..times {
        subscriber.next().await.ok_or("the subscription ended")?;
    }
    Ok(())
}

async fn receive_batches(client: &Client, times: u64) -> Result<(), Failure> {
    let mut subscriber = client.subscribe(SUBJECT).await?;
    let mut bytes = 0;
    while subscriber.delivered() < times {
        let batch = subscriber.next_batch(RECEIVED).await.ok_or("the subscription ended")?;
        bytes += batch.iter().map(|message| message.payload().len()).sum::<usize>();
    }
    black_box(bytes);
    Ok(())
}

/// Two headers, in a new map.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "a1b2c3");
    headers.insert("Trace", "4bf92f3577b34da6a3ce929d0e0e4736");
    headers
}

/// A payload that costs nothing to clone.
fn zeroes(len: usize) -> Bytes {
    const ZEROES: [u8; 1024] = [0; 1024];
    Bytes::from_static(&ZEROES[..len])
}
