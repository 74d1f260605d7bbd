//! The command line: what is measured, and how.

use std::io;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use nats_lifeline::Subject;

use crate::pace::Pace;
use crate::shared::args::{number, refuse};
use crate::shared::command_line;
use crate::traffic::STAMP;

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

/// Measures this client: messages per second, their cost, and latencies.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "bench",
    after_help = "\
Without --rate the loop is closed: the next message is published, or the next request sent, after the one before, so that a
stall is measured once, and delays others that nobody measures. With --rate each message or request is due at its own time,
and its latency counts from then."
)]
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
    /// Tasks of each client: they publish (pub, pubsub), have a subscription each (sub), or a request in flight each (request)
    #[arg(long, value_name = "N", default_value = "1", value_parser = number(1..=100_000_usize))]
    pub(crate) tasks: usize,
    /// Publishes this many messages in one call, with Publisher::publish_batch (pub, pubsub), or reads up to this many, with
    /// Subscriber::next_batch (sub)
    #[arg(long, value_name = "N", value_parser = number(1..=1_000_000_u64))]
    pub(crate) batch: Option<u64>,
    /// Messages or requests a second, in all, at equal intervals (pubsub, request)
    #[arg(long, value_name = "N", value_parser = number(1..=10_000_000_u64))]
    pub(crate) rate: Option<u64>,
    /// The subject
    // A `'static` text, like the subjects of most programs.
    #[arg(long, value_name = "S", default_value = "bench", value_parser = subject)]
    pub(crate) subject: &'static str,
    /// A real server instead of this process; `sub` then waits for a publisher, such as `bench pub --server URL`
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Through TLS; without --server, in front of the sink, source or broker in this process
    #[arg(long)]
    pub(crate) tls: bool,
    /// Certificates of authorities (PEM) that are trusted besides the system's
    #[arg(long, value_name = "FILE", requires_all = ["tls", "server"])]
    pub(crate) ca: Option<PathBuf>,
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
        let args: Args = command_line::read();
        if let Some(rule) = args.broken_rule() {
            refuse::<Args>(&rule);
        }
        args
    }

    /// Checks combinations of options.
    fn broken_rule(&self) -> Option<String> {
        let (work, msgs, subject) = (self.work, self.msgs(), self.subject);
        let workers = self.workers() as u64;
        if msgs < workers {
            return Some(format!("--msgs {msgs}: must be at least {workers}, one for each task"));
        }
        if let Some(rate) = self.rate.filter(|_| !matches!(work, Work::PubSub | Work::Request)) {
            return Some(format!("--rate {rate}: only for pubsub and request, which measure latencies"));
        }
        if self.rate.is_some() && work == Work::PubSub && self.size < STAMP {
            return Some(format!("--size {}: with --rate, a message has its time in {STAMP} bytes", self.size));
        }
        if let Some(batch) = self.batch.filter(|_| work != Work::Sub) {
            if work == Work::Request {
                return Some(format!("--batch {batch}: not for request"));
            }
            if self.headers != 0 {
                return Some(format!("--batch {batch}: not with --headers, which publish_batch does not take"));
            }
            if batch > msgs / workers {
                return Some(format!("--batch {batch}: each task publishes only {} messages", msgs / workers));
            }
        }
        if self.tls && !cfg!(feature = "ring") {
            return Some("--tls: this program was built without the feature `ring`".to_owned());
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

    /// Tasks that share the work.
    pub(crate) fn workers(&self) -> usize {
        match self.work {
            // One client publishes, whatever the number of those that receive.
            Work::PubSub => self.tasks,
            Work::Pub | Work::Sub | Work::Request => self.clients.saturating_mul(self.tasks),
        }
    }

    /// When the operations of each worker are due; `None`: one after the other. The clock starts now.
    pub(crate) fn paces(&self) -> io::Result<Vec<Option<Pace>>> {
        match self.rate {
            None => Ok((0..self.workers()).map(|_| None).collect()),
            Some(rate) => {
                let paces = Pace::start(rate, self.batch.unwrap_or(1), self.workers())?;
                Ok(paces.into_iter().map(Some).collect())
            }
        }
    }

    /// Messages, or requests, in all.
    pub(crate) fn msgs(&self) -> u64 {
        self.msgs.unwrap_or(match self.work {
            Work::Pub | Work::Sub => 10_000_000,
            Work::PubSub => 2_000_000,
            Work::Request => 100_000,
        })
    }

    /// The share of one worker.
    pub(crate) fn share(&self, part: usize) -> u64 {
        let (part, parts) = (part as u64, self.workers() as u64);
        self.msgs() / parts + u64::from(part < self.msgs() % parts)
    }
}
