//! Preferred servers: the nearest one is used whenever it is up. `cargo run --example preferred_servers`

#[path = "shared/small.rs"]
mod small;

use std::time::Duration;

use nats_lifeline::ConnectOptions;
use nats_lifeline::connection::{Cause, ConnectionEvent};
use nats_lifeline::options::Backoff;
use nats_lifeline::testing::Broker;
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Leaves a near server that dies, and returns when it is back.", example).await
}

async fn example(near: Server) -> Result<(), Error> {
    let far = Broker::start().await?;
    let client = ConnectOptions::new()
        .preferred_servers(near.url())?
        // By default the near server is probed after 5 s, and must have been up for 10 s.
        .failback_probe(Backoff::fixed(Duration::from_millis(200)))
        .failback_stability(Duration::from_millis(200))
        .connect(far.url())
        .await?;
    let (first, far) = (client.connected_server(), far.addr().to_string());
    say!("connected to {}, the near one", first.clone().unwrap_or_default());
    check(first.as_ref().is_some_and(|server| *server != far), "the preferred server is connected first")?;
    // A real server is yours to kill.
    let Some(near) = near.broker else { return Ok(client.close().await?) };

    near.kill();
    client.flush().await?; // waits for the next server
    say!("connected to {far}, the far one");
    check(client.connected_server() == Some(far), "the other server takes over")?;

    let mut events = client.events();
    near.restart().await?;
    let cause = loop {
        match events.recv().await.ok_or("the client has ended")? {
            ConnectionEvent::Disconnected { cause, .. } => break cause,
            event => say!("  {event:?}"),
        }
    };
    client.flush().await?;
    say!("connected to {} again: {cause}", client.connected_server().unwrap_or_default());
    check(cause == Cause::Failback && client.connected_server() == first, "the client returns")?;
    Ok(client.close().await?)
}
