//! From the outbox to the server and its PONG: what is loaded, when a PING follows it, what is confirmed, and what was lost.

use std::time::Instant;

use super::config::DeliveryMode;
use super::effect::Effect;
use super::engine::Engine;
use super::intent::{DrainStage, Intent, Waiter};
use super::ledger::LossReason;
use super::lines::Which;
use super::liveness::Covers;
use super::outbox::{Fill, FrameView, Losses, Outbox};
use super::report::ConnectionEvent;

impl<H> Engine<H> {
    /// Loads what is waiting, followed by a PING if one is wanted or due: one per batch, shared by all waiters.
    pub(super) fn load(&mut self, outbox: &mut Outbox, now: Instant) {
        let shutting = match &mut self.intent {
            Intent::Close { asked, .. } | Intent::Drain { stage: DrainStage::Publishing { asked }, .. } => {
                !std::mem::replace(asked, true)
            }
            _ => false,
        };
        if shutting {
            self.waiters.push(Waiter::Last);
        }
        let batch = self.batch(outbox);
        let Some(connection) = self.lines.up_mut() else { return };
        let flight = &mut connection.flight;
        if flight.is_empty() {
            connection.progress = now;
        }
        let before = flight.len();
        let (asked, through) = (outbox.is_pong_wanted(), outbox.through());
        match batch {
            Some(messages) => outbox.load_some(flight, messages),
            None => outbox.load(flight),
        }
        let loaded = flight.len() - before;
        connection.liveness.loaded(loaded);
        connection.refusals.loaded(outbox.through());
        connection.asked.loaded(outbox.last_subscribed());
        self.advance_drain();
        let Some(connection) = self.lines.up_mut() else { return };
        let kept_up_to = (self.config.outbox.delivery == DeliveryMode::AtLeastOnce).then(|| outbox.mark());
        let due = connection.liveness.wants_ping(connection.is_owed(), loaded, kept_up_to, now);
        // Publishers wait for a PONG after their own message; the next one may have to wait longer.
        let covered = Some(outbox.through()).filter(|last| asked && *last > through);
        let (ends_batch, rest) = (batch.is_some_and(|messages| messages > 0), batch.is_some() && outbox.messages() > 0);
        if due || ends_batch || covered.is_some() || !(rest || self.waiters.is_empty()) {
            // The waiters wait for a PONG after everything that was admitted.
            let mut waiters = if rest { Vec::new() } else { std::mem::take(&mut self.waiters) };
            waiters.extend(covered.map(|through| Waiter::Publisher { through }));
            connection.ping(waiters, now);
        }
    }

    /// A PONG covers these messages of a connection.
    pub(super) fn confirm(&mut self, which: Which, covers: Covers, now: Instant) {
        let Some(connection) = self.lines.connection_mut(which) else { return };
        let more = covers.messages.saturating_sub(connection.confirmed);
        connection.confirmed += more;
        let unnamed = connection.asked.accept(covers.asked, &self.subscriptions);
        if which == Which::Present {
            unnamed.into_iter().for_each(|refusals| self.settle_unnamed_refusals(refusals, now));
            self.report_refusing();
            self.settle_refused(more, covers.through);
        }
    }

    /// Checks the buffered messages before they go to the present server. Those that are too old, or that this server can't
    /// take, are lost, and only those.
    pub(super) fn revise(&mut self, outbox: &mut Outbox, now: Instant) {
        outbox.tick(now);
        outbox.expire();
        if let Some(info) = self.lines.up().and_then(|connection| connection.info.as_ref()) {
            let (max, headers) = (info.max_payload(), info.headers);
            outbox.revise(|frame: FrameView<'_>, _| match frame {
                FrameView { size, .. } if size > max => Some(LossReason::TooLarge),
                FrameView { headers: true, .. } if !headers => Some(LossReason::NoHeaders),
                _ => None,
            });
        }
        self.report_losses(outbox);
    }

    /// Drops everything that is buffered. Messages that had been given to an earlier connection are in doubt, the others are
    /// lost.
    pub(super) fn drop_buffered(&mut self, outbox: &mut Outbox) {
        let in_doubt = outbox.give_up_sent();
        if in_doubt > 0 {
            self.totals.in_doubt += in_doubt;
            // They were handed over long ago, and nothing is sent any more.
            let through = outbox.through();
            self.out.push(Effect::HandedOver { after: through, through, in_doubt });
            self.out.emit(ConnectionEvent::LeftInDoubt { messages: in_doubt });
        }
        outbox.give_up();
        self.report_losses(outbox);
    }

    /// Adds what was lost in the outbox since the last call to the totals, and reports it.
    pub(super) fn report_losses(&mut self, outbox: &mut Outbox) {
        let losses = outbox.take_losses();
        self.report(losses);
    }

    pub(super) fn report(&mut self, mut losses: Losses) {
        self.out.garbage().append(&mut losses.take_garbage());
        if let Some(report) = losses.take_report() {
            self.totals.lost.merge(&report.lost);
            if !report.sequences.is_empty() {
                self.out.push(Effect::Dropped { sequences: report.sequences });
            }
            self.out.emit(ConnectionEvent::Lost { lost: report.lost, messages: report.messages });
        }
    }

    /// Reports when the buffered messages cross a watermark, once per crossing.
    pub(super) fn report_level(&mut self, outbox: &mut Outbox) {
        if matches!(self.intent, Intent::Closed) {
            // Closed was the last event.
            return;
        }
        let (pending, limit) = (outbox.pending(), outbox.cap());
        match (outbox.level(), self.history.buffer_high) {
            (Fill::High, false) => self.out.emit(ConnectionEvent::BufferHigh { pending, limit }),
            (Fill::Low, true) => self.out.emit(ConnectionEvent::BufferLow { pending, limit }),
            _ => return,
        }
        self.history.buffer_high = !self.history.buffer_high;
        outbox.set_reported(self.history.buffer_high);
    }
}
