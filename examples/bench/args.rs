//! The command line: what is measured, and how.

use clap::{Parser, ValueEnum};
use nats_lifeline::Subject;

use crate::shared::args::{number, refuse};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Publishes, by default into a sink in this process that counts and discards
    Pub,
    /// Receives, by default from a source in this process that sends prepared bytes
    Sub,
    /// One client publishes, the others receive all of it, by default through the broker in this process
    #[value(name = "pubsub")]
    PubSub,
    /// Clients send requests and another one answers, by default through the broker in this process
    Request,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Pub => "pub",
            Work::Sub => "sub",
            Work::PubSub => "pubsub",
            Work::Request => "request",
        }
    }
}

/// Measures this client: messages per second, and their cost.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Args {
    /// What is measured
    pub(crate) work: Work,
    /// Messages, or requests, in all [default: pub, sub 10000000; pubsub 2000000; request 100000]
    #[arg(long, value_name = "N", value_parser = number(1..=1_000_000_000_000_u64))]
    msgs: Option<u64>,
    /// Bytes of payload
    #[arg(long, value_name = "N", default_value = "16", value_parser = number(0..=64_usize << 20))]
    pub(crate) size: usize,
    /// Headers of each message
    #[arg(long, value_name = "N", default_value = "0", value_parser = number(0..=1000_usize))]
    pub(crate) headers: usize,
    /// Connections, all with the same work
    #[arg(long, value_name = "N", default_value = "1", value_parser = number(1..=10_000_usize))]
    pub(crate) clients: usize,
    /// Requests in flight for each client
    #[arg(long, value_name = "N", default_value = "1", value_parser = number(1..=100_000_usize))]
    pub(crate) in_flight: usize,
    /// The subject
    // A `'static` text, like the subjects of most programs.
    #[arg(long, value_name = "S", default_value = "bench", value_parser = subject)]
    pub(crate) subject: &'static str,
    /// A real server instead of this process; `sub` then waits for a publisher, such as `bench pub --server URL`
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Threads of the clients' runtime; by default one for each processor
    #[arg(long, value_name = "N", default_value_t = processors(), hide_default_value = true)]
    #[arg(value_parser = number(1..=1024_usize))]
    pub(crate) threads: usize,
}

fn subject(text: &str) -> Result<&'static str, &'static str> {
    Subject::validated(text).map_err(|_| "must have no blank and no empty token")?;
    Ok(text.to_owned().leak())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

impl Args {
    /// Reads the command line; ends the program if it is invalid, or after the help.
    pub(crate) fn read() -> Args {
        let args = Args::parse();
        if let Some(rule) = args.broken_rule() {
            refuse::<Args>(&rule);
        }
        args
    }

    /// Checks combinations of options.
    fn broken_rule(&self) -> Option<String> {
        let (work, msgs, in_flight, subject) = (self.work, self.msgs(), self.in_flight, self.subject);
        let at_once = self.clients.saturating_mul(if work == Work::Request { in_flight } else { 1 }) as u64;
        if work != Work::PubSub && msgs < at_once {
            return Some(format!("--msgs {msgs}: must be at least {at_once}, one for each concurrent worker"));
        }
        if work != Work::Request && in_flight != 1 {
            return Some(format!("--in-flight {in_flight}: only for request"));
        }
        if work == Work::Sub && self.headers != 0 && self.server.is_some() {
            return Some(format!("--headers {}: not for sub, since the publisher sets headers", self.headers));
        }
        if work != Work::Sub && subject.split('.').any(|token| matches!(token, "*" | ">")) {
            return Some(format!(
                "--subject {subject:?}: must not contain wildcards, since messages are published to it"
            ));
        }
        None
    }

    /// Messages, or requests, in all.
    pub(crate) fn msgs(&self) -> u64 {
        self.msgs.unwrap_or(match self.work {
            Work::Pub | Work::Sub => 10_000_000,
            Work::PubSub => 2_000_000,
            Work::Request => 100_000,
        })
    }

    /// The share of one of `parts` workers.
    pub(crate) fn share(&self, part: usize, parts: usize) -> u64 {
        let (part, parts) = (part as u64, parts as u64);
        self.msgs() / parts + u64::from(part < self.msgs() % parts)
    }
}
