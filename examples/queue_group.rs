//! Queue groups: each message goes to one member of a group. `cargo run --example queue_group`

#[path = "shared/small.rs"]
mod small;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Shares messages among three workers of a queue group.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;
    let mut workers = Vec::new();
    for name in ["Ada", "Ben", "Cleo"] {
        // In a service each worker is a process with its own connection.
        workers.push((name, client.queue_subscribe("orders.new", "shipping".into()).await?));
    }
    let mut audit = client.subscribe("orders.new").await?; // in no group, so it gets every message
    for number in 0..300 {
        client.publish("orders.new", number.to_string().into()).await?;
    }
    client.flush().await?; // the server has passed all of them on

    let mut handled = Vec::new();
    for (name, worker) in &mut workers {
        worker.drain().await?; // ends the stream after the last message
        let orders: Vec<_> = worker.map(|order| order.payload).collect().await;
        say!("{name}: {} orders", orders.len());
        handled.extend(orders);
    }
    audit.drain().await?;
    let audited = audit.count().await;
    say!("audit: {audited} orders");
    let different: BTreeSet<_> = handled.iter().collect();
    check(handled.len() == 300 && different.len() == 300, "each order goes to one worker")?;
    check(audited == 300, "a subscription without a group gets every order")?;
    Ok(client.close().await?)
}
