//! The command line. Errors name the value and the rule.

use std::ops::RangeInclusive;

pub(crate) const HELP: &str = "\
Publishes, subscribes and sends requests while servers are killed, and accounts for every message.

  --seconds n      how long the load lasts                        [12]
  --rate n         messages a second                              [20000]
  --servers a,b,c  real servers, which you kill and restart yourself; without it, three brokers in this process
                   are killed, one every second

It ends with code 1 if a message arrived twice, changed or out of order, if the sum of all messages does not hold, or if
more messages are missing than are in doubt. Ctrl-C ends it early, with the same account.
";

pub(crate) struct Args {
    pub(crate) seconds: u64,
    pub(crate) rate: u64,
    pub(crate) servers: Option<Vec<String>>,
}

impl Args {
    /// Reads the arguments after the program's name; `None`: help was asked for.
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
        let mut args = Args { seconds: 12, rate: 20_000, servers: None };
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{option}: a value must follow"));
            match option.as_str() {
                "-h" | "--help" => return Ok(None),
                "--seconds" => args.seconds = number(&option, &value()?, 1..=86_400)?,
                "--rate" => args.rate = number(&option, &value()?, 1..=1_000_000)?,
                "--servers" => args.servers = Some(value()?.split(',').map(str::to_owned).collect()),
                _ => return Err(format!("{option:?}: unknown option")),
            }
        }
        Ok(Some(args))
    }
}

fn number(option: &str, value: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let number = value.replace('_', "").parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("{option} {value:?}: must be a number from {} to {}", range.start(), range.end()))
}
