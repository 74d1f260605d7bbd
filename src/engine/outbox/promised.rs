//! Promises about single messages: to publishers that want them confirmed, and about those that a connection had before.

use super::Outbox;

impl Outbox {
    /// A publisher waits for a PONG after the message with this number, which was admitted just now. On each connection, a PING
    /// follows the batch that the message is loaded with, and [`Effect::Confirmed`](crate::engine::Effect::Confirmed) reports
    /// the PONG.
    pub fn want_pong(&mut self, sequence: u64) {
        self.pong_wanted = sequence;
    }

    /// Whether a PONG is wanted after one of the messages that wait here.
    pub(in crate::engine) fn is_pong_wanted(&self) -> bool {
        self.pong_wanted != 0 && self.pong_wanted > self.through()
    }

    /// At least once: messages here up to this number were given to a connection before.
    pub(in crate::engine) fn given(&self) -> u64 {
        self.given
    }

    /// At least once: the first of the returned messages had been given to the connection that is gone. Whatever becomes of
    /// them here, they can't be reported as not sent.
    pub(super) fn note_given(&mut self) {
        let sent = self.sealed.sent();
        if sent > 0 {
            let last = self.removed.advance(self.through(), sent);
            self.given = self.given.max(last);
        }
    }
}
