//! The first program: subscribe, publish, flush, request. `cargo run --example quickstart [server]`

use std::io::{Write, stdout};
use std::process::ExitCode;

use futures_util::StreamExt;
use nats_lifeline::testing::Broker;

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    // The error, and those of its sources that its text does not contain yet.
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        if !text.contains(&cause.to_string()) {
            text += &format!(": {cause}");
        }
        source = cause.source();
    }
    eprintln!("quickstart: {text}");
    ExitCode::FAILURE
}

async fn run() -> Result<(), nats_lifeline::Error> {
    let broker = Broker::start().await?; // used without an argument: a broker inside this program
    let server = std::env::args().nth(1).unwrap_or_else(|| broker.url());
    if server.starts_with('-') {
        return Ok(writeln!(stdout(), "quickstart [server]: subscribes, publishes and asks there, or inside itself")?);
    }
    let client = nats_lifeline::connect(server).await?;

    let mut orders = client.subscribe("orders.*").await?;
    client.publish("orders.new", "four wheels".into()).await?;
    client.flush().await?; // Ok: the server has processed it
    let Some(order) = orders.next().await else { return Ok(()) };
    writeln!(stdout(), "{}: {}", order.subject, String::from_utf8_lossy(&order.payload))?;

    let (mut questions, responder) = (client.subscribe("weather").await?, client.clone());
    tokio::spawn(async move {
        while let Some(reply) = questions.next().await.and_then(|question| question.reply) {
            let _ = responder.publish(reply, "sunny".into()).await;
        }
    });
    let answer = client.request("weather", "and tomorrow?".into()).await?;
    writeln!(stdout(), "weather: {}", String::from_utf8_lossy(&answer.payload))?;
    Ok(client.close().await?)
}
