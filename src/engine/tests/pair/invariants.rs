//! What holds in every dialogue: events in pairs, and an account that balances.

use super::Pair;
use crate::engine::{ConnectionEvent, Status};

impl Pair {
    /// I9: `Connected` and `Disconnected` alternate.
    pub(super) fn hear(&mut self, event: &ConnectionEvent) {
        self.events.push(event.clone());
        match event {
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { .. } => {
                assert!(!std::mem::replace(&mut self.connected, true), "connected twice: {:?}", self.journal);
            }
            ConnectionEvent::Disconnected { .. } => {
                assert!(std::mem::replace(&mut self.connected, false), "disconnected twice: {:?}", self.journal);
            }
            ConnectionEvent::AttemptFailed { retry_in, .. } => self.retries.push(*retry_in),
            _ => {}
        }
    }

    /// What holds behind every exchange.
    pub(super) fn check(&mut self) {
        let ledger = self.engine.ledger(self.outbox.accepted());
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!(ledger.waiting, self.engine.count_waiting(&self.outbox), "{ledger:?}");
        assert!(self.outbox.through() <= self.outbox.accepted() + ledger.lost.total() + 1_000_000);
        self.carry_out();
        match self.engine.status() {
            Status::Connected => assert!(self.connected, "connected, and nobody was told: {:?}", self.journal),
            Status::Draining => {}
            status => assert!(!self.connected, "{status}, and nobody was told: {:?}", self.journal),
        }
    }
}
