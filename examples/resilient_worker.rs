//! A worker that survives its server and a failing service. `cargo run --example resilient_worker`
//!
//! Orders come to a queue group. For each one the worker asks a price service, with retries and behind a circuit
//! breaker. Orders that can't be handled go to `orders.failed`, with the reason in a header. In the middle the server is
//! killed and restarted, and for a while the price service refuses to answer.
//!
//! At the end, each order was either priced or is a dead letter. Otherwise the program ends with code 1.

#[path = "shared/small.rs"]
mod small;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{BreakerError, CircuitBreaker, DEAD_LETTER_REASON};
use nats_lifeline::options::RequestOptions;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, Error, Message, Request};
use tokio::time::sleep;

const ORDERS: u64 = 400;

#[tokio::main]
async fn main() -> ExitCode {
    small::no_arguments("Handles orders through an outage, with retries, dead letters and a circuit breaker.");
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("resilient_worker: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: an order is missing.
async fn run() -> Result<bool, Error> {
    let broker = Broker::start().await?;
    let out_of_order = Arc::new(AtomicBool::new(false));
    let service = price_service(nats_lifeline::connect(broker.url()).await?, Arc::clone(&out_of_order)).await?;

    let client = nats_lifeline::connect(broker.url()).await?;
    let prices = CircuitBreaker::new().failures(3).open_for(Duration::from_millis(300));
    let (asking, breaker) = (client.clone(), prices.clone());
    let (priced, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (successes, short_cuts) = (Arc::clone(&priced), Arc::clone(&refused));
    let worker = client
        .router()
        .queue_group("pricing")
        .dead_letters("orders.failed")
        .route_with("orders.new", 4, move |order| {
            let (asking, breaker) = (asking.clone(), breaker.clone());
            let (successes, short_cuts) = (Arc::clone(&successes), Arc::clone(&short_cuts));
            async move {
                match breaker.call(price(&asking, order)).await {
                    Ok(()) => successes.fetch_add(1, Ordering::Relaxed),
                    Err(BreakerError::Open { .. }) => {
                        short_cuts.fetch_add(1, Ordering::Relaxed);
                        return Err("the price service is being left alone".to_owned());
                    }
                    Err(BreakerError::Failed(error)) => return Err(error.to_string()),
                };
                Ok(())
            }
        })
        .start()
        .await?;

    let shop = nats_lifeline::connect(broker.url()).await?;
    let mut failed = shop.subscribe("orders.failed").await?;
    for connected in [&client, &shop] {
        connected.flush().await?;
    }
    for number in 0..ORDERS {
        match number {
            100 => out_of_order.store(true, Ordering::Relaxed),
            200 => out_of_order.store(false, Ordering::Relaxed),
            // Orders that the dying server has taken, and nobody has received, would be in doubt: none is under way.
            300 => {
                settle(&worker_done(&worker), number).await;
                broker.kill();
                broker.restart().await?;
                // Core NATS keeps nothing for subscribers that are away: all of them are there before the next order.
                for connected in [&client, &shop, &service] {
                    while connected.flush().await.is_err() {}
                }
            }
            _ => {}
        }
        shop.publish("orders.new", number.to_string().into()).await?;
        sleep(Duration::from_millis(2)).await;
    }
    shop.flush().await?;
    client.flush().await?;
    let report = worker.drain(Duration::from_secs(20)).await;
    shop.flush().await?;
    failed.drain().await?;
    let (mut letters, mut reasons) = (0, BTreeSet::new());
    while let Some(letter) = failed.next().await {
        letters += 1;
        reasons.extend(letter.headers.and_then(|headers| headers.get(DEAD_LETTER_REASON).map(ToString::to_string)));
    }

    let (priced, refused) = (priced.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    println!("{ORDERS} orders, one restart of the server, one service out of order for a while");
    println!(
        "{priced} priced, {letters} dead letters, {refused} of them without a request, breaker: {:?}",
        prices.state()
    );
    for reason in reasons {
        println!("  {reason}");
    }
    let whole = priced + letters == ORDERS && report.handled == priced && report.failed == letters && refused > 0;
    println!("{}", if whole { "Every order was priced or is a dead letter." } else { "BROKEN: orders are missing." });
    Ok(whole)
}

/// Asks for the price of an order. Asking twice does no harm.
async fn price(client: &Client, order: Message) -> Result<(), Error> {
    let request = Request::new().payload(order.payload).timeout(Some(Duration::from_secs(5)));
    let options = RequestOptions::new().retries(2).backoff(Duration::from_millis(20)).idempotent();
    let reply = client.request_with("prices", request, options).await?;
    match &reply.payload[..] {
        b"out of order" => Err("the price service is out of order".into()),
        _ => Ok(()),
    }
}

/// Answers requests for prices.
async fn price_service(client: Client, out_of_order: Arc<AtomicBool>) -> Result<Client, Error> {
    let mut questions = client.subscribe("prices").await?;
    client.flush().await?;
    let answering = client.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let answer = if out_of_order.load(Ordering::Relaxed) { "out of order" } else { "17.50" };
            if let Some(reply) = question.reply {
                let _ = answering.publish(reply, answer.into()).await;
            }
        }
    });
    Ok(client)
}

/// How many orders the worker has settled.
fn worker_done(worker: &nats_lifeline::client::RunningRouter) -> impl Fn() -> u64 {
    || {
        let report = worker.report();
        report.handled + report.failed
    }
}

/// Waits until `done` says `count`.
async fn settle(done: &impl Fn() -> u64, count: u64) {
    while done() < count {
        sleep(Duration::from_millis(5)).await;
    }
}
