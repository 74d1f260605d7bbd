//! Backoff with jitter: 100 ms and up to 50 ms more between attempts. `cargo run --example jittered_backoff`

#[path = "shared/small.rs"]
mod small;

use std::time::Duration;

use nats_lifeline::ConnectOptions;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::options::{Backoff, Jitter};
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Shows the delays between attempts on a server that is down.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    // Clients that have lost the same server return spread over this time, and not in the same instant.
    let (wait, jitter) = (Duration::from_millis(100), Duration::from_millis(50));
    let client = ConnectOptions::new()
        .backoff(Backoff { jitter: Jitter::Added(jitter), ..Backoff::fixed(wait) })
        .retry_on_initial_connect()
        .connect("127.0.0.1:1") // nothing listens there
        .await?;
    let (mut events, mut delays) = (client.events(), Vec::new());
    while delays.len() < 5 {
        if let Some(ConnectionEvent::AttemptFailed { server, attempt, cause, retry_in, .. }) = events.recv().await {
            say!("attempt {attempt} on {server}: {cause}; the next one in {retry_in:?}");
            delays.push(retry_in);
        }
    }
    check(delays.iter().all(|delay| (wait..=wait + jitter).contains(delay)), "each delay is within the range")?;
    delays.dedup();
    check(delays.len() > 1, "the delays differ")?;

    client.set_server_pool(server.url()).await?; // a server that is up
    client.flush().await?;
    say!("connected to {}", client.connected_server().unwrap_or_default());
    Ok(client.close().await?)
}
