//! Preferred servers, and how the client returns to them (D15).
//!
//! While another server is connected, a preferred one is probed: it is dialled and greeted like any candidate of a planned
//! move, and the connection is kept aside. If it lives for `stable_for`, the client moves to it; otherwise the probe has
//! failed, and the next one comes later. So the client moves to the very connection that has proved stable, and that connection
//! also bridges a loss of the present one.

use std::time::{Duration, Instant};

use super::connection::{Readiness, Stage};
use super::effect::CloseHow;
use super::engine::Engine;
use super::error::Cause;
use super::intent::Intent;
use super::lines::Which;
use super::pool::ServerId;
use super::time::after;

impl<H> Engine<H> {
    /// How long an attempt on `server` may take. A preferred server must not keep the client from the others.
    pub(super) fn attempt_limit(&self, server: ServerId) -> Duration {
        let limit = self.config.connect_timeout;
        let hurried = self.pool.prefers(server) && self.pool.has_others();
        if hurried { limit.min(self.config.preferred.timeout) } else { limit }
    }

    /// A server is connected or the pool has changed: plans a move if there is a preferred server.
    pub(super) fn plan_failback(&mut self, now: Instant) {
        let wanted = self.config.preferred.failback && matches!(self.intent, Intent::Run) && self.may_prepare();
        if wanted && !self.is_at_preferred() && self.pool.next_preferred(now).is_some() {
            let at = after(now, self.probe_wait());
            self.plan_move(Cause::Failback, at);
        }
    }

    pub(super) fn is_at_preferred(&self) -> bool {
        self.lines.up().is_some_and(|connection| self.pool.prefers(connection.attempt.server))
    }

    /// How long the next probe waits.
    pub(super) fn probe_wait(&mut self) -> Duration {
        self.config.preferred.probe.delay(self.history.probes + 1, &mut self.rng)
    }

    /// The connection to `server` was lost after `lived`.
    pub(super) fn note_stay(&mut self, server: ServerId, lived: Duration) {
        if self.pool.prefers(server) {
            let long = lived >= self.config.preferred.probe.max;
            self.history.probes = if long { 0 } else { self.history.probes.saturating_add(1) };
        }
    }

    /// When a candidate that is ready has proved stable; `None`: it need not prove anything.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        let connection = self.lines.connection(Which::Candidate)?;
        let probed = self.plan.as_ref().is_some_and(|plan| plan.is_failback());
        (probed && matches!(connection.stage, Stage::Standby(Readiness::Fresh)))
            .then(|| after(connection.since, self.config.preferred.stable_for))
    }

    /// Whether the client may move to the candidate now. A server in lame duck mode is none to return to.
    pub(super) fn has_settled(&mut self, now: Instant) -> bool {
        let Some(at) = self.settles_at() else { return true };
        if self.lines.candidate.as_ref().is_some_and(|candidate| candidate.is_lame_duck()) {
            self.lose(Which::Candidate, Cause::LameDuck, CloseHow::Drop, now);
            return false;
        }
        at <= now
    }
}
