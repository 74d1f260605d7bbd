//! Measures this client: publishing, receiving, both, and requests. `cargo run --release --example bench -- --help`

mod args;
mod cpu;
mod far_end;
mod latency;
mod pace;
mod progress;
mod report;
mod requests;
#[path = "../shared/mod.rs"]
mod shared;
#[cfg(feature = "ring")]
mod tls;
mod traffic;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nats_lifeline::HeaderMap;
use tokio::runtime::Builder;

use args::{Args, Work};
use far_end::FarEnd;
use latency::Latency;
use shared::out::ended;

type Error = nats_lifeline::Error;

/// The results.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Messages published, or requests answered.
    published: u64,
    received: u64,
    /// Dropped by the client because its subscriber was too slow.
    dropped: u64,
    /// Published, but neither received nor counted as dropped; or failed requests.
    missing: u64,
    elapsed: Duration,
    cpu: Option<Duration>,
    latency: Option<Latency>,
}

fn main() -> ExitCode {
    match measure(&Args::read()) {
        Ok(sound) if sound => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports. `false`: messages were lost, so the figures are worthless.
fn measure(args: &Args) -> Result<bool, Error> {
    let far_end = FarEnd::start(args)?;
    let runtime = Builder::new_multi_thread().worker_threads(args.threads).enable_all().build()?;
    let outcome = runtime.block_on(async {
        match args.work {
            Work::Pub => traffic::publish(args, &far_end).await,
            Work::Sub => traffic::receive(args, &far_end).await,
            Work::PubSub => traffic::both(args, &far_end).await,
            Work::Request => requests::ask(args, &far_end).await,
        }
    })?;
    report::print(args, &far_end, &outcome, &mut io::stdout()).inspect_err(ended)?;
    Ok(outcome.dropped == 0 && outcome.missing == 0)
}

/// The headers of each message; `None` for none.
pub(crate) fn headers(args: &Args) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for number in 0..args.headers {
        headers.insert(format!("Bench-{number}"), format!("value {number}"));
    }
    (args.headers > 0).then_some(headers)
}

/// Measures the time, and the CPU time of the clients' threads.
pub(crate) struct Clock {
    began: Instant,
    cpu: Option<Duration>,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { cpu: cpu::used(), began: Instant::now() }
    }

    /// Time and CPU time since the start.
    pub(crate) fn stop(&self) -> (Duration, Option<Duration>) {
        let elapsed = self.began.elapsed();
        (elapsed, cpu::used().zip(self.cpu).map(|(after, before)| after.saturating_sub(before)))
    }
}
