//! What the engine has reported, and what must hold after every step and at the end. The harness checks the ledger and that
//! events alternate.

use nats_lifeline::engine::{Flight, pool};

use super::World;

/// What the engine has reported so far.
#[derive(Default)]
pub(super) struct Reported {
    pub(super) closed: bool,
    /// Connections and attempts that have not ended.
    pub(super) links: usize,
    pub(super) in_doubt: u64,
    pub(super) lost: u64,
    pub(super) epoch: u64,
    pub(super) through: u64,
    pub(super) confirmed: u64,
    /// Subscriptions that have ended.
    pub(super) ended: Vec<u64>,
}

impl World {
    /// At rest, whatever has happened.
    pub(in super::super) fn check(&mut self) {
        self.harness.settle();
        self.look();
        let (engine, outbox) = (&self.harness.engine, &self.harness.outbox);
        let ledger = engine.ledger(outbox.accepted());
        assert_eq!(ledger.in_doubt, self.reported.in_doubt, "what is in doubt was reported");
        assert_eq!(ledger.lost.total(), self.reported.lost, "what is lost was reported");

        // Memory is limited by what the client was given, whatever the server does.
        let mark = outbox.mark();
        // Below the mark one more message is admitted, whatever its size; and the frame that a dying connection had cut comes
        // back whole.
        let most = outbox.cap().max(mark + 2 * self.largest) + self.interest;
        assert!(outbox.pending() <= most, "{} of {most} bytes", outbox.pending());
        let replay = 64 * 1024 + self.interest;
        assert!(engine.flight().map_or(0, Flight::len) <= outbox.pending() + replay + 64 * 1024);
        assert!(engine.pool().servers().len() <= pool::MAX_SERVERS);
        assert!(engine.subscriptions.len() + self.reported.ended.len() <= self.sids as usize);
    }

    /// After the end.
    pub(in super::super) fn check_end(&mut self) {
        let (engine, outbox) = (&self.harness.engine, &self.harness.outbox);
        assert!(self.reported.closed && self.harness.links.is_empty());
        assert!(engine.subscriptions.is_empty() && self.reported.ended.len() == self.sids as usize);
        assert!(!self.flushes.values().any(|waiting| *waiting), "flushes that nobody answered: {:?}", self.flushes);
        let ledger = engine.ledger(outbox.accepted());
        assert_eq!((ledger.waiting, ledger.unconfirmed, outbox.pending()), (0, 0, 0), "{ledger:?}");
        assert_eq!(engine.poll_timeout(), None);
    }
}
