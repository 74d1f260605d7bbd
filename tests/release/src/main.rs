//! The smallest program: it subscribes, publishes from another task, and reads. `NATS_URL` names the server.

use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), nats_lifeline::Error> {
    let url = std::env::var("NATS_URL").unwrap_or_else(|_| "localhost:4222".to_owned());
    let client = nats_lifeline::connect(url).await?;
    let mut ticks = client.subscribe("ticks").await?;
    tokio::spawn(async move { client.publish("ticks", "one".into()).await });
    println!("{:?}", ticks.next().await.map(|tick| tick.payload));
    // Idle from here on, until `end` is published.
    while let Some(message) = ticks.next().await {
        if &message.payload[..] == b"end" {
            break;
        }
    }
    Ok(())
}
