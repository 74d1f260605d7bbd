//! How long nothing may arrive before a consumer is taken to be gone.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

/// Measures the silence of a consumer that sends heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// `None`: it sends none, so that silence means nothing.
    limit: Option<Duration>,
    since: Instant,
}

impl Silence {
    /// Begins to measure. Two missing heartbeats are too many (ADR-37). Without heartbeats nothing is.
    #[must_use]
    pub fn new(heartbeat: Duration, now: Instant) -> Silence {
        Silence { limit: Some(heartbeat.saturating_mul(2)).filter(|limit| !limit.is_zero()), since: now }
    }

    /// Something has arrived.
    pub fn broken(&mut self, now: Instant) {
        self.since = now;
    }

    /// When it will have lasted too long. While there is no connection, nobody expects anything.
    #[must_use]
    pub fn ends(&self, connected_since: Option<Instant>) -> Option<Instant> {
        self.since.max(connected_since?).checked_add(self.limit?)
    }

    /// Whether it has lasted too long.
    #[must_use]
    pub fn is_over(&self, now: Instant, connected_since: Option<Instant>) -> bool {
        self.ends(connected_since).is_some_and(|end| end <= now)
    }
}
