//! Preferred servers, and the way back to them (DECISIONS D15).
//!
//! While another server is connected, a preferred one is probed: it is dialled and greeted like any candidate of a planned
//! move, and the connection is kept aside. If it lives for the time of stability, the client moves to it; if not, that was a
//! failed attempt, and the next probe comes later. So what has proved stable is the very connection that is moved to, and a
//! loss of the present one meanwhile is bridged by it.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::effect::CloseHow;
use super::engine::Engine;
use super::error::Cause;
use super::phase::{Intent, Readiness, Stage};
use super::pool::ServerId;
use super::time::after;
use crate::protocol::ServerAddr;

/// Servers that are better than others, and how they are come back to.
#[derive(Clone, Debug, PartialEq)]
pub struct Preferred {
    /// The servers. They are dialled before the others that are due. Default: none.
    pub servers: Vec<ServerAddr>,
    /// How long an attempt on one of them may take while there are others, if that is less than the connect timeout. Default
    /// 2 s.
    pub timeout: Duration,
    /// Whether a client that is connected to another server moves back. Default true.
    pub failback: bool,
    /// When a preferred server is probed: so long after the connection to another one, and after each probe that failed. A
    /// stay at a preferred server that was shorter than the longest delay counts as a failed probe, so that a client does not
    /// go back and forth with a server that dies again and again. Default 5 s × 2 up to 60 s, half of it random.
    pub probe: Backoff,
    /// How long the connection to a preferred server must have lived before the client moves to it. Default 10 s.
    pub stable_for: Duration,
}

impl Default for Preferred {
    fn default() -> Self {
        Preferred {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            failback: true,
            probe: Backoff::exponential(Duration::from_secs(5), Duration::from_secs(60)),
            stable_for: Duration::from_secs(10),
        }
    }
}

impl<H> Engine<H> {
    /// How long an attempt on `server` may take. One that is preferred must not keep the client from the others.
    pub(super) fn attempt_limit(&self, server: ServerId) -> Duration {
        let limit = self.config.connect_timeout;
        let hurried = self.pool.prefers(server) && self.pool.has_others();
        if hurried { limit.min(self.config.preferred.timeout) } else { limit }
    }

    /// A server is connected, or the pool has changed: if there is a better one, the client is to move to it.
    pub(super) fn plan_failback(&mut self, now: Instant) {
        let wanted = self.config.preferred.failback && matches!(self.intent, Intent::Run) && self.may_prepare();
        if wanted && !self.is_at_preferred() && self.pool.next_preferred(now).is_some() {
            let at = after(now, self.probe_wait());
            self.wish_to_move(Cause::Failback, at);
        }
    }

    pub(super) fn is_at_preferred(&self) -> bool {
        self.link.connection().is_some_and(|connection| self.pool.prefers(connection.attempt.server))
    }

    /// How long the next probe waits.
    pub(super) fn probe_wait(&mut self) -> Duration {
        self.config.preferred.probe.delay(self.history.probes + 1, &mut self.rng)
    }

    /// The connection to `server` is lost after so long.
    pub(super) fn note_stay(&mut self, server: ServerId, lived: Duration) {
        if self.pool.prefers(server) {
            let long = lived >= self.config.preferred.probe.max;
            self.history.probes = if long { 0 } else { self.history.probes.saturating_add(1) };
        }
    }

    /// When a candidate that is ready has proved stable; `None`: nothing is asked of it.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        let connection = self.candidate.as_ref()?.link.connection()?;
        let probed = self.wish.as_ref().is_some_and(|wish| wish.is_failback());
        (probed && matches!(connection.stage, Stage::Standby(Readiness::Fresh)))
            .then(|| after(connection.since, self.config.preferred.stable_for))
    }

    /// Whether the candidate may be moved to by now. A server that is about to stop is none to go back to.
    pub(super) fn has_settled(&mut self, now: Instant) -> bool {
        let Some(at) = self.settles_at() else {
            return true;
        };
        if self.candidate.as_ref().is_some_and(|candidate| candidate.is_lame_duck()) {
            self.beside(|engine| engine.lose(Cause::LameDuck, CloseHow::Drop, now));
            return false;
        }
        at <= now
    }
}
