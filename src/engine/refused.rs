//! What follows from `-ERR`. A refused subscription ends; a refused message is lost.

use std::time::Instant;

use super::config::DeliveryMode;
use super::effect::{CloseHow, Effect};
use super::engine::Engine;
use super::error::{Cause, EndReason};
use super::ledger::LossReason;
use super::lines::Which;
use super::outbox::{Losses, Outbox};
use super::refusals::{Refusals, RefusedName, refused_name};
use super::report::ConnectionEvent;
use crate::protocol::{ErrKind, Violation};

impl<H> Engine<H> {
    /// A server sent `-ERR`.
    pub(super) fn handle_err(&mut self, which: Which, kind: ErrKind, now: Instant) {
        if let Some(name) = refused_name(&kind) {
            self.hear_refusal(which, name);
        }
        let error = kind.clone().shortened();
        let server = self.lines.connection_mut(which).map(|connection| connection.attempt.endpoint.clone());
        self.out.emit(ConnectionEvent::ServerError { server: server.unwrap_or_default(), error: error.clone() });
        let Some(connection) = self.lines.connection_mut(which) else { return };
        if connection.is_handshake() {
            return self.lose(which, Cause::Server(error), CloseHow::Drop, now);
        }
        match &kind {
            ErrKind::PermissionsViolation(Violation::Subscription { subject, queue, sid }) => {
                self.refuse_subscriptions(
                    which,
                    (subject.as_bytes(), queue.as_deref().map(str::as_bytes), *sid),
                    &error,
                );
            }
            ErrKind::MaxSubscriptionsExceeded => self.handle_subscription_limit(which, error, now),
            // The socket decides; if it closes, this is why.
            kind if kind.closes() => connection.server_error = Some(error),
            _ => {}
        }
    }

    /// A server refuses a subscription, which therefore ends. If it was the candidate's server, the present one must stop
    /// serving it too: otherwise it would be a member of a queue group that nobody reads.
    fn refuse_subscriptions(&mut self, which: Which, refused: (&[u8], Option<&[u8]>, Option<u64>), error: &ErrKind) {
        let Some(connection) = self.lines.connection_mut(which) else { return };
        let sids = match connection.asked.refuse(refused, &self.subscriptions) {
            Some(sid) => vec![sid],
            // To revoke subscriptions that it had accepted, a server names the sid or means all of them. A candidate's server
            // knows only some.
            None => {
                let mut sids = self.subscriptions.sids_of(refused.0, refused.1);
                sids.retain(|sid| which == Which::Present || self.lines.has_joined(*sid));
                sids
            }
        };
        for sid in sids {
            self.end_subscription(sid, EndReason::Refused(error.clone()));
            if which == Which::Candidate {
                self.send_unsub(sid, None);
            }
        }
    }

    /// A server has refused a message.
    fn hear_refusal(&mut self, which: Which, name: RefusedName) {
        let Some(connection) = self.lines.connection_mut(which) else { return };
        // No message of ours has a longer name.
        if name.subject.as_bytes().len() <= self.config.max_control_line {
            let unconfirmed = connection.given() - connection.confirmed;
            connection.refusals.add(name, unconfirmed);
        }
    }

    /// Nobody needs to wait for the reply to a refused message any longer.
    pub(super) fn report_refusing(&mut self) {
        if let Some(connection) = self.lines.up_mut() {
            let refusing = refusing(&mut connection.refusals);
            refusing.into_iter().for_each(|effect| self.out.push(effect));
        }
    }

    /// A PONG covers `messages` more messages of the present connection, up to number `through`.
    pub(super) fn settle_refused(&mut self, messages: u64, through: u64) {
        let Some(connection) = self.lines.up_mut() else { return };
        let (flight, refusals) = (&mut connection.flight, &mut connection.refusals);
        let (after, count) = refusals.covered(through);
        if count == 0 {
            self.totals.confirmed += messages;
            return flight.confirmed(messages, |_| {});
        }
        let mut losses = Losses::default();
        match self.config.outbox.delivery {
            DeliveryMode::AtMostOnce => {
                flight.confirmed(messages, |_| {});
                losses.count(LossReason::Refused, count.min(messages));
            }
            DeliveryMode::AtLeastOnce => flight.confirmed(messages, |segment| {
                losses.take_from(segment, LossReason::Refused, |frame| refusals.refuses(frame));
            }),
        }
        self.totals.confirmed += messages - losses.lost().refused;
        let (names, again) = (refusals.take_names(), refusals.again());
        self.out.push(Effect::Refused { names, after, again, through });
        self.report(losses);
    }

    /// The connection is gone. What it did not take, or, at least once, what no PONG covers, is back in the outbox. Returns how
    /// many of the unconfirmed messages its server had refused: they are lost, so they are neither in doubt nor sent again.
    pub(super) fn settle_refused_at_loss(
        &mut self,
        refusals: &mut Refusals,
        unconfirmed: u64,
        outbox: &mut Outbox,
    ) -> u64 {
        if self.config.outbox.delivery == DeliveryMode::AtMostOnce || refusals.count() == 0 {
            return self.settle_refused_at_the_end(refusals, unconfirmed, outbox);
        }
        let (refused, through) = outbox.refuse(unconfirmed, |frame| refusals.refuses(frame));
        self.report_all_refused(refusals, through);
        self.report_losses(outbox);
        refused
    }

    /// The same for the end, where what the connection had taken is not in the outbox.
    pub(super) fn settle_refused_at_the_end(
        &mut self,
        refusals: &mut Refusals,
        unconfirmed: u64,
        outbox: &Outbox,
    ) -> u64 {
        let refused = refusals.count().min(unconfirmed);
        self.report_all_refused(refusals, outbox.through());
        let mut losses = Losses::default();
        losses.count(LossReason::Refused, refused);
        self.report(losses);
        refused
    }

    fn report_all_refused(&mut self, refusals: &mut Refusals, through: u64) {
        refusing(refusals).into_iter().for_each(|effect| self.out.push(effect));
        let (after, count) = refusals.covered(0);
        if count > 0 {
            let (names, again) = (refusals.take_names(), refusals.again());
            self.out.push(Effect::Refused { names, after, again, through });
        }
    }
}

/// What is reported as soon as a server refuses messages, unless that was reported before.
fn refusing<H>(refusals: &mut Refusals) -> Option<Effect<H>> {
    let names = refusals.take_news();
    let (after, through) = (refusals.after(), refusals.through());
    (!names.is_empty()).then_some(Effect::Refusing { names, after, through })
}
