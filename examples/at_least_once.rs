//! At least once: what no server has confirmed is sent again. `cargo run --example at_least_once`

#[path = "shared/small.rs"]
mod small;

use std::collections::BTreeMap;

use futures_util::StreamExt;
use nats_lifeline::ConnectOptions;
use nats_lifeline::options::DeliveryMode;
use small::{Error, Server, check, out, say};

const ORDERS: usize = 10;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Loses a connection before messages are confirmed, and sends them again.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = ConnectOptions::new().delivery(DeliveryMode::AtLeastOnce).connect(server.url()).await?;
    let mut orders = client.subscribe("orders.new").await?;
    client.flush().await?;

    // The server processes everything, but its answers to PINGs are lost.
    server.broker.iter().for_each(|broker| broker.drop_pongs(true));
    for number in 0..ORDERS {
        client.publish("orders.new", number.to_string().into()).await?;
    }
    let mut copies = BTreeMap::<String, u64>::new();
    while copies.len() < ORDERS {
        let order = orders.next().await.ok_or("the subscription has ended")?;
        *copies.entry(String::from_utf8_lossy(&order.payload).into_owned()).or_default() += 1;
    }
    say!("{ORDERS} orders were received, {} are not confirmed: the connection is lost now", client.stats().unconfirmed);
    server.broker.iter().for_each(|broker| broker.drop_pongs(false));
    server.outage(&client).await?;
    client.flush().await?; // everything is confirmed; at most once, it would report 10 messages in doubt

    orders.drain().await?;
    while let Some(order) = orders.next().await {
        *copies.entry(String::from_utf8_lossy(&order.payload).into_owned()).or_default() += 1;
    }
    let stats = client.stats();
    let twice = copies.values().filter(|copies| **copies > 1).count();
    say!("{} were sent again, and {twice} arrived twice: a receiver must recognise them", stats.resent);
    check(copies.len() == ORDERS && stats.in_doubt == 0, "every order arrives")?;
    check(server.broker.is_none() || twice == ORDERS, "unconfirmed orders are sent again")?;
    Ok(client.close().await?)
}
