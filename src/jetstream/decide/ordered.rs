//! An ordered consumer: whether an arrival is the next message, when the consumer is created again, and where the next one starts.
//!
//! The consumers that are created one after another are called incarnations. Each has a number, a name and an inbox of its own. The
//! server numbers what it sends for each incarnation from 1, without a gap; a gap there is a message that was lost on its way. A gap
//! in the numbers of the stream is something else: these messages do not match the filter, or the stream has them no more.

mod outage;
mod position;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use outage::Outage;
pub use outage::{CreateFault, Trouble};
pub use position::Gap;
use position::Position;

use super::silence::Silence;
use crate::jetstream::wire::DeliverPolicy;

/// What an ordered consumer is to do.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Where the first incarnation starts.
    pub policy: DeliverPolicy,
    /// Whether every message of the stream matches, so that each gap in the numbers of the stream is one of the stream itself.
    pub whole: bool,
    /// Of the consumer; zero if somebody else watches over its silence.
    pub heartbeat: Duration,
    /// For the delays between attempts.
    pub seed: u64,
}

/// What a server says about an incarnation that it has created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// The number in the stream of the last message before those that it delivers.
    pub before: u64,
    /// How many messages it has delivered already.
    pub delivered: u64,
    /// How many messages it will deliver, of those that the stream has.
    pub pending: u64,
    /// What is known of the stream.
    pub stream: Option<StreamSeen>,
}

/// A stream, as it was at about the time when a consumer was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSeen {
    /// The number of its first message, or of the next one if it is empty.
    pub first: u64,
    /// The number of its last message, whether it still has it or not.
    pub last: u64,
    /// Whether it is another one than before, with the same name.
    pub replaced: bool,
}

/// A message's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in the stream.
    pub stream: u64,
    /// Its number for this incarnation.
    pub consumer: u64,
    /// How many more messages match at present.
    pub pending: u64,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one.
    Deliver,
    /// It is the next one; the stream has lost those in between.
    DeliverAfter(Gap),
    /// It has been delivered before, or it will be delivered again.
    Ignore,
}

/// Why deliveries of an ordered consumer stop, so that it is created again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The connection was lost.
    #[error("the connection was lost")]
    Interrupted,
    /// The reader was too slow for the limits of the subscription.
    #[error("the reader was too slow")]
    Lagged,
    /// A message was lost on its way.
    #[error("a message was lost on its way")]
    Missed,
    /// The server has numbered a new message with an old number.
    #[error("the consumer has lost its state")]
    SteppedBack,
    /// Two heartbeats are missing.
    #[error("two heartbeats are missing")]
    Silent,
    /// The server says that the consumer is gone, or nobody answers for it.
    #[error("the consumer is gone")]
    Gone,
    /// The stream is another one than before, or has lost its newest messages.
    #[error("the stream was replaced or restored")]
    StreamReset,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Create this incarnation, and report the outcome with [`Ordered::created`] or [`Ordered::create_failed`].
    Create {
        /// Its number. The same number again means the same name, configuration and inbox: no server has it.
        incarnation: u64,
        /// Where it starts.
        from: DeliverPolicy,
    },
    /// Delete this incarnation, in one attempt, without waiting for it.
    Retire {
        /// Its number.
        incarnation: u64,
    },
    /// Tell the user.
    Report(Report),
}

/// What a user may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Deliveries have stopped for this reason; the consumer is created again.
    Interrupted(Cause),
    /// It can't be created, for this reason, and attempts go on. Once for each reason.
    Troubled(Trouble),
    /// It was created: deliveries go on.
    Resumed,
}

/// The machine.
#[derive(Debug)]
pub struct Ordered {
    rules: Rules,
    position: Position,
    phase: Phase,
    /// The oldest incarnation that may still be on the server.
    oldest: u64,
    /// How many incarnations in a row have shown no sign of life.
    fruitless: u64,
    effects: VecDeque<Effect>,
}

#[derive(Debug)]
enum Phase {
    /// This incarnation delivers.
    Live { incarnation: u64, expected: u64, silence: Silence },
    /// The next one is not there yet.
    Down(Outage),
}

impl Ordered {
    /// Begins with an incarnation, number 0, that was created before.
    #[must_use]
    pub fn adopt(rules: Rules, created: Created, now: Instant) -> Ordered {
        let mut machine = Ordered::begin(rules, now);
        machine.effects.clear();
        machine.position.settle(rules.policy, created);
        machine.go_live(0, created, now);
        machine
    }

    /// Begins with creating number 0.
    #[must_use]
    pub fn begin(rules: Rules, now: Instant) -> Ordered {
        let position = Position::new(rules.policy, rules.whole);
        let phase = Phase::Down(Outage::new(0, 0, rules.seed, now));
        let mut machine = Ordered { rules, position, phase, oldest: 0, fruitless: 0, effects: VecDeque::new() };
        machine.tick(now, None);
        machine
    }

    /// A message has arrived for this incarnation. The time is needed only if that one is given up.
    #[inline]
    pub fn message(&mut self, incarnation: u64, arrival: Arrival, now: impl FnOnce() -> Instant) -> Verdict {
        let Some((expected, _)) = self.live(incarnation) else { return Verdict::Ignore };
        if arrival.consumer == *expected {
            *expected = expected.saturating_add(1);
            self.fruitless = 0;
            return self.position.advance(arrival);
        }
        if arrival.consumer > *expected {
            self.give_up(Cause::Missed, now());
        } else if self.position.is_new(arrival.stream) {
            self.give_up(Cause::SteppedBack, now());
        }
        Verdict::Ignore
    }

