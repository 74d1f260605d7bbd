//! What a server says with `-ERR`: a subscription that it refuses is dead there, whatever the server.

use std::time::Instant;

use super::effect::CloseHow;
use super::engine::Engine;
use super::error::{Cause, EndReason};
use super::event::ConnectionEvent;
use super::phase::Link;
use super::refusals::refused_name;
use crate::protocol::{ErrKind, Violation};

impl<H> Engine<H> {
    /// The present server complains.
    pub(super) fn handle_err(&mut self, kind: ErrKind, now: Instant) {
        self.emit(ConnectionEvent::ServerError { error: kind.clone() });
        if let Some(name) = refused_name(&kind) {
            self.hear_refusal(name);
        }
        let refused = self.refused_by(&kind, |_| true);
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        if connection.is_handshake() {
            return self.lose(Cause::Server(kind), CloseHow::Drop, now);
        }
        if let Some(sids) = refused {
            for sid in sids {
                self.end_subscription(sid, EndReason::Refused(kind.clone()));
            }
        } else if kind.closes() {
            // The socket decides; when it closes, this is why.
            connection.said = Some(kind);
        }
    }

    /// The candidate's server complains. What it refuses ends, so the present one is not to serve it any longer either: it
    /// would be a member of a queue group that nobody reads.
    pub(super) fn handle_err_beside(&mut self, kind: ErrKind, now: Instant) {
        let has_joined = self.candidate.as_ref().is_some_and(|candidate| !candidate.joined.is_empty());
        let refused = self.refused_by(&kind, |sid| self.has_joined(sid)).filter(|_| has_joined);
        let Some(sids) = refused else {
            return self.beside(|engine| engine.handle_err(kind, now));
        };
        self.emit(ConnectionEvent::ServerError { error: kind.clone() });
        for sid in sids {
            self.end_subscription(sid, EndReason::Refused(kind.clone()));
            self.tell_unsubscribed(sid, None);
        }
    }

    /// The subscriptions that are refused, of those that the server `knows`; `None`: it complains of something else.
    fn refused_by(&self, kind: &ErrKind, knows: impl Fn(u64) -> bool) -> Option<Vec<u64>> {
        let ErrKind::PermissionsViolation(Violation::Subscription { subject, queue, sid }) = kind else {
            return None;
        };
        Some(match sid {
            Some(sid) => vec![*sid],
            None => self.subscriptions.sids_of(subject.as_bytes(), queue.as_deref().map(str::as_bytes), knows),
        })
    }
}
