//! The work: each order is answered, and announced to others.

use std::time::{Duration, Instant};

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use nats_lifeline::client::RunningRouter;
use nats_lifeline::client::metrics::CountingClient;
use nats_lifeline::{Error, Message};

use super::args::Args;

const NEW: &str = "orders.new";
/// Counted by its subject; answers go to a new subject each, so that nobody could count by it.
pub(crate) const ACCEPTED: &str = "orders.accepted";
const FAILED: &str = "orders.failed";

const REQUESTS: &str = "service_requests_total";
const DURATION: &str = "service_request_duration_seconds";

/// Subscribes in the queue group, connected or not, and handles orders from now on.
pub(crate) async fn start(client: CountingClient, args: &Args) -> Result<RunningRouter, Error> {
    let router = client.client().router().queue_group(&args.name).dead_letters(FAILED);
    let orders = Orders { client, work: args.work(), figures: Figures::new(&args.name) };
    let handle = move |order| {
        let orders = orders.clone();
        async move { orders.handle(order).await }
    };
    let concurrency = usize::try_from(args.concurrency)?;
    Ok(router.route_with(NEW, concurrency, handle).start().await?)
}

#[derive(Clone)]
struct Orders {
    client: CountingClient,
    work: Duration,
    figures: Figures,
}

impl Orders {
    /// An error makes the order a dead letter.
    async fn handle(&self, order: Message) -> Result<(), Error> {
        let began = Instant::now();
        let handled = self.accept(order).await;
        self.figures.note(handled.is_ok(), began.elapsed());
        handled
    }

    async fn accept(&self, order: Message) -> Result<(), Error> {
        let reply = order.reply.ok_or("an order without a reply subject")?;
        if order.payload.is_empty() {
            self.client.publish(reply, "refused: the order is empty".into()).await?;
            return Err("the order is empty".into());
        }
        tokio::time::sleep(self.work).await;
        // During an outage both are buffered, and sent after it.
        self.client.publish(ACCEPTED, order.payload).await?;
        self.client.publish(reply, "accepted".into()).await?;
        Ok(())
    }
}

/// The service's own metrics. Each is looked up once, not for each order.
#[derive(Clone)]
struct Figures {
    accepted: Counter,
    failed: Counter,
    duration: Histogram,
}

impl Figures {
    fn new(service: &str) -> Figures {
        describe_counter!(REQUESTS, Unit::Count, "Orders, by outcome");
        describe_histogram!(DURATION, Unit::Seconds, "Time to handle an order");
        let outcome = |name: &'static str| counter!(REQUESTS, "service" => service.to_owned(), "outcome" => name);
        let (accepted, failed) = (outcome("accepted"), outcome("failed"));
        // A rate needs the zero before the first order.
        for counter in [&accepted, &failed] {
            counter.increment(0);
        }
        Figures { accepted, failed, duration: histogram!(DURATION, "service" => service.to_owned()) }
    }

    fn note(&self, accepted: bool, took: Duration) {
        if accepted {
            self.accepted.increment(1)
        } else {
            self.failed.increment(1)
        }
        self.duration.record(took.as_secs_f64());
    }
}
