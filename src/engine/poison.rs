//! Poison: a message that kills every connection it is given to, and how it is told from those that die beside it
//! (DECISIONS D16).
//!
//! At most once it is seen only while it is cut: what was taken wholly is never sent again. At least once it hides among
//! all that is sent again. They are then given to the next connections in lots, each behind the PONG of the last; a lot with
//! which a connection ends is halved for the next, until the message stands alone.

use super::engine::Engine;
use super::error::Cause;
use super::ledger::LossReason;
use super::outbox::Outbox;

/// What is known against the first message in line.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// The sequence number of the message with which the last connection ended: its first one without a PONG, or the cut one.
    first: u64,
    /// So many connections in a row have ended with it.
    losses: u32,
    /// At least once, while somebody is sought.
    lots: Option<Lots>,
}

/// Messages are given to a connection in portions.
#[derive(Clone, Copy, Debug)]
struct Lots {
    /// So many at a time. Never 0.
    size: u64,
    /// Behind the message with this number all is as usual.
    through: u64,
}

/// What follows from a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Open,
    /// The first message in line is taken out.
    Guilty,
}

impl Suspicion {
    /// A connection has ended with `count` messages that it had begun to take and not confirmed, of which `first` is the
    /// first. `limit`: so many times in a row a message may be that.
    fn lost_with(&mut self, first: u64, count: u64, limit: u32) -> Verdict {
        self.losses = if self.first == first { self.losses + 1 } else { 1 };
        self.first = first;
        let sought = self.losses >= limit;
        match count {
            1 if sought => {
                self.losses = 0;
                return Verdict::Guilty;
            }
            _ if sought || self.lots.is_some() => {
                let through = self.lots.map_or(0, |lots| lots.through).max(first + count - 1);
                self.lots = Some(Lots { size: count.div_ceil(2), through });
            }
            _ => {}
        }
        Verdict::Open
    }
}

impl<H> Engine<H> {
    /// A connection is gone and its messages are back in the outbox. `begun`: how many it had begun to take and not confirmed,
    /// as far as they are sent again.
    pub(super) fn suspect(&mut self, outbox: &mut Outbox, begun: u64, cause: &Cause) {
        let limit = self.config.poison_after;
        if limit == 0 || begun == 0 || !may_be_poisoned(cause) {
            return;
        }
        if self.suspicion.lost_with(outbox.first_waiting(), begun, limit) == Verdict::Guilty {
            outbox.take_out_first(LossReason::Poison);
            self.tell_losses(outbox);
        }
    }

    /// How many messages may be loaded now; `None`: all. Nothing is loaded while a lot waits for its PONG.
    pub(super) fn lot(&mut self, outbox: &Outbox) -> Option<u64> {
        let lots = self.suspicion.lots?;
        if outbox.has_interest() {
            // They must not be overtaken by what is said of the same subscriptions later, so nothing is held back. The next loss
            // begins where this one ends.
            self.suspicion.lots = None;
            return None;
        }
        if self.awaits_lot() {
            return Some(0);
        }
        if outbox.messages() == 0 || outbox.first_waiting() > lots.through {
            self.suspicion.lots = None;
            return None;
        }
        Some(lots.size)
    }

    /// Whether a lot is on its way, so that the next one has to wait.
    pub(super) fn awaits_lot(&self) -> bool {
        let connection = self.link.connection().filter(|_| self.suspicion.lots.is_some());
        connection.is_some_and(|connection| connection.confirmed < connection.taken + self.flight.messages())
    }
}

/// Whether what the connection was given can be why it ended. What we decide ourselves, and silence, have other reasons.
fn may_be_poisoned(cause: &Cause) -> bool {
    matches!(cause, Cause::ClosedByServer | Cause::Server(_) | Cause::Io(_))
}
