//! What was promised of single messages: to those who want them confirmed, and of those that a connection had before.

use super::Outbox;

impl Outbox {
    /// Somebody waits for a PONG after the message with this number, which was admitted just now. A PING follows the
    /// batch that it is loaded with, on each connection that it is given to, and
    /// [`Effect::Confirmed`](crate::engine::Effect::Confirmed) tells of the PONG.
    pub fn want_pong(&mut self, sequence: u64) {
        self.pong_wanted = sequence;
    }

    /// Whether a PONG is wanted after one of the messages that wait here.
    pub(in crate::engine) fn is_pong_wanted(&self) -> bool {
        self.pong_wanted != 0 && self.pong_wanted > self.through()
    }

    /// At least once: up to this number, what waits here was given to a connection before.
    pub(in crate::engine) fn given(&self) -> u64 {
        self.given
    }

    /// At least once: the first of what came back had been given to the connection that is gone. Whatever becomes of them
    /// here, nobody can say that they were not sent.
    pub(super) fn note_given(&mut self) {
        let sent = self.sealed.sent();
        if sent > 0 {
            let last = self.gaps.advance(self.through(), sent);
            self.given = self.given.max(last);
        }
    }
}
