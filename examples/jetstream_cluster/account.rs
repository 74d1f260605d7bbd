//! The closing account.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::publish::PublishOutcome;

use super::load::Delivered;
use super::shared::figures::{Terminal, grouped, short};
use super::shared::out::{self, say};

/// The longest allowed silence while the consumer has a leader that has messages, and no pull.
const ALLOWED: Duration = Duration::from_secs(2);

/// The longest allowed silence while it has messages, pull or not: after an election servers have been seen to deliver nothing for 4 s,
/// for a pull whose heartbeats came.
const ALLOWED_IN_ALL: Duration = Duration::from_secs(10);

/// How long the worker waited for messages although the consumer had a leader that had some.
#[derive(Default)]
pub(crate) struct Silence {
    /// Since when it waits for a message that is stored; `None` while there is none.
    since: Option<Instant>,
    longest: Duration,
}

impl Silence {
    /// A message is stored.
    pub(crate) fn begins(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// A message has come. `more`: others are waiting.
    pub(crate) fn ends(&mut self, more: bool) {
        let now = Instant::now();
        if let Some(since) = self.since {
            self.longest = self.longest.max(now.saturating_duration_since(since));
        }
        self.since = more.then_some(now);
    }

    /// At this moment the consumer had no leader, or its leader had no message.
    pub(crate) fn excused(&mut self, at: Instant) {
        self.since = self.since.map(|since| since.max(at));
    }

    /// How long it has waited so far.
    pub(crate) fn present(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }
}

/// What everybody knows at the end.
pub(crate) struct Account {
    pub(crate) published: HashMap<u64, PublishOutcome>,
    /// The numbers in the stream, by payload.
    pub(crate) stored: HashMap<u64, Vec<u64>>,
    pub(crate) delivered: Delivered,
    /// Messages that the consumer waits for an acknowledgement of.
    pub(crate) unacknowledged: u64,
    pub(crate) silence: Duration,
    /// The longest silence without a pull at the consumer's leader.
    pub(crate) unpulled: Duration,
    pub(crate) troubles: usize,
    pub(crate) took: Duration,
}

/// Messages by their outcome.
#[derive(Default)]
struct Outcomes {
    stored: u64,
    duplicates: u64,
    refused: u64,
    not_sent: u64,
    in_doubt: u64,
}

impl Account {
    fn outcomes(&self) -> Outcomes {
        let mut sum = Outcomes::default();
        for outcome in self.published.values() {
            match outcome {
                PublishOutcome::Stored(ack) => {
                    sum.stored += 1;
                    sum.duplicates += u64::from(ack.duplicate);
                }
                PublishOutcome::Refused { .. } => sum.refused += 1,
                PublishOutcome::NotSent { .. } => sum.not_sent += 1,
                _ => sum.in_doubt += 1,
            }
        }
        sum
    }

    /// The promises that were broken.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (number, outcome) in &self.published {
            let times = self.stored.get(number).map_or(0, Vec::len);
            let right = match outcome {
                PublishOutcome::Stored(ack) => {
                    self.stored.get(number).is_some_and(|numbers| *numbers == [ack.sequence])
                }
                PublishOutcome::InDoubt { .. } => times <= 1,
                _ => times == 0,
            };
            if !right {
                broken.push(format!("message {number} is stored {times} times: {outcome:?}"));
            }
        }
        let sequences = self.stored.values().flatten();
        let missing = sequences.clone().filter(|sequence| !self.delivered.sequences.contains(sequence)).count();
        if missing > 0 {
            broken.push(format!("{missing} stored messages were not delivered"));
        }
        let counts = &self.delivered.counts;
        if counts.delivered != self.delivered.deliveries
            || counts.acked != self.delivered.deliveries
            || counts.open() > 0
        {
            broken.push(format!("the worker counts {} deliveries, its client {counts:?}", self.delivered.deliveries));
        }
        if self.unacknowledged > 0 {
            broken.push(format!("{} acknowledgements did not arrive", self.unacknowledged));
        }
        if self.silence > ALLOWED_IN_ALL {
            broken.push(format!("no message came for {}, although the server had some", short(self.silence)));
        }
        if self.unpulled > ALLOWED {
            broken.push(format!(
                "the worker asked for nothing for {}, although the server had messages for it",
                short(self.unpulled)
            ));
        }
        broken
    }

    pub(crate) fn show(&self, terminal: &Terminal) {
        let sum = self.outcomes();
        let all: usize = self.stored.values().map(Vec::len).sum();
        say!();
        say!("{} disturbances in {}", self.troubles, short(self.took));
        let line = |name: &str, count: u64| say!("{name:<28}{:>12}", grouped(count));
        line("published", self.published.len() as u64);
        line("  acknowledged as stored", sum.stored);
        line("    of a repeated try", sum.duplicates);
        line("  refused", sum.refused);
        line("  not sent", sum.not_sent);
        line("  in doubt", sum.in_doubt);
        line("stored", all as u64);
        line("delivered", self.delivered.deliveries);
        line("  redelivered", self.delivered.redelivered);
        line("acknowledged by the worker", self.delivered.counts.acked);
        say!("{:<28}{:>12}", "longest silence", short(self.silence));
        say!("{:<28}{:>12}", "  without a pull at a leader", short(self.unpulled));
        let broken = self.broken();
        for text in broken.iter().take(10) {
            say!("{}", terminal.verdict(false, text));
        }
        if broken.is_empty() {
            say!(
                "{}",
                terminal.verdict(true, "every stored message is stored once, and was delivered and acknowledged")
            );
        }
    }
}