    /// A heartbeat has arrived, which says how many messages this incarnation has sent.
    pub fn heartbeat(&mut self, incarnation: u64, sent: Option<u64>, now: Instant) {
        let Some((expected, _)) = self.live(incarnation) else { return };
        let expected = *expected;
        self.fruitless = 0;
        if sent.is_some_and(|sent| sent >= expected) {
            self.give_up(Cause::Missed, now);
        }
    }

    /// Something has arrived for this incarnation since the last time, and everything that has was heard: the silence begins now.
    pub fn alive(&mut self, incarnation: u64, now: Instant) {
        if let Some((_, silence)) = self.live(incarnation) {
            silence.broken(now);
        }
    }

    /// This incarnation delivers no more, or nobody can know what it has delivered.
    pub fn lost(&mut self, incarnation: u64, cause: Cause, now: Instant) {
        if self.live(incarnation).is_some() {
            self.give_up(cause, now);
        }
    }

    /// This incarnation was created, or was there already with the same configuration.
    pub fn created(&mut self, incarnation: u64, created: Created, now: Instant) {
        let Some(outage) = self.outage(incarnation) else { return };
        if outage.was_reported() {
            self.effects.push_back(Effect::Report(Report::Resumed));
        }
        for old in self.oldest..incarnation {
            self.effects.push_back(Effect::Retire { incarnation: old });
        }
        self.oldest = incarnation;
        let reset = self.position.settle(self.rules.policy, created);
        self.go_live(incarnation, created, now);
        if reset {
            self.give_up(Cause::StreamReset, now);
        }
    }

    /// This incarnation was not created, as far as is known.
    pub fn create_failed(&mut self, incarnation: u64, fault: CreateFault, now: Instant) {
        let Some(outage) = self.outage(incarnation) else { return };
        if let Some(trouble) = outage.failed(fault, now) {
            self.effects.push_back(Effect::Report(Report::Troubled(trouble)));
        }
    }

    /// Time has passed. `connected_since` is `None` while there is no connection.
    pub fn tick(&mut self, now: Instant, connected_since: Option<Instant>) {
        match &mut self.phase {
            Phase::Live { silence, .. } if silence.is_over(now, connected_since) => self.give_up(Cause::Silent, now),
            Phase::Live { .. } => {}
            Phase::Down(outage) => {
                if outage.retries(now) {
                    self.create();
                }
            }
        }
    }

    /// When [`tick`](Ordered::tick) is due.
    #[must_use]
    pub fn due(&self, connected_since: Option<Instant>) -> Option<Instant> {
        match &self.phase {
            Phase::Live { silence, .. } => silence.ends(connected_since),
            Phase::Down(outage) => outage.due(),
        }
    }

    /// The next thing to do.
    pub fn effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The incarnation that delivers.
    #[must_use]
    pub fn incarnation(&self) -> Option<u64> {
        match self.phase {
            Phase::Live { incarnation, .. } => Some(incarnation),
            Phase::Down(_) => None,
        }
    }

    /// The incarnations that may be on the server: what is to be deleted at the end.
    #[must_use]
    pub fn on_server(&self) -> std::ops::RangeInclusive<u64> {
        match &self.phase {
            Phase::Live { incarnation, .. } => self.oldest..=*incarnation,
            Phase::Down(outage) => self.oldest..=outage.incarnation(),
        }
    }

    /// The number in the stream of the last message that was delivered.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.position.last()
    }

    fn live(&mut self, of: u64) -> Option<(&mut u64, &mut Silence)> {
        match &mut self.phase {
            Phase::Live { incarnation, expected, silence } if *incarnation == of => Some((expected, silence)),
            Phase::Live { .. } | Phase::Down(_) => None,
        }
    }

    fn outage(&mut self, of: u64) -> Option<&mut Outage> {
        match &mut self.phase {
            Phase::Down(outage) if outage.is_creating(of) => Some(outage),
            Phase::Live { .. } | Phase::Down(_) => None,
        }
    }

    fn go_live(&mut self, incarnation: u64, created: Created, now: Instant) {
        // What an incarnation of ours has sent meanwhile is in its inbox. One from before had no inbox.
        let expected = if incarnation == 0 { created.delivered.saturating_add(1) } else { 1 };
        self.phase = Phase::Live { incarnation, expected, silence: Silence::new(self.rules.heartbeat, now) };
    }

    fn give_up(&mut self, cause: Cause, now: Instant) {
        let Phase::Live { incarnation, .. } = self.phase else { return };
        self.effects.push_back(Effect::Report(Report::Interrupted(cause)));
        // A lost connection says nothing about the consumer.
        let before = if cause == Cause::Interrupted { 0 } else { self.fruitless };
        self.fruitless = self.fruitless.saturating_add(u64::from(cause != Cause::Interrupted));
        // Every incarnation has its own delays.
        let seed = self.rules.seed.wrapping_add(incarnation);
        self.phase = Phase::Down(Outage::after(incarnation, before, seed, now));
        self.tick(now, None);
    }

    fn create(&mut self) {
        if let Phase::Down(outage) = &self.phase {
            let from = self.position.start(self.rules.policy);
            self.effects.push_back(Effect::Create { incarnation: outage.incarnation(), from });
        }
    }
}
