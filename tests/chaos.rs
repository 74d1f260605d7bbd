//! The example `chaos`, ten seconds of each kind: real servers, real trouble, and an account of every message.
//!
//! `cargo run --release --example chaos -- --minutes 10` is the same for longer.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code, reason = "its own `main` is not called here")]
#[path = "../examples/chaos/main.rs"]
mod chaos;

/// Fewer messages than the example sends: tests are not optimised, and run beside each other.
const RATE: &str = "1000";

async fn kept(mode: &str, delivery: &str) {
    let words = ["--seconds", "10", "--rate", RATE, "--mode", mode, "--delivery", delivery].map(str::to_owned);
    let args = chaos::args::Args::read(words.into_iter()).unwrap().unwrap();
    let account = chaos::run(&args).await.unwrap();
    assert_eq!(account.broken(), Vec::<String>::new(), "{mode}, {delivery}, --seed {}", args.seed);
    assert!(account.sums.received > 0, "nothing came");
    assert!(account.stats.disconnects + account.subscriber.disconnects > 0, "nothing was done to anybody");
}

// I1, I2, I3, I4, I5, N1, promise 3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_once_what_a_bad_network_does_is_accounted_for() {
    kept("cut", "at-most-once").await;
}

// I1, I2, I5, promise 3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_a_bad_network_loses_nothing() {
    kept("cut", "at-least-once").await;
}

// I1, I2, I3, promise 3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_come_and_go_change_nothing_and_send_nothing_twice() {
    kept("cluster", "at-most-once").await;
}
