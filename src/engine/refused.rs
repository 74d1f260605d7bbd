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
        if let Some(name) = refused_name(&kind) {
            self.hear_refusal(name);
        }
        let said = kind.clone().shortened();
        self.emit(ConnectionEvent::ServerError { error: said.clone() });
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        if connection.is_handshake() {
            return self.lose(Cause::Server(said), CloseHow::Drop, now);
        }
        match &kind {
            ErrKind::PermissionsViolation(Violation::Subscription { subject, queue, sid }) => {
                let (subject, queue) = (subject.as_bytes(), queue.as_deref().map(str::as_bytes));
                let refused = connection.asked.refuse((subject, queue, *sid), &self.subscriptions);
                // Of those that it had accepted a server says the sid, or means all.
                let refused = refused.map_or_else(|| self.subscriptions.sids_of(subject, queue), |sid| vec![sid]);
                for sid in refused {
                    self.end_subscription(sid, EndReason::Refused(said.clone()));
                }
            }
            // The socket decides; when it closes, this is why.
            kind if kind.closes() => connection.said = Some(said),
            _ => {}
        }
    }

    /// The candidate's server complains. What it refuses ends, so the present one is not to serve it any longer either: it
    /// would be a member of a queue group that nobody reads.
    pub(super) fn handle_err_beside(&mut self, kind: ErrKind, now: Instant) {
        let Some(refused) = self.refused_beside(&kind) else {
            return self.beside(|engine| engine.handle_err(kind, now));
        };
        let said = kind.shortened();
        self.emit(ConnectionEvent::ServerError { error: said.clone() });
        for sid in refused {
            self.end_subscription(sid, EndReason::Refused(said.clone()));
            self.tell_unsubscribed(sid, None);
        }
    }

    /// The subscriptions that the candidate's server refuses, if it is that.
    fn refused_beside(&mut self, kind: &ErrKind) -> Option<Vec<u64>> {
        let ErrKind::PermissionsViolation(Violation::Subscription { subject, queue, sid }) = kind else {
            return None;
        };
        let candidate = self.candidate.as_mut().filter(|candidate| !candidate.joined.is_empty())?;
        let Link::Up(connection) = &mut candidate.link else {
            return None;
        };
        let (subject, queue) = (subject.as_bytes(), queue.as_deref().map(str::as_bytes));
        if let Some(sid) = connection.asked.refuse((subject, queue, *sid), &self.subscriptions) {
            return Some(vec![sid]);
        }
        let mut sids = self.subscriptions.sids_of(subject, queue);
        sids.retain(|sid| self.has_joined(*sid));
        Some(sids)
    }
}
