//! A service as you would run it in production. `cargo run --example service -- --help`
//!
//! It answers requests to `orders.new` as a member of a queue group, and announces each order on `orders.accepted`. Orders
//! that it cannot accept go to `orders.failed`, with the reason in a header. It connects as the environment says
//! (`NATS_URL`, `NATS_CREDS` and so on), starts without a server too, and keeps running through outages.
//!
//! | path | answer |
//! |---|---|
//! | `/health/live` | 200 while the process works, whatever the connection does |
//! | `/health/nats` | 200 if the server answers a PING; 503 if it does not, and from the first signal on |
//! | `/metrics` | metrics in Prometheus's text format |
//!
//! Let only probes and scrapers reach the port: HTTP connections are limited neither in number nor in time, and idle ones
//! can use up the file descriptors that the connection to NATS needs.
//!
//! The log goes to standard error, at `info` unless `RUST_LOG` says otherwise.
//!
//! On SIGTERM or Ctrl-C it reports that it is not ready, keeps working for a moment, drains, and prints an account of its
//! messages. The exit code is 0 if every request was handled, and draining left no message in doubt or lost. It is 1 if not, if
//! requests were dropped at any time because handlers were too slow, if the subscription ended by itself (a server refused
//! it), if the service could not start, and on a second signal; 2 for a wrong argument. Answers that outages have lost or
//! left in doubt earlier are in the account, and do not change the exit code.
//!
//! `cargo test --test processes service:: -- --nocapture` runs it through ten outages under load.

mod account;
mod args;
#[path = "../shared/command_line.rs"]
#[allow(dead_code, unused_imports)] // It checks the servers itself.
mod command_line;
mod exporter;
mod http;
#[path = "../shared/out.rs"]
mod out;
mod signals;
mod work;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nats_lifeline::client::RunningRouter;
use nats_lifeline::{Client, ConnectOptions, Error};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use account::Account;
use args::Args;
use http::{Http, Phase};
use out::say;
use signals::Signals;

/// What may be buffered during an outage. At 100 answers a second of 200 bytes it is full after almost an hour.
const BUFFER: usize = 64 * 1024 * 1024;

/// How often the latency of publishing is measured, with one PING.
const LATENCY_EVERY: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    if let Err(error) = log() {
        eprintln!("service: {error}");
        return ExitCode::FAILURE;
    }
    match run(&args).await {
        Ok(account) => {
            say!("{account}");
            account.exit_code()
        }
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error: at `info`, where the client logs an outage in about ten lines, or as `RUST_LOG` says.
fn log() -> Result<(), Error> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let filter = filter.from_env().map_err(|error| format!("RUST_LOG: {error}"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

async fn run(args: &Args) -> Result<Account, Error> {
    // First of all, so that no signal is missed.
    let mut signals = Signals::new()?;
    // Before the connection, so that a port in use is the only error.
    let listener = http::listen(args.listen).await?;
    let metrics = exporter::install()?;
    let client = connect(args).await?;
    let counting = client.count_subjects([work::ACCEPTED])?;
    let reporting = tokio::spawn(counting.report_metrics(args.name.as_str()).measure_latency(LATENCY_EVERY).run());
    let http = Http::start(listener, client.clone(), metrics)?;
    say!("listening on http://{}", http.address());

    let mut worker = work::start(counting, args).await?;
    let ended_early = tokio::select! {
        signal = signals.next() => {
            say!("{signal}: not ready from now on");
            None
        }
        () = worker.ended() => Some(ended(&client)),
    };
    http.enter(Phase::Stopping);
    // Another signal ends the process immediately.
    tokio::spawn(async move {
        eprintln!("service: {} while ending: ending immediately", signals.next().await);
        std::process::exit(1);
    });
    if ended_early.is_none() {
        tokio::time::sleep(args.notice()).await;
    }

    let account = drain(worker, &client, args.drain()).await;
    // After the last figures, which follow the end of the client.
    let _ = reporting.await;
    http.enter(Phase::Drained);
    http.last_scrape(args.last_scrape()).await;
    http.stop().await;
    Ok(Account { ended_early, ..account })
}

/// Connects with the environment's settings. Without a server it returns, and connects when there is one.
async fn connect(args: &Args) -> Result<Client, Error> {
    let mut profile = ConnectOptions::from_env().await?;
    if !args.servers.is_empty() {
        profile.servers = args.servers()?;
    }
    // A misspelt NATS_URL shows here: without one, it is localhost.
    let servers: Vec<String> = profile.servers.iter().map(ToString::to_string).collect();
    tracing::info!(servers = servers.join(", "), "connecting");
    profile.options = profile.options.retry_on_initial_connect().reconnect_buffer_size(BUFFER);
    Ok(profile.connect().await?)
}

/// Handles what was received, sends what was published, and closes the client, in this time.
async fn drain(worker: RunningRouter, client: &Client, within: Duration) -> Account {
    let began = Instant::now();
    let requests = worker.drain(within).await;
    // Even if handlers have used all of the time, their answers deserve a second.
    let left = within.saturating_sub(began.elapsed()).max(Duration::from_secs(1));
    let drained = client.drain_and_close(left).await.ok();
    Account { requests, drained, messages: client.stats(), ended_early: None }
}

/// Why there is nothing to handle any more, although nobody has asked for an end.
fn ended(client: &Client) -> String {
    let why = client.health_snapshot().last_error.unwrap_or_else(|| "the client was closed".to_owned());
    format!("the subscription has ended: {why}")
}
