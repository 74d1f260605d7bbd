//! The fetch machine: one batch, which always ends.
//!
//! It is one pull. If that was lost, refused for the moment or never received, or if the connection was lost, another one asks for
//! what is still missing, in the time that is left. The reader's deadline is later than the server's, so that usually the server
//! says how the batch has ended.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::backoff;
use super::pull::{Arrival, Cause, Event, Sending};
use super::seen::{Identity, Seen};
use super::settings::{Settings, first_sign, heartbeat_within};
use crate::jetstream::wire::{PullRequest, PullStatus};

/// The reader waits this much longer than the server.
const GRACE: Duration = Duration::from_secs(5);

/// How long the last messages may come after the status that ends the pull. Those of a replicated consumer wait for a quorum, and "Batch
/// Completed" and "Message Size Exceeds MaxBytes" do not.
const LAST_MESSAGES: Duration = Duration::from_secs(1);

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A pull that would wait for less is not sent.
const SHORTEST: Duration = Duration::from_millis(1);

/// How a batch has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It has all its messages.
    Full,
    /// There were no more messages, and it does not wait for them.
    NoMessages,
    /// The time is over.
    Expired,
    /// The next message is larger than what is left of the batch's bytes.
    MaxBytes,
    /// The deadline has passed without the server having said how the batch ended. What was wrong last, if that is known.
    TimedOut(Option<Cause>),
    /// The first message is larger than the whole batch may be.
    MessageTooLarge,
    /// The client has ended.
    Closed,
    /// The consumer was deleted.
    Gone,
    /// It is a push consumer.
    PushBased,
    /// The batch asks for more than the consumer allows, with the server's text.
    OverLimit(String),
    /// The server refuses such a pull or the subscription, with its text.
    Refused(String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Sends a pull. [`Fetch::request`] has its content.
    Pull(Sending),
    /// Gives the reader the message that has just arrived.
    Deliver,
    /// The batch has ended.
    End(End),
}

