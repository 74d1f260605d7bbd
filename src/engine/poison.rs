//! Poison: a message that kills every connection it is given to, and how it is told apart from the messages around it (D16).
//!
//! At most once, only a message that was cut can be poison: what was taken completely is never sent again. At least once, it is
//! among everything that is sent again. These messages are then given to the next connections in batches, each after the PONG
//! of the one before. A batch that ends a connection is halved for the next one, until the message stands alone.

use super::connection::Connection;
use super::engine::Engine;
use super::error::Cause;
use super::ledger::LossReason;
use super::outbox::Outbox;
use super::suspicion::Verdict;

impl<H> Engine<H> {
    /// A connection is gone and its messages are back in the outbox. `started`: how many of them it had at least started to take
    /// without confirming them.
    pub(super) fn suspect(&mut self, outbox: &mut Outbox, started: u64, cause: &Cause) {
        let Some(limit) = self.config.poison_after.filter(|_| started > 0 && may_be_poisoned(cause)) else { return };
        if self.suspicion.lost_with(outbox.first_waiting(), started, limit) == Verdict::Guilty {
            outbox.take_out_first(LossReason::Poison);
            self.report_losses(outbox);
        }
    }

    /// How many messages may be loaded now; `None`: all. Nothing is loaded while a batch waits for its PONG.
    pub(super) fn batch(&mut self, outbox: &Outbox) -> Option<u64> {
        let (size, through) = self.suspicion.batches()?;
        if outbox.has_interest() {
            // Messages must not be overtaken by later SUBs and UNSUBs, so batches end here. If poison remains, the next loss
            // starts them again.
            self.suspicion.clear();
            return None;
        }
        if self.awaits_batch() {
            return Some(0);
        }
        if outbox.messages() == 0 || outbox.first_waiting() > through {
            self.suspicion.clear();
            return None;
        }
        Some(size)
    }

    /// Whether a batch waits for its PONG, so that the next one has to wait too.
    pub(super) fn awaits_batch(&self) -> bool {
        self.suspicion.batches().is_some() && self.lines.up().is_some_and(Connection::is_owed)
    }
}

/// Whether a message can be why the connection ended. Our own decisions and silence have other reasons.
fn may_be_poisoned(cause: &Cause) -> bool {
    matches!(cause, Cause::ClosedByServer | Cause::Server(_) | Cause::Io(_))
}
