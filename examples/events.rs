//! Every state and every event of a client, through an outage. `cargo run --example events`

#[path = "shared/small.rs"]
mod small;

use std::time::Duration;

use nats_lifeline::ConnectOptions;
use nats_lifeline::connection::{ConnectionEvent, Status};
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Prints every state and every event of a client through an outage.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    // The program starts before its server, as it may in production.
    server.broker.iter().for_each(|broker| broker.kill());
    let client = ConnectOptions::new().retry_on_initial_connect().connect(server.url()).await?;
    let (mut events, mut status) = (client.events(), client.status_watch());
    say!("state  {}", status.status());
    let states = tokio::spawn(async move {
        let mut seen = vec![status.status()];
        while let Some(state) = status.changed().await {
            say!("state  {state}");
            seen.push(state);
        }
        seen
    });
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(event) = events.recv().await {
            say!("event  {event:?}"); // match on the kinds that you need; the log has them in words
            seen.push(event);
        }
        seen
    });

    if let Some(broker) = &server.broker {
        broker.restart().await?;
    }
    client.flush().await?; // connected
    server.outage(&client).await?;
    client.publish("greetings", "hello".into()).await?; // buffered until the client is back
    client.flush().await?;
    let report = client.drain_and_close(Duration::from_secs(5)).await?;

    let (states, events) = (states.await?, reading.await?); // both end with the client
    let has = |kind: fn(&ConnectionEvent) -> bool| events.iter().any(kind);
    check(has(|event| matches!(event, ConnectionEvent::Disconnected { .. })), "the loss is reported")?;
    check(has(|event| matches!(event, ConnectionEvent::Reconnected { .. })), "the reconnect is reported")?;
    check(matches!(events.last(), Some(ConnectionEvent::Closed { .. })), "the last event is `Closed`")?;
    check(states.last() == Some(&Status::Closed), "the last state is `Closed`")?;
    check(report.completed && report.lost.total() == 0, "nothing is lost")
}
