//! The arguments. Credentials and TLS come from the environment, where other users do not see them.

use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use nats_lifeline::{ServerAddr, ToServerAddrs};

use crate::command_line::without_password;

/// Longest time of each kind, in seconds.
const LONGEST: u64 = 3600;

/// Answers requests to `orders.new`, with probes and metrics over HTTP.
#[derive(Debug, Parser)]
#[command(
    name = "service",
    after_help = "Credentials, TLS and servers are read from the environment: NATS_URL, NATS_CREDS, NATS_CA and so on;\n\
                  see `ConnectOptions::from_env`. RUST_LOG sets what is logged, such as nats_lifeline=debug."
)]
pub(crate) struct Args {
    /// NATS servers, separated by commas, instead of those in NATS_URL or NATS_SERVERS
    // Split by the library: clap would split a password that contains a comma, and show a part of it.
    #[arg(long, value_name = "URLS")]
    pub(crate) servers: Vec<String>,

    /// Address for /health/live, /health/nats and /metrics: 0.0.0.0:8080 in a container; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Name of the queue group, and the label `service` of the metrics
    #[arg(long, default_value = "orders", value_parser = name)]
    pub(crate) name: String,

    /// Orders that are handled at the same time, 1 to 1024
    #[arg(long, value_name = "NUMBER", default_value = "16", value_parser = number(1, 1024))]
    pub(crate) concurrency: u64,

    /// How long an order takes, in milliseconds: the work is simulated
    #[arg(long, value_name = "MS", default_value = "5", value_parser = number(0, 60_000))]
    work_ms: u64,

    /// After a signal, how long to keep working while /health/nats answers 503, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = number(0, LONGEST))]
    notice: u64,

    /// How long draining may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = number(1, LONGEST))]
    drain: u64,

    /// How long to wait at the end until somebody has read the last figures from /metrics, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = number(0, LONGEST))]
    last_scrape: u64,
}

impl Args {
    /// Reads the command line. An error names the value and the rule that it breaks.
    pub(crate) fn read() -> Result<Args, clap::Error> {
        let args = Args::try_parse().map_err(without_password)?;
        // Not by clap, which would repeat a password in a URL.
        args.servers().map_err(|error| Args::command().error(ErrorKind::ValueValidation, error))?;
        Ok(args)
    }

    /// The servers that were given.
    pub(crate) fn servers(&self) -> Result<Vec<ServerAddr>, String> {
        let addresses = self.servers.to_server_addrs().map_err(|error| format!("--servers: {error}"))?;
        Ok(addresses.collect())
    }

    pub(crate) fn work(&self) -> Duration {
        Duration::from_millis(self.work_ms)
    }

    pub(crate) fn notice(&self) -> Duration {
        Duration::from_secs(self.notice)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }

    pub(crate) fn last_scrape(&self) -> Duration {
        Duration::from_secs(self.last_scrape)
    }
}

fn number(least: u64, most: u64) -> RangedU64ValueParser {
    clap::value_parser!(u64).range(least..=most)
}

/// A name that is valid as a queue group and readable as a label.
fn name(text: &str) -> Result<String, &'static str> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || !text.chars().all(valid) {
        return Err("use letters, digits, '-' and '_' only");
    }
    Ok(text.to_owned())
}
