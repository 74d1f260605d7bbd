//! Announcing: when a new connection counts as ready, what its recovery cost, and when the recovery is complete.

use std::time::Instant;

use super::connection::Stage;
use super::engine::Engine;
use super::recovery::{Recovering, Recovery};
use super::report::ConnectionEvent;

impl<H> Engine<H> {
    /// Announces the connection if the transport has taken everything that was buffered for it.
    pub(super) fn announce_if_taken(&mut self, now: Instant) {
        let Some(connection) = self.lines.up() else { return };
        match (&connection.stage, connection.recovery) {
            (Stage::Recovering(it), _) if it.is_done(connection.taken) => self.announce(now),
            (_, Some(recovery)) if connection.taken >= recovery.buffered => self.recovery_done(now),
            _ => {}
        }
    }

    /// Announces the connection, once.
    pub(super) fn announce(&mut self, now: Instant) {
        let Some(connection) = self.lines.up_mut() else { return };
        let Stage::Recovering(Recovering { buffered, replayed, .. }) = connection.stage else { return };
        connection.stage = Stage::Ready;
        let server = connection.attempt.endpoint.clone();
        let attempts = std::mem::take(&mut self.history.attempts);
        let previous = self.history.previous.replace(server.clone());
        let Some(outage) = self.history.outage.take() else {
            self.out.emit(ConnectionEvent::Connected { server, attempts });
            return self.plan_failback(now);
        };
        let flushed = connection.taken.min(buffered);
        if flushed < buffered {
            connection.recovery = Some(Recovery { buffered, flushed, since: outage.since });
        }
        let rtt = connection.liveness.round_trip().unwrap_or_default();
        let lost = self.totals.lost.since(&outage.lost);
        self.out.emit(ConnectionEvent::Reconnected {
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
            still_buffered: buffered - flushed,
            folded: 0,
        });
        self.plan_failback(now);
    }

    /// The last buffered message was taken.
    #[cold]
    fn recovery_done(&mut self, now: Instant) {
        let Some(connection) = self.lines.up_mut() else { return };
        let Some(Recovery { buffered, flushed, since }) = connection.recovery.take() else { return };
        let server = connection.attempt.endpoint.clone();
        let took = now.saturating_duration_since(since);
        self.out.emit(ConnectionEvent::RecoveryDone { server, flushed: buffered, late: buffered - flushed, took });
    }
}
