//! What is wrong with a stream of messages, and since when. Each cause is reported once, and when it is over.

use std::time::{Duration, Instant};

use super::{EARLY_HEARTBEAT, INQUIRE_AFTER, Phase, Pull, Shaken};
use crate::jetstream::decide::settings::{Settings, first_sign};

/// Why no messages come. None of these ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The connection was lost. The next pull is buffered, and sent with the subscription over the next connection.
    Disconnected,
    /// Nobody received the pull: a leader is being elected, or the consumer is gone. After 2 s the server is asked.
    NoResponders,
    /// Neither messages nor heartbeats have come for twice the heartbeat, or nothing at all until the end of a batch.
    Silence,
    /// The consumer's leader has changed.
    LeadershipChange,
    /// The consumer's server shuts down, or its JetStream does.
    ServerShutdown,
    /// As many pulls as the consumer allows are waiting, from all of its clients.
    TooManyPulls,
    /// The next message is larger than the most bytes that a pull asks for.
    MessageTooLarge,
    /// Another client of the priority group is pinned now.
    Unpinned,
    /// The consumer allows less than a pull asked for. The pulls ask for less from now on.
    Lowered,
    /// The client could neither send nor buffer a pull: its buffer is full.
    NotSent,
    /// The server ended the pull with a status that is not known, or ended it too soon.
    Other,
}

/// What is reported of a stream of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// No messages come, for this cause. It is reported once, until it is over.
    Began(Cause),
    /// It is over.
    Over {
        /// What it was.
        cause: Cause,
        /// How long it has lasted.
        lasted: Duration,
    },
    /// The client dropped this much of what had arrived: messages, which servers deliver again, and heartbeats and statuses. There
    /// is room for all that is requested, so this takes a server that sends more, or a message over the client's limits.
    Dropped(u64),
}

#[derive(Debug, Default)]
pub(super) struct Troubles {
    list: Vec<(Cause, Instant)>,
}

impl Troubles {
    /// What there is to report, if it is new.
    pub(super) fn began(&mut self, cause: Cause, now: Instant) -> Option<Report> {
        if self.list.iter().any(|(known, _)| *known == cause) {
            return None;
        }
        self.list.push((cause, now));
        Some(Report::Began(cause))
    }

    /// All of them are over.
    pub(super) fn over(&mut self, now: Instant) -> impl Iterator<Item = Report> + '_ {
        let since = move |(cause, since): (Cause, Instant)| {
            let lasted = now.saturating_duration_since(since);
            Report::Over { cause, lasted }
        };
        self.list.drain(..).map(since)
    }

    /// The latest one.
    fn latest(&self) -> Option<Cause> {
        self.list.last().map(|(cause, _)| *cause)
    }
}

impl Shaken {
    pub(super) fn new(since: Instant, settings: &Settings) -> Shaken {
        let (complain, inquire) = (since.checked_add(settings.patience), since.checked_add(INQUIRE_AFTER));
        Shaken { since, pulls: 0, next: since, complain, inquire }
    }
}

/// When something has to be done although nothing happens.
impl Pull {
    /// When the next pull is sent.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Shaken(shaken) if self.ledger.newest().is_none() => Some(shaken.next),
            _ => None,
        }
    }

    /// When silence means that the pulls are lost.
    pub(super) fn silent_at(&self) -> Option<Instant> {
        let (since, newest) = (self.up_since()?, self.ledger.newest()?);
        if newest.heartbeat.is_zero() {
            return None;
        }
        let (sent, silence) = (newest.sent?, newest.heartbeat.saturating_mul(2));
        // A far server's first heartbeat comes later. An early one that does so ends the trouble even though its pull is in doubt.
        let is_early = newest.heartbeat <= EARLY_HEARTBEAT && newest.heartbeat != self.settings.heartbeat;
        let first = if is_early { silence } else { first_sign(newest.heartbeat) };
        Some(self.heard.checked_add(silence)?.max(since.max(sent).checked_add(first)?))
    }

    /// When a stream that was flowing is suspiciously silent. A pull that asks for early heartbeats will show it by itself.
    pub(super) fn suspicious_at(&self) -> Option<Instant> {
        let (since, newest) = (self.up_since()?, self.ledger.newest()?);
        let is_early = !newest.heartbeat.is_zero() && newest.heartbeat <= EARLY_HEARTBEAT;
        if is_early || matches!(self.phase, Phase::Shaken(_)) {
            return None;
        }
        Some(self.flow.suspicious_at()?.max(since))
    }

    /// When a pull expires. That is looked at if only pulls without heartbeats are out.
    pub(super) fn expiry_at(&self) -> Option<Instant> {
        self.up_since().and_then(|_| self.ledger.next_expiry())
    }

    /// When a trouble has lasted long: it is reported to the reader, and the server is asked.
    pub(super) fn long_at(&self) -> [Option<Instant>; 2] {
        match (self.phase, self.up_since()) {
            (Phase::Shaken(shaken), Some(_)) => [shaken.complain, shaken.inquire],
            _ => [None, None],
        }
    }

    pub(super) fn long_trouble(&mut self, now: Instant) {
        let [complain, inquire] = self.long_at().map(|at| at.is_some_and(|at| at <= now));
        let Phase::Shaken(shaken) = &mut self.phase else { return };
        if inquire {
            shaken.inquire = None;
            self.effects.push_back(super::Effect::Inquire);
        }
        if complain {
            shaken.complain = None;
            self.effects.extend(self.troubles.latest().map(super::Effect::Complain));
        }
    }

    fn up_since(&self) -> Option<Instant> {
        match self.link {
            super::Link::Up(since) => Some(since),
            super::Link::Down => None,
        }
    }
}
