//! What the engine tells, and what must hold after every step and behind the end.

use nats_lifeline::engine::{ConnectionEvent, Flight, Status, pool};

use super::World;

/// What the engine has said so far.
#[derive(Default)]
pub(super) struct Told {
    pub(super) connected: bool,
    pub(super) closed: bool,
    pub(super) in_doubt: u64,
    pub(super) lost: u64,
    pub(super) epoch: u64,
    pub(super) through: u64,
    pub(super) confirmed: u64,
    /// Subscriptions that have ended.
    pub(super) ended: Vec<u64>,
}

impl World {
    pub(super) fn hear(&mut self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { .. } => {
                assert!(!std::mem::replace(&mut self.told.connected, true), "connected twice");
            }
            ConnectionEvent::Disconnected { in_doubt, .. } => {
                assert!(std::mem::replace(&mut self.told.connected, false), "disconnected twice");
                self.told.in_doubt += in_doubt;
            }
            ConnectionEvent::LeftInDoubt { messages, .. } => self.told.in_doubt += messages,
            ConnectionEvent::Lost { lost, messages, .. } => {
                assert!(messages.len() <= lost.total());
                self.told.lost += lost.total();
            }
            _ => {}
        }
    }

    /// At rest, whatever has happened.
    pub(in super::super) fn check(&mut self) {
        self.settle();
        let ledger = self.engine.ledger(self.outbox.accepted());
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!(ledger.waiting, self.engine.count_waiting(&self.outbox), "{ledger:?}");
        assert_eq!(ledger.in_doubt, self.told.in_doubt, "what is in doubt was said");
        assert_eq!(ledger.lost.total(), self.told.lost, "what is lost was said");
        match self.engine.status() {
            Status::Connected => assert!(self.told.connected),
            Status::Draining => {}
            status => assert!(!self.told.connected, "{status}, and nobody was told"),
        }

        // Memory follows what was given to us, whatever the server does.
        let mark = self.outbox.mark();
        // Below the mark one more is admitted, whatever its size; and the frame that a dying connection had cut comes back whole.
        let most = self.outbox.cap().max(mark + 2 * self.largest) + self.interest;
        assert!(self.outbox.pending() <= most, "{} of {most} bytes", self.outbox.pending());
        let replay = 64 * 1024 + self.interest;
        assert!(self.engine.flight().map_or(0, Flight::len) <= self.outbox.pending() + replay + 64 * 1024);
        assert!(self.engine.pool().servers().len() <= pool::MAX_SERVERS);
        assert!(self.engine.subscriptions.len() + self.told.ended.len() <= self.sids as usize);
    }

    /// Behind the end.
    pub(in super::super) fn check_end(&mut self) {
        assert!(self.told.closed && !self.told.connected && self.lines.is_empty());
        assert!(self.engine.subscriptions.is_empty() && self.told.ended.len() == self.sids as usize);
        assert!(!self.flushes.values().any(|waiting| *waiting), "flushes that nobody answered: {:?}", self.flushes);
        let ledger = self.engine.ledger(self.outbox.accepted());
        assert_eq!((ledger.waiting, ledger.unconfirmed, self.outbox.pending()), (0, 0, 0), "{ledger:?}");
        assert_eq!(self.engine.poll_timeout(), None);
    }
}