/// How the server says that a pull has ended.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Expired,
    MaxBytes,
    MessageTooLarge,
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> End {
        match outcome {
            Outcome::Expired => End::Expired,
            Outcome::MaxBytes => End::MaxBytes,
            Outcome::MessageTooLarge => End::MessageTooLarge,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A pull is out. `sent` is `None` while it is buffered until there is a connection.
    Out {
        token: u64,
        made: Instant,
        sent: Option<Instant>,
        heartbeat: Duration,
        /// When so many have come, it has all that it asked for.
        full: u64,
    },
    /// The pull has ended, and some of what it was served is still to come.
    Ending {
        full: u64,
        until: Instant,
        end: Outcome,
    },
    /// The next pull is sent then.
    Pausing(Instant),
    Ended,
}

/// The machine. It is driven by [`on`](Fetch::on), and says what to do by [`next_effect`](Fetch::next_effect) and
/// [`alarm`](Fetch::alarm).
#[derive(Debug)]
pub struct Fetch {
    settings: Settings,
    state: State,
    is_up: bool,
    /// Pulls that were sent; the next one has this token.
    pulls: u64,
    /// Of these, how many followed one that was lost.
    retries: u32,
    got: u64,
    got_bytes: u64,
    /// Until when the server waits.
    until: Instant,
    deadline: Instant,
    /// The last sign of life.
    heard: Instant,
    trouble: Option<Cause>,
    seen: Seen,
    rng: SmallRng,
    effects: VecDeque<Effect>,
}

impl Fetch {
    /// A machine that begins now. `settings` were checked, and `is_up` is whether there is a connection.
    pub fn new(settings: Settings, is_up: bool, now: Instant, seed: u64) -> Fetch {
        // A time that the clock can't show is as far away as a year.
        let until = now.checked_add(settings.expires).or_else(|| now.checked_add(YEAR)).unwrap_or(now);
        let mut fetch = Fetch {
            seen: Seen::new(settings.batch),
            settings,
            state: State::Pausing(now),
            is_up,
            pulls: 0,
            retries: 0,
            got: 0,
            got_bytes: 0,
            until,
            deadline: until.checked_add(GRACE).unwrap_or(until),
            heard: now,
            trouble: (!is_up).then_some(Cause::Disconnected),
            rng: SmallRng::seed_from_u64(seed),
            effects: VecDeque::new(),
        };
        fetch.pull(now);
        fetch
    }

    /// Something has happened.
    pub fn on(&mut self, now: Instant, event: Event<'_>) {
        if matches!(self.state, State::Ended) {
            return;
        }
        match event {
            Event::Polled | Event::Probed { .. } | Event::Found(_) => {}
            Event::Waiting => self.waiting(now),
            Event::Message(arrival) => self.message(now, &arrival),
            Event::Status { token, status, text, left } => self.status(now, token, status, text, left),
            Event::Interrupted => {
                self.seen.forget();
                self.is_up = false;
                self.retries = 0;
                self.again(now, Some(Cause::Disconnected));
            }
            Event::Connected(since) => {
                self.is_up = true;
                if let State::Out { made, sent, .. } = &mut self.state {
                    *sent = sent.or(Some(since.max(*made)));
                }
            }
            // If there was a message among it, the pull gives less than it was asked for.
            Event::Lagged(_) => self.again(now, None),
            Event::NotSent(token) if self.is_out(token) => self.again(now, Some(Cause::NotSent)),
            Event::NotSent(_) => {}
            Event::Refused(text) => self.end(End::Refused(text.to_owned())),
        }
    }

    /// Everything that has arrived was read: what comes now arrives later.
    pub fn read_all(&mut self) {
        self.seen.read_all();
    }

    /// What to do next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What a pull asks for.
    pub fn request(&self, sending: Sending) -> PullRequest<'_> {
        sending.request(&self.settings, None)
    }

    /// Whether the connection was lost, and [`Event::Connected`] has not come yet.
    pub fn is_down(&self) -> bool {
        !self.is_up
    }

    /// When [`Event::Waiting`] has to come again, if nothing else happens.
    pub fn alarm(&self) -> Option<Instant> {
        match self.state {
            State::Ended => None,
            State::Pausing(next) | State::Ending { until: next, .. } => Some(next.min(self.deadline)),
            State::Out { .. } => self.silent_at().into_iter().chain([self.deadline]).min(),
        }
    }

    fn silent_at(&self) -> Option<Instant> {
        match self.state {
            State::Out { sent: Some(sent), heartbeat, .. } if !heartbeat.is_zero() && self.is_up => {
                let silence = self.heard.checked_add(heartbeat.saturating_mul(2))?;
                Some(silence.max(sent.checked_add(first_sign(heartbeat))?))
            }
            _ => None,
        }
    }

    fn waiting(&mut self, now: Instant) {
        self.seen.read_all();
        if now >= self.deadline {
            return self.end(End::TimedOut(self.trouble.or_else(|| self.silence())));
        }
        match self.state {
            State::Pausing(next) if next <= now => self.pull(now),
            State::Out { .. } if self.silent_at().is_some_and(|at| at <= now) => self.again(now, Some(Cause::Silence)),
            State::Ending { until, end, .. } if until <= now => self.end(end.into()),
            _ => {}
        }
    }

    /// Nothing was heard since the pull was sent.
    fn silence(&self) -> Option<Cause> {
        match self.state {
            State::Out { sent: Some(sent), .. } if self.heard <= sent => Some(Cause::Silence),
            _ => None,
        }
    }

    fn message(&mut self, now: Instant, arrival: &Arrival<'_>) {
        self.heard = now;
        self.trouble = None;
        let identity = arrival.place.as_ref().map(Identity::of);
        if identity.is_some_and(|identity| !self.seen.is_new(identity, now)) {
            return;
        }
        self.effects.push_back(Effect::Deliver);
        self.took(1, arrival.bytes);
    }

    fn took(&mut self, messages: u64, bytes: u64) {
        self.got = self.got.saturating_add(messages);
        self.got_bytes = self.got_bytes.saturating_add(bytes);
        if self.got >= self.settings.batch {
            return self.end(End::Full);
        }
        if let State::Ending { full, end, .. } = self.state {
            if self.got >= full {
                self.end(end.into());
            }
        }
    }

    fn status(&mut self, now: Instant, token: u64, status: PullStatus, text: &str, left: Option<(u64, u64)>) {
        // Those of earlier pulls say nothing about what this one waits for.
        if !self.is_out(token) {
            return;
        }
        self.heard = now;
        let end = match status {
            PullStatus::IdleHeartbeat => return self.trouble = None,
            PullStatus::FlowControl => return,
            PullStatus::NoMessages | PullStatus::RequestsPending => End::NoMessages,
            PullStatus::RequestTimeout => return self.ends(now, Outcome::Expired, left),
            PullStatus::BatchCompleted => return self.ends(now, Outcome::MaxBytes, left),
            PullStatus::MessageTooLarge => return self.ends(now, Outcome::MessageTooLarge, left),
            PullStatus::InterestExpired => return self.again(now, None),
            PullStatus::LeadershipChange => return self.again(now, Some(Cause::LeadershipChange)),
            PullStatus::ServerShutdown => return self.again(now, Some(Cause::ServerShutdown)),
            PullStatus::OverMaxWaiting => return self.again(now, Some(Cause::TooManyPulls)),
            PullStatus::NoResponders => return self.again(now, Some(Cause::NoResponders)),
            PullStatus::WrongPin => return self.again(now, Some(Cause::Unpinned)),
            PullStatus::ConsumerDeleted => End::Gone,
            PullStatus::PushBased => End::PushBased,
            PullStatus::OverMaxBatch | PullStatus::OverMaxExpires | PullStatus::OverMaxBytes => {
                End::OverLimit(text.to_owned())
            }
            PullStatus::BadRequest | PullStatus::RequiredApiLevel | PullStatus::Unknown => {
                End::Refused(text.to_owned())
            }
        };
        self.end(end);
    }

    /// The pull has ended, with this left of it.
    fn ends(&mut self, now: Instant, outcome: Outcome, left: Option<(u64, u64)>) {
        let State::Out { full, .. } = self.state else { return };
        let full = left.map_or(0, |(messages, _)| full.saturating_sub(messages));
        let end = match outcome {
            Outcome::MessageTooLarge if self.got.max(full) > 0 => Outcome::MaxBytes,
            outcome => outcome,
        };
        match now.checked_add(LAST_MESSAGES) {
            Some(until) if self.got < full => self.state = State::Ending { full, until, end },
            _ => self.end(end.into()),
        }
    }

    fn is_out(&self, token: u64) -> bool {
        matches!(self.state, State::Out { token: out, .. } if out == token)
    }

    /// The pull was lost: another one asks for the rest, the first time immediately.
    fn again(&mut self, now: Instant, cause: Option<Cause>) {
        self.trouble = cause.or(self.trouble);
        if self.retries == 0 {
            self.retries = 1;
            return self.pull(now);
        }
        let sent = match self.state {
            State::Out { sent: Some(sent), .. } => sent,
            _ => now,
        };
        self.state = State::Pausing(backoff::after(sent, self.retries, &mut self.rng).max(now));
        self.retries = self.retries.saturating_add(1);
    }

    fn pull(&mut self, now: Instant) {
        let Settings { batch, max_bytes, .. } = self.settings;
        let expires = self.until.saturating_duration_since(now);
        let bytes = max_bytes.saturating_sub(self.got_bytes);
        if max_bytes > 0 && bytes == 0 {
            return self.end(End::MaxBytes);
        }
        let waits = !self.settings.expires.is_zero();
        if waits && expires < SHORTEST {
            return self.end(End::TimedOut(self.trouble));
        }
        let token = self.pulls;
        self.pulls += 1;
        let heartbeat = heartbeat_within(expires, self.settings.heartbeat);
        let messages = batch.saturating_sub(self.got).max(1);
        self.effects.push_back(Effect::Pull(Sending { token, messages, bytes, expires, heartbeat }));
        let full = self.got.saturating_add(messages);
        self.state = State::Out { token, made: now, sent: self.is_up.then_some(now), heartbeat, full };
    }

    fn end(&mut self, end: End) {
        self.state = State::Ended;
        self.effects.push_back(Effect::End(end));
    }
}

#[cfg(test)]
mod tests;
