//! A push consumer: whether it still lives.
//!
//! Its flow control needs no decision: arrivals are read one after another, when the user asks for the next message. So when a request
//! is read, the messages before it have been delivered, and it is answered (ADR-15). A heartbeat that says that the consumer is
//! stalled is answered in the same way: the request or its answer was lost. A second answer is ignored.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::silence::Silence;

/// The machine.
#[derive(Debug)]
pub struct Push {
    silence: Silence,
    watch: Watch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// It lives, as far as is known.
    Alive,
    /// Its silence was reported.
    Silent,
}

impl Push {
    /// A consumer with this heartbeat; zero if it sends none.
    #[must_use]
    pub fn new(heartbeat: Duration, now: Instant) -> Push {
        Push { silence: Silence::new(heartbeat, now), watch: Watch::Alive }
    }

    /// Something has arrived since the last time, and everything that has was heard: the silence begins now.
    pub fn alive(&mut self, now: Instant) {
        self.silence.broken(now);
        self.watch = Watch::Alive;
    }

    /// Time has passed; `connected_since` is `None` while there is no connection. Returns whether its silence is to be reported, and
    /// the server asked whether the consumer still exists: once for each silence.
    pub fn tick(&mut self, now: Instant, connected_since: Option<Instant>) -> bool {
        let falls_silent = self.watch == Watch::Alive && self.silence.is_over(now, connected_since);
        if falls_silent {
            self.watch = Watch::Silent;
        }
        falls_silent
    }

    /// When [`tick`](Push::tick) is due.
    #[must_use]
    pub fn due(&self, connected_since: Option<Instant>) -> Option<Instant> {
        match self.watch {
            Watch::Alive => self.silence.ends(connected_since),
            Watch::Silent => None,
        }
    }
}
