//! Announcing: when a new connection counts as ready, what its recovery cost, and when the last of it is done.

use std::time::Instant;

use super::engine::Engine;
use super::event::ConnectionEvent;
use super::ledger::Lost;
use super::phase::{Link, Recovering, Recovery, Stage};

/// The outage that goes on: from a loss to the next announcement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) since: Instant,
    /// Messages that the loss left in doubt.
    pub(super) in_doubt: u64,
    /// What had been lost on our side before.
    pub(super) lost: Lost,
}

impl<H> Engine<H> {
    /// Says that the connection is ready if the transport has taken what was held for it.
    pub(super) fn announce_if_taken(&mut self, now: Instant) {
        let Some(connection) = self.link.connection() else {
            return;
        };
        match (&connection.stage, connection.recovery) {
            (Stage::Recovering(it), _) if it.replay_left == 0 && connection.taken >= it.held => self.announce(now),
            (_, Some(recovery)) if connection.taken >= recovery.held => self.recovery_done(now),
            _ => {}
        }
    }

    /// Says that the connection is ready, once.
    pub(super) fn announce(&mut self, now: Instant) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let Stage::Recovering(Recovering { held, replayed, .. }) = connection.stage else {
            return;
        };
        connection.stage = Stage::Ready;
        let server = connection.attempt.endpoint.clone();
        let attempts = std::mem::take(&mut self.history.attempts);
        let previous = self.history.previous.replace(server.clone());
        let Some(outage) = self.history.outage.take() else {
            self.emit(ConnectionEvent::Connected { server, attempts });
            return self.plan_failback(now);
        };
        let flushed = connection.taken.min(held);
        if flushed < held {
            connection.recovery = Some(Recovery { held, flushed, since: outage.since });
        }
        let rtt = connection.liveness.round_trip().unwrap_or_default();
        let lost = self.books.lost.since(&outage.lost);
        self.emit(ConnectionEvent::Reconnected {
            server,
            previous,
            downtime: now.saturating_duration_since(outage.since),
            attempts,
            subscriptions: replayed,
            flushed,
            dropped: lost.total() - lost.expired,
            expired: lost.expired,
            in_doubt: outage.in_doubt,
            rtt,
            still_held: held - flushed,
            folded: 0,
        });
        self.plan_failback(now);
    }

    /// The last held message was taken.
    #[cold]
    fn recovery_done(&mut self, now: Instant) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let Some(Recovery { held, flushed, since }) = connection.recovery.take() else {
            return;
        };
        let server = connection.attempt.endpoint.clone();
        let took = now.saturating_duration_since(since);
        self.emit(ConnectionEvent::RecoveryDone { server, flushed: held, late: held - flushed, took });
    }
}
