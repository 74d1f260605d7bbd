//! What is sent to the client of a session: answers, and the messages of its subscriptions.

use super::judgement::Ending;
use super::subscriptions::{Key, Subscription, Subscriptions};
use crate::protocol::{PubOp, err, message};

/// What a client is sent, and the subscriptions that its messages are counted by.
///
/// It is apart from [`Session`](super::Session) because others deliver into it while the client is being read.
#[derive(Debug, Default)]
pub struct Output {
    /// Bytes to send; the caller takes them.
    pub bytes: Vec<u8>,
    /// What the client subscribes to.
    pub subscriptions: Subscriptions,
    /// The client accepts HMSG.
    headers: bool,
}

/// What became of a message for one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The subscription has ended.
    Refused,
    /// It was sent.
    Sent,
    /// It was sent, and was the last one: the subscription has ended.
    Last(Subscription),
}

/// Access to the output of a session. The broker has it behind a lock, which is taken only when there is something to send.
pub trait Desk {
    /// Does the work with the output; `None` if the session has been ended from outside.
    fn open<R>(&mut self, work: impl FnOnce(&mut Output) -> R) -> Option<R>;
}

impl Desk for Output {
    fn open<R>(&mut self, work: impl FnOnce(&mut Output) -> R) -> Option<R> {
        Some(work(self))
    }
}

impl Output {
    pub(super) fn set_headers(&mut self, on: bool) {
        self.headers = on;
    }

    /// Sends a message to one subscription and counts it.
    #[inline]
    pub fn deliver(&mut self, key: Key, published: &PubOp<'_>) -> Delivery {
        let Some((sid, last)) = self.subscriptions.count(key) else { return Delivery::Refused };
        // An empty block arrives as MSG, and so does every message at a client without headers.
        let headers = published.headers.filter(|block| self.headers && !block.is_empty());
        message(&mut self.bytes, published.subject, sid, published.reply, headers, published.payload);
        if !last {
            return Delivery::Sent;
        }
        self.subscriptions.end(key).map_or(Delivery::Sent, Delivery::Last)
    }

    /// Status 503 to the client's own subscription that waits for the answer. It is not counted as one of its messages, and
    /// members of queue groups do not get it (`client.go`, `subForReply`).
    pub(super) fn no_responders(&mut self, subject: &[u8], reply: &[u8]) {
        let waits = |own: &&Subscription| own.queue.is_none() && own.wants(reply);
        if let Some(Subscription { sid, .. }) = self.subscriptions.iter().find(waits) {
            let block = [b"NATS/1.0 503\r\nNats-Subject: ", subject, b"\r\n\r\n"].concat();
            message(&mut self.bytes, reply, *sid, None, Some(&block), b"");
        }
    }

    /// Says why the session ends, and ends its subscriptions.
    pub fn end(&mut self, how: Ending) -> Vec<Subscription> {
        if let Ending::Says(text) = how {
            err(&mut self.bytes, text);
        }
        self.subscriptions.clear()
    }
}
