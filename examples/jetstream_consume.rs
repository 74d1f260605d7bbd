//! A worker that survives everything, and ends in order on Ctrl-C. `cargo run --example jetstream_consume`

#[path = "shared/small.rs"]
mod small;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::jetstream::consumer::{PullConsumer, pull};
use nats_lifeline::jetstream::{self, AckKind, stream};
use nats_lifeline::testing::Broker;
use small::{Error, Server, check, out, say};
use tokio::sync::watch;

const ORDERS: u64 = 500;

/// The seventh order is bad.
const BAD: u64 = 7;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let broker = Broker::builder().jetstream(true);
    small::run_on("Handles the orders of a stream until Ctrl-C, over an outage too.", broker, example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;
    let context = jetstream::new(client.clone());
    let config = stream::Config {
        name: "EXAMPLE_JOBS".to_owned(),
        subjects: vec!["example.jobs".to_owned()],
        ..stream::Config::default()
    };
    let jobs = context.get_or_create_stream(config).await?;
    let config = pull::Config {
        durable_name: Some("shipping".to_owned()),
        // A job that is not acknowledged within this time is delivered again, also to another worker.
        ack_wait: Duration::from_secs(5),
        max_ack_pending: 100,
        ..pull::Config::default()
    };
    let consumer = jobs.get_or_create_consumer("shipping", config).await?;
    let (stop, stopped) = watch::channel(false);
    let working = tokio::spawn(work(consumer, stopped));

    for number in 0..ORDERS {
        context.publish("example.jobs", number.to_string().into()).await?;
        if number == ORDERS / 2 {
            server.outage(&client).await?;
        }
    }
    let counts = context.acks_outcome().await;
    say!("{} jobs are stored, {} are in doubt", counts.stored, counts.in_doubt);
    if server.broker.is_none() {
        say!("working until Ctrl-C");
        tokio::signal::ctrl_c().await?;
    } else {
        // Time for the rest; a program of yours waits for Ctrl-C here.
        loop {
            let info = jobs.consumer_info("shipping").await?;
            if info.num_pending == 0 && info.num_ack_pending == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    // The worker finishes the job that it has in hand. Those that were delivered and not handled go to another worker.
    stop.send(true)?;
    let handled = working.await??;
    let deliveries = context.delivery_counts();
    say!("{} different jobs are handled; {deliveries:?}", handled.len());
    check(!handled.contains(&BAD), "a bad job is never handled")?;
    check(server.broker.is_none() || handled.len() as u64 >= counts.stored - 1, "every stored job is handled")?;
    context.delete_stream("EXAMPLE_JOBS").await?;
    Ok(client.close().await?)
}

/// Handles jobs until `stopped` says so.
async fn work(consumer: PullConsumer, mut stopped: watch::Receiver<bool>) -> Result<HashSet<u64>, Error> {
    let mut handled = HashSet::new();
    let mut jobs = consumer.messages().await?;
    loop {
        let next = tokio::select! {
            _ = stopped.changed() => break,
            next = jobs.next() => next,
        };
        let job = match next {
            Some(Ok(job)) => job,
            // Such as a consumer that has no leader for a while: the stream goes on by itself.
            Some(Err(error)) => {
                eprintln!("{error}");
                continue;
            }
            None => break,
        };
        let number = std::str::from_utf8(&job.payload)?.parse()?;
        if number == BAD {
            job.ack_with(AckKind::Term).await?;
            continue;
        }
        handled.insert(number);
        if number % 100 == 0 {
            // It must not be delivered again: the server confirms the acknowledgement.
            job.double_ack().await?;
        } else {
            job.ack().await?;
        }
    }
    Ok(handled)
}
