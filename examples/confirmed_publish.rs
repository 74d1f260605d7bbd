//! The three outcomes of a publish: confirmed, not sent, in doubt. `cargo run --example confirmed_publish`

#[path = "shared/small.rs"]
mod small;

use std::time::Duration;

use nats_lifeline::client::PublishOutcome;
use nats_lifeline::message::OutboundMessage;
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Publishes payments, and knows what became of each.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;
    let outcome = client.publish_confirmed("payments", "17.50".into()).await;
    say!("connected:                       {outcome:?}");
    check(outcome.is_confirmed(), "the server has processed the payment")?;
    // A real server is yours to break.
    let Some(broker) = server.broker else { return Ok(client.close().await?) };

    broker.kill();
    let payment = OutboundMessage { subject: "payments".into(), reply: None, payload: "8.00".into(), headers: None };
    let outcome = client.publish_message_confirmed(payment, Duration::from_millis(200)).await;
    say!("no server for 200 ms:            {outcome:?}");
    let payment = outcome.into_unsent();
    check(payment.is_some(), "a payment that was not sent is returned")?;
    broker.restart().await?;
    client.flush().await?;

    // The server accepts bytes and processes nothing, then dies.
    broker.stall_reads(true);
    let paying = tokio::spawn({
        let client = client.clone();
        async move { client.publish_confirmed("payments", "99.99".into()).await }
    });
    while client.stats().unconfirmed == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    broker.kill();
    let outcome = paying.await?;
    say!("lost after it was written:       {outcome:?}");
    check(matches!(outcome, PublishOutcome::InDoubt), "nobody can know whether the payment was processed")?;

    broker.resume();
    broker.restart().await?;
    let outcome = client.publish_message_confirmed(payment.ok_or("returned")?, Duration::from_secs(10)).await;
    say!("the returned one, once more:     {outcome:?}");
    check(outcome.is_confirmed(), "the returned payment is made after all")?;
    Ok(client.close().await?)
}
