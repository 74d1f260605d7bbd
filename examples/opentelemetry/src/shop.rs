//! What is traced: an order is published, a worker handles it and asks for a price.

use futures_util::StreamExt;
use nats_lifeline::{Client, Error, Message, Request};
use tracing::Instrument;

use crate::headers::{processing, traced};

/// Runs it once against the server at `url`, with a client for each part. When it returns, its spans have ended.
pub async fn run(url: &str) -> Result<(), Error> {
    let (prices, worker) = (nats_lifeline::connect(url).await?, nats_lifeline::connect(url).await?);
    let mut requests = prices.subscribe_confirmed("prices").await?;
    let mut orders = worker.subscribe_confirmed("orders.*").await?;
    let answering = tokio::spawn(async move {
        match requests.next().await {
            Some(request) => {
                let span = processing(&request);
                answer(&prices, request).instrument(span).await
            }
            None => Ok(()),
        }
    });
    let working = tokio::spawn(async move {
        match orders.next().await {
            Some(order) => {
                let span = processing(&order);
                handle(&worker, order).instrument(span).await
            }
            None => Ok(()),
        }
    });
    let publisher = nats_lifeline::connect(url).await?;
    let span = tracing::info_span!("checkout");
    order(&publisher).instrument(span).await?;
    working.await??;
    answering.await?
}

/// Publishes an order, in a span as OpenTelemetry's conventions describe it.
async fn order(client: &Client) -> Result<(), Error> {
    let span = tracing::info_span!(
        "publish",
        "otel.kind" = "producer",
        "messaging.system" = "nats",
        "messaging.operation.name" = "publish",
        "messaging.operation.type" = "send",
        "messaging.destination.name" = "orders.new",
    );
    async {
        client.publish_with_headers("orders.new", traced(), "four wheels".into()).await?;
        Ok(client.flush().await?)
    }
    .instrument(span)
    .await
}

/// Handles an order. The client makes a span for the request; the headers carry on the one of this order.
async fn handle(client: &Client, order: Message) -> Result<(), Error> {
    let request = Request::new().headers(traced()).payload(order.payload);
    let price = client.send_request("prices", request).await?;
    tracing::info!(price = %String::from_utf8_lossy(&price.payload), "priced");
    Ok(())
}

/// Answers with a price.
async fn answer(client: &Client, request: Message) -> Result<(), Error> {
    if let Some(reply) = request.reply {
        client.publish(reply, "17.50".into()).await?;
        client.flush().await?;
    }
    Ok(())
}
