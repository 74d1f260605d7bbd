//! The command line.

use clap::Parser;

use crate::shared::args::number;

/// Publishes, subscribes and sends requests while servers are killed, and accounts for every message.
#[derive(Parser)]
#[command(after_help = "\
It ends with code 1 if a message arrived twice, changed or out of order, if the sum of all messages does not hold, or if
more messages are missing than are in doubt. Ctrl-C ends it early, with the same account.")]
pub(crate) struct Args {
    /// How long the load lasts
    #[arg(long, value_name = "N", default_value = "12", value_parser = number(1..=86_400_u64))]
    pub(crate) seconds: u64,
    /// Messages a second
    #[arg(long, value_name = "N", default_value = "20000", value_parser = number(1..=1_000_000_u64))]
    pub(crate) rate: u64,
    /// Real servers, which you kill and restart yourself; without it, three brokers in this process are killed, one
    /// every second
    #[arg(long, value_name = "A,B,C")]
    // The client splits the list itself: a password may contain a comma.
    pub(crate) servers: Option<String>,
}
