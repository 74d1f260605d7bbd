//! From the outbox to the server and its PONG: what is loaded, when it is asked for, what is confirmed, and what was lost.

use std::time::Instant;

use super::config::DeliveryMode;
use super::effect::Effect;
use super::engine::Engine;
use super::event::ConnectionEvent;
use super::ledger::LossReason;
use super::liveness::Covers;
use super::losses::Losses;
use super::outbox::{Level, Outbox};
use super::phase::{DrainStage, Intent, Link, Waiter};
use super::segment::FrameView;

/// A PING goes behind so many bytes although no time has passed: at full speed 100 ms are 100 MB. Measured: PINGs at this
/// distance cost a publisher nothing that can be seen.
const UNASKED_BYTES: usize = 256 * 1024;

/// At least once, publishers wait when what is unconfirmed reaches the mark: so many PINGs are on their way by then, and each
/// PONG makes room for a part of it.
const PINGS_PER_MARK: usize = 8;

impl<H> Engine<H> {
    /// Loads what waits, and a PING behind it if one is wanted or due: one per batch, shared by all who wait.
    pub(super) fn load(&mut self, outbox: &mut Outbox, now: Instant) {
        let shutting = match &mut self.intent {
            Intent::Close { asked, .. } | Intent::Drain { stage: DrainStage::Publishing { asked }, .. } => {
                !std::mem::replace(asked, true)
            }
            _ => false,
        };
        if shutting {
            self.wanted.push(Waiter::Last);
        }
        let lot = self.lot(outbox);
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        if self.flight.is_empty() {
            connection.progress = now;
        }
        let before = self.flight.len();
        let (asked, through) = (outbox.is_pong_wanted(), outbox.through());
        match lot {
            Some(messages) => outbox.load_some(&mut self.flight, messages),
            None => outbox.load(&mut self.flight),
        }
        connection.liveness.loaded(self.flight.len() - before);
        connection.refusals.loaded(outbox.through());
        connection.asked.loaded(outbox.last_subscribed());
        self.advance_drain();
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let queued = connection.taken + self.flight.messages();
        let late = connection.liveness.ping_due(queued > connection.confirmed).is_some_and(|due| due <= now);
        let much = match self.config.delivery {
            // One at a time, so that a slow server is not asked the more often.
            DeliveryMode::AtMostOnce => connection.liveness.is_unasked(UNASKED_BYTES, 0),
            DeliveryMode::AtLeastOnce => {
                let bytes = UNASKED_BYTES.min(outbox.mark() / PINGS_PER_MARK);
                connection.liveness.is_unasked(bytes, outbox.mark() / bytes.max(1))
            }
        };
        // Publishers wait for a PONG behind their message, wherever the next one stands.
        let covered = Some(outbox.through()).filter(|last| asked && *last > through);
        let (ends_lot, rest) = (lot.is_some_and(|messages| messages > 0), lot.is_some() && outbox.messages() > 0);
        if late || much || ends_lot || covered.is_some() || !(rest || self.wanted.is_empty()) {
            // Who waits for a PONG waits for one behind all that was admitted.
            let mut waiters = if rest { Vec::new() } else { std::mem::take(&mut self.wanted) };
            waiters.extend(covered.map(|through| Waiter::Publisher { through }));
            self.flight.push_ping();
            let covers = connection.covers(queued);
            connection.liveness.sent(covers, waiters, now);
        }
    }

    /// A PONG covers these messages of this connection.
    pub(super) fn confirm(&mut self, covers: Covers) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let more = covers.messages.saturating_sub(connection.confirmed);
        connection.confirmed += more;
        connection.asked.accept(covers.asked, &self.subscriptions);
        self.tell_refusing();
        self.settle_refused(more, covers.through);
    }

    /// Checks what was held before it goes to the server that is there now. What has become too old, and what this server
    /// can't take, is lost alone.
    pub(super) fn revise(&mut self, outbox: &mut Outbox, now: Instant) {
        outbox.tick(now);
        outbox.expire();
        if let Some(info) = &self.info {
            let (max, headers) = (info.max_payload(), info.headers);
            outbox.revise(|frame: FrameView<'_>, _| match frame {
                FrameView { size, .. } if size > max => Some(LossReason::TooLarge),
                FrameView { headers: true, .. } if !headers => Some(LossReason::NoHeaders),
                _ => None,
            });
        }
        self.tell_losses(outbox);
    }

    /// What is held is given up. Messages that a connection had been given before are in doubt, the others are lost.
    pub(super) fn drop_held(&mut self, outbox: &mut Outbox) {
        let in_doubt = outbox.give_up_sent();
        if in_doubt > 0 {
            self.books.in_doubt += in_doubt;
            self.effects.push_back(Effect::HandedOver { through: outbox.through(), in_doubt });
            self.emit(ConnectionEvent::LeftInDoubt { messages: in_doubt });
        }
        outbox.give_up();
        self.tell_losses(outbox);
    }

    /// Enters in the books what was lost in the outbox since this was last asked, and tells it.
    pub(super) fn tell_losses(&mut self, outbox: &mut Outbox) {
        let losses = outbox.take_losses();
        self.tell(losses);
    }

    pub(super) fn tell(&mut self, mut losses: Losses) {
        self.garbage.append(&mut losses.take_garbage());
        if let Some(told) = losses.tell() {
            self.books.lost.merge(&told.lost);
            if !told.sequences.is_empty() {
                self.effects.push_back(Effect::Dropped { sequences: told.sequences });
            }
            self.emit(ConnectionEvent::Lost { lost: told.lost, messages: told.messages });
        }
    }

    /// Tells when what is held crosses the watermarks, each crossing once.
    pub(super) fn tell_level(&mut self, outbox: &mut Outbox) {
        if matches!(self.intent, Intent::Closed) {
            // Closed was the last event.
            return;
        }
        let (pending, limit) = (outbox.pending(), outbox.cap());
        match (outbox.level(), self.history.buffer_high) {
            (Level::High, false) => self.emit(ConnectionEvent::BufferHigh { pending, limit }),
            (Level::Low, true) => self.emit(ConnectionEvent::BufferLow { pending, limit }),
            _ => return,
        }
        self.history.buffer_high = !self.history.buffer_high;
        outbox.told(self.history.buffer_high);
    }
}
