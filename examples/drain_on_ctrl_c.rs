//! Ends a worker in order on Ctrl-C: nothing that it has received is lost. `cargo run --example drain_on_ctrl_c`

#[path = "shared/small.rs"]
mod small;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use small::{Error, Server, check, out, say};

const ORDERS: u64 = 100;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Handles orders until Ctrl-C, then finishes what it has received.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;
    let mut orders = client.queue_subscribe("orders.new", "shipping".into()).await?;
    let handled = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&handled);
    let working = tokio::spawn(async move {
        while let Some(_order) = orders.next().await {
            tokio::time::sleep(Duration::from_millis(2)).await; // the work
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    for number in 0..ORDERS {
        client.publish("orders.new", number.to_string().into()).await?;
    }
    client.flush().await?; // the worker has all of them, and has handled few
    end_of_program(server.broker.is_some()).await?;

    say!("{} of {ORDERS} orders are handled: draining", handled.load(Ordering::Relaxed));
    // Unsubscribes, waits for the worker, sends what it has published, and closes.
    let report = client.drain_and_close(Duration::from_secs(10)).await?;
    working.await?;
    say!("{} of {ORDERS} orders are handled; {report:?}", handled.load(Ordering::Relaxed));
    check(handled.load(Ordering::Relaxed) == ORDERS, "every order is handled")?;
    check(report.completed && report.undelivered == 0, "nothing is left")
}

/// Waits for Ctrl-C. Without a real server the program presses it itself.
async fn end_of_program(press: bool) -> Result<(), Error> {
    let pressed = tokio::signal::ctrl_c();
    tokio::pin!(pressed);
    // The first poll installs the handler.
    if tokio::time::timeout(Duration::from_millis(20), &mut pressed).await.is_err() {
        let process = std::process::id().to_string();
        if press && !Command::new("kill").args(["-INT", &process]).status().is_ok_and(|status| status.success()) {
            return Ok(()); // no such command here
        }
        pressed.await?;
    }
    Ok(())
}
