//! The command line: what is measured, and how. Errors name the value and the rule.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use nats_lifeline::Subject;

pub(crate) const HELP: &str = "\
Measures this client: messages per second, and their cost.

  bench pub      publishes, by default into a sink in this process that counts and discards
  bench sub      receives, by default from a source in this process that sends prepared bytes
  bench pubsub   one client publishes, the others receive all of it, by default through the broker in this process
  bench request  clients send requests and another one answers, by default through the broker in this process

  --msgs n       messages, or requests, in all           [pub, sub 10000000; pubsub 2000000; request 100000]
  --size n       bytes of payload                        [16]
  --headers n    headers of each message                 [0]
  --clients n    connections, all with the same work    [1]
  --in-flight n  requests in flight for each client      [1]
  --subject s    the subject                             [bench]
  --server url   a real server instead of this process; `sub` then needs a publisher
  --threads n    threads of the clients' runtime         [one for each processor]
";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Pub,
    Sub,
    PubSub,
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

#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) work: Work,
    pub(crate) msgs: u64,
    pub(crate) size: usize,
    pub(crate) headers: usize,
    pub(crate) clients: usize,
    pub(crate) in_flight: usize,
    /// A `'static` text, like the subjects of most programs.
    pub(crate) subject: &'static str,
    pub(crate) server: Option<String>,
    pub(crate) threads: usize,
}

impl Args {
    /// Reads the arguments after the program's name; `None`: help was asked for.
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
        let (work, msgs) = match given.next().as_deref() {
            Some("pub") => (Work::Pub, 10_000_000),
            Some("sub") => (Work::Sub, 10_000_000),
            Some("pubsub") => (Work::PubSub, 2_000_000),
            Some("request") => (Work::Request, 100_000),
            Some("-h" | "--help" | "help") => return Ok(None),
            Some(other) => return Err(format!("{other:?}: must be pub, sub, pubsub or request")),
            None => return Err("nothing to measure: give pub, sub, pubsub or request".to_owned()),
        };
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let mut args = Args {
            work,
            msgs,
            size: 16,
            headers: 0,
            clients: 1,
            in_flight: 1,
            subject: "bench",
            server: None,
            threads,
        };
        while let Some(option) = given.next() {
            if matches!(option.as_str(), "-h" | "--help") {
                return Ok(None);
            }
            let mut value = || given.next().ok_or_else(|| format!("{option}: a value must follow"));
            match option.as_str() {
                "--msgs" => args.msgs = number(&option, &value()?, 1..=1_000_000_000_000)?,
                "--size" => args.size = number(&option, &value()?, 0..=64 << 20)?,
                "--headers" => args.headers = number(&option, &value()?, 0..=1000)?,
                "--clients" => args.clients = number(&option, &value()?, 1..=10_000)?,
                "--in-flight" => args.in_flight = number(&option, &value()?, 1..=100_000)?,
                "--threads" => args.threads = number(&option, &value()?, 1..=1024)?,
                "--server" => args.server = Some(value()?),
                "--subject" => {
                    let value = value()?;
                    Subject::validated(&value)
                        .map_err(|_| format!("--subject {value:?}: must have no blank and no empty token"))?;
                    args.subject = value.leak();
                }
                _ => return Err(format!("{option:?}: unknown option")),
            }
        }
        args.judge()
    }

    /// Checks combinations of options.
    fn judge(self) -> Result<Option<Args>, String> {
        let Args { work, msgs, clients, in_flight, .. } = self;
        let at_once = clients.saturating_mul(if work == Work::Request { in_flight } else { 1 }) as u64;
        if work != Work::PubSub && msgs < at_once {
            return Err(format!("--msgs {msgs}: must be at least {at_once}, one for each concurrent worker"));
        }
        if work != Work::Request && in_flight != 1 {
            return Err(format!("--in-flight {in_flight}: only for request"));
        }
        if work == Work::Sub && self.headers != 0 && self.server.is_some() {
            return Err(format!("--headers {}: not for sub, since the publisher sets headers", self.headers));
        }
        if work != Work::Sub && self.subject.split('.').any(|token| matches!(token, "*" | ">")) {
            return Err(format!(
                "--subject {:?}: must not contain wildcards, since messages are published to it",
                self.subject
            ));
        }
        Ok(Some(self))
    }

    /// The share of one of `parts` workers.
    pub(crate) fn share(&self, part: usize, parts: usize) -> u64 {
        let (part, parts) = (part as u64, parts as u64);
        self.msgs / parts + u64::from(part < self.msgs % parts)
    }
}

/// A number with or without `_` between its digits.
fn number<N>(option: &str, value: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + Display,
{
    let digits: String = value.chars().filter(|digit| *digit != '_').collect();
    let number = digits.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("{option} {value:?}: must be a number from {} to {}", range.start(), range.end()))
}
