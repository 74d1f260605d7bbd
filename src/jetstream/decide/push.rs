//! A push consumer: whether it still lives.
//!
//! Its flow control needs no decision: arrivals are read one after another, when the user asks for the next message. So when a request
//! is read, the messages before it have been delivered, and it is answered (ADR-15). A heartbeat that says that the consumer is
//! stalled is answered in the same way: the request or its answer was lost. A second answer is ignored.
//!
//! During a planned move both servers have the subscription, so that deliveries may come twice: those are recognized.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::pull::{Found, INQUIRE_AGAIN};
use super::seen::{Identity, Seen};
use super::silence::Silence;
use crate::jetstream::wire::AckSubject;

/// A quarter of the deliveries that are remembered.
const BATCH: u64 = 2_048;

/// The machine.
#[derive(Debug)]
pub struct Push {
    silence: Silence,
    watch: Watch,
    seen: Seen,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its silence is to be reported, and the server asked whether it still exists.
    Silent,
    /// The server is to be asked again.
    Ask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// It lives, as far as is known.
    Alive,
    /// Its silence was reported. The server is asked again at that time; `None`: it is being asked.
    Silent { ask: Option<Instant> },
}

impl Push {
    /// A consumer with this heartbeat; zero if it sends none.
    #[must_use]
    pub fn new(heartbeat: Duration, now: Instant) -> Push {
        Push { silence: Silence::new(heartbeat, now), watch: Watch::Alive, seen: Seen::new(BATCH) }
    }

    /// Something has arrived since the last time, and everything that has was heard: the silence begins now.
    pub fn alive(&mut self, now: Instant) {
        self.silence.broken(now);
        self.watch = Watch::Alive;
    }

    /// A message has arrived: whether it is new. `None` as its place: nobody knows.
    pub fn is_new(&mut self, place: Option<&AckSubject<'_>>, now: Instant) -> bool {
        place.is_none_or(|place| self.seen.is_new(Identity::of(place), now))
    }

    /// Everything that has arrived was read: what comes now arrives later.
    pub fn read_all(&mut self) {
        self.seen.read_all();
    }

    /// The connection was lost: what comes from now on was sent for the next one.
    pub fn interrupted(&mut self) {
        self.seen.forget();
    }

    /// Time has passed; `connected_since` is `None` while there is no connection. Silence is reported once.
    pub fn tick(&mut self, now: Instant, connected_since: Option<Instant>) -> Option<Due> {
        if self.due(connected_since)? > now {
            return None;
        }
        match std::mem::replace(&mut self.watch, Watch::Silent { ask: None }) {
            Watch::Alive => Some(Due::Silent),
            Watch::Silent { .. } => Some(Due::Ask),
        }
    }

    /// The answer of a server that was asked, or that there was none. Returns whether the consumer is gone.
    pub fn found(&mut self, found: Found, now: Instant) -> bool {
        if let Watch::Silent { ask } = &mut self.watch {
            *ask = now.checked_add(INQUIRE_AGAIN);
        }
        found == Found::Gone
    }

    /// When [`tick`](Push::tick) is due.
    #[must_use]
    pub fn due(&self, connected_since: Option<Instant>) -> Option<Instant> {
        match self.watch {
            Watch::Alive => self.silence.ends(connected_since),
            Watch::Silent { ask } => connected_since.and(ask),
        }
    }
}
