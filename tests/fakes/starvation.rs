//! On a current-thread runtime the connection's task runs only when other tasks yield: a loop that publishes and never
//! yields by itself must not starve it (D11, seen).
#![allow(clippy::unwrap_used)]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nats_lifeline::connection::Status;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions};

/// Long enough for any machine; a starved task would never run.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker that does not depend on the runtime under test, and the orders for it.
struct Elsewhere {
    url: String,
    orders: mpsc::Sender<Order>,
    thread: Option<thread::JoinHandle<u64>>,
}

enum Order {
    Kill,
    RestartIn(Duration),
    End,
}

impl Elsewhere {
    fn start() -> Elsewhere {
        let (orders, inbox) = mpsc::channel();
        let (sender, url) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let broker = runtime.block_on(Broker::start()).unwrap();
            sender.send(broker.url()).unwrap();
            loop {
                match inbox.recv().unwrap() {
                    Order::Kill => broker.kill(),
                    Order::RestartIn(delay) => {
                        thread::sleep(delay);
                        runtime.block_on(broker.restart()).unwrap();
                    }
                    Order::End => return broker.messages_in(),
                }
            }
        });
        Elsewhere { url: url.recv().unwrap(), orders, thread: Some(thread) }
    }

    /// Ends the broker; returns how many messages it has received.
    fn end(mut self) -> u64 {
        self.orders.send(Order::End).unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Only publishes, until `done` returns true. Returns how many messages were accepted.
async fn publish_until(client: &Client, mut done: impl FnMut(&Client) -> bool) -> u64 {
    let begun = Instant::now();
    let mut accepted = 0;
    while !done(client) {
        assert!(begun.elapsed() < PATIENCE, "starved: {:?}, {:?}", client.status(), client.stats());
        for _ in 0..1000 {
            accepted += u64::from(client.publish("a", "0123456789abcdef".into()).await.is_ok());
        }
    }
    accepted
}

#[tokio::test(flavor = "current_thread")]
async fn a_loop_that_publishes_does_not_starve_the_task_while_connected() {
    let broker = Elsewhere::start();
    let client = nats_lifeline::connect(broker.url.as_str()).await.unwrap();
    // A PONG confirms messages only if the task writes and reads while the loop runs.
    let accepted = publish_until(&client, |client| client.stats().confirmed > 100_000).await;
    client.flush().await.unwrap();
    assert_eq!(client.stats().confirmed, accepted);
    drop(client);
    assert_eq!(broker.end(), accepted);
}

#[tokio::test(flavor = "current_thread")]
async fn a_loop_that_publishes_does_not_starve_the_task_while_disconnected() {
    let broker = Elsewhere::start();
    // So small that nearly every call is refused: refusals must let other tasks run too.
    let options = ConnectOptions::new().reconnect_buffer_size(64 * 1024);
    let client = options.connect(broker.url.as_str()).await.unwrap();
    broker.orders.send(Order::Kill).unwrap();
    publish_until(&client, |client| client.status() != Status::Connected).await;
    broker.orders.send(Order::RestartIn(Duration::from_millis(300))).unwrap();
    publish_until(&client, |client| client.status() == Status::Connected).await;
    assert_eq!(client.stats().reconnects, 1);
    assert!(client.stats().balances());
    drop(client);
    broker.end();
}
