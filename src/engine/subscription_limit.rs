//! Servers that accept no more subscriptions. They send an error for each SUB that they refuse, in order, and never say which
//! one: that becomes clear at the next PONG.

use std::time::Instant;

use super::asked::{RefusedSubs, UnnamedRefusals};
use super::connection::Connection;
use super::effect::CloseHow;
use super::engine::Engine;
use super::error::{Cause, EndReason};
use super::lines::Which;
use super::subscriptions::NewLimit;
use crate::protocol::ErrKind;

impl<H> Engine<H> {
    /// A server has refused a SUB because it has reached its limit of subscriptions.
    pub(super) fn handle_subscription_limit(&mut self, which: Which, error: ErrKind, now: Instant) {
        if which == Which::Candidate {
            // The present server has them all.
            return self.lose(which, Cause::Server(error), CloseHow::Drop, now);
        }
        if let Some(connection) = self.lines.up_mut() {
            connection.asked.refuse_unnamed();
            // A PING that was sent follows that SUB, and its PONG will do.
            if !connection.liveness.is_asking() {
                connection.ping(Vec::new(), now);
            }
        }
    }

    /// A PONG has come after such refusals. Subscriptions that were certainly refused end, so that nobody waits for messages
    /// that can't come. Where that is not clear, SUB is sent again for one after the other, with a PING after each.
    pub(super) fn settle_unnamed_refusals(&mut self, refusals: UnnamedRefusals, now: Instant) {
        if self.lines.up().is_none_or(Connection::is_moving) {
            // The next server will be sent all of them.
            return;
        }
        match refusals.resolve() {
            RefusedSubs::These(sids) => sids.into_iter().for_each(|sid| self.end_refused(sid)),
            RefusedSubs::SomeOf(mut sids) => {
                sids.sort_unstable();
                sids.dedup();
                sids.into_iter().for_each(|sid| self.ask_again(sid, now));
            }
        }
    }

    /// Whether `sid` is there to stay.
    fn lives(&self, sid: u64) -> bool {
        self.subscriptions.get(sid).is_some_and(|entry| !entry.is_draining())
    }

    /// The server never had this one, unless SUB was sent again since: then the next PONG decides.
    fn end_refused(&mut self, sid: u64) {
        if !self.lives(sid) || self.lines.up().is_some_and(|connection| connection.asked.awaits(sid)) {
            return;
        }
        self.lines.connections_mut().for_each(|connection| connection.asked.refuse_now(sid));
        self.end_subscription(sid, EndReason::Refused(ErrKind::MaxSubscriptionsExceeded));
        self.lines.connections_mut().for_each(|connection| connection.asked.forget_refused(sid));
    }

    /// The server may have this one, so UNSUB is sent first: otherwise it would refuse a SUB that it knows.
    fn ask_again(&mut self, sid: u64, now: Instant) {
        if self.lives(sid) {
            self.resubscribe(sid, NewLimit::Anew);
            if let Some(connection) = self.lines.up_mut() {
                connection.ping(Vec::new(), now);
            }
        }
    }
}
