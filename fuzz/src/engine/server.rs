//! What the servers at the other ends of the connections get: whole operations, each subscription once, and each message in
//! order, and once unless that was not asked for. This only checks and never answers, so it is not the session of `testing`:
//! that counts the messages that it sends, and here they come from the fuzzer.

use std::collections::BTreeSet;

use nats_lifeline::engine::DeliveryMode;
use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, Limits};

/// Which messages have come, over all connections.
pub(super) struct Arrived {
    delivery: DeliveryMode,
    /// The last message that came; at least once, where nothing came on the present connection yet, the last of which
    /// the client knows.
    last: u64,
    /// The last of which the client knew when the connection before ended.
    floor: u64,
    /// Of how many the client knew then.
    confirmed: u64,
}

impl Arrived {
    pub(super) fn new(delivery: DeliveryMode) -> Arrived {
        Arrived { delivery, last: 0, floor: 0, confirmed: 0 }
    }

    /// A connection has ended, and the client knows of `confirmed` messages in all that they have come. Those on the way
    /// were on no other.
    pub(super) fn end(&mut self, server: &Server, confirmed: u64) {
        if server.received.is_empty() {
            return;
        }
        let here = (confirmed - self.confirmed) as usize;
        assert!(here <= server.received.len(), "{here} confirmed of {}", server.received.len());
        self.floor = here.checked_sub(1).map_or(self.floor, |at| server.received[at]);
        self.confirmed = confirmed;
        if self.delivery == DeliveryMode::AtLeastOnce {
            self.last = self.floor;
        }
    }
}

/// One connection's end: it reads everything that is written.
pub(super) struct Server {
    decoder: Decoder,
    unread: Vec<u8>,
    introduced: bool,
    /// Messages that came here.
    received: Vec<u64>,
    /// Subscriptions that were made here, and not ended.
    subscribed: BTreeSet<u64>,
}

impl Server {
    pub(super) fn new() -> Server {
        let limits = Limits { line: usize::MAX, ..Limits::default() };
        Server {
            decoder: Decoder::new(limits),
            unread: Vec::new(),
            introduced: false,
            received: Vec::new(),
            subscribed: BTreeSet::new(),
        }
    }

    pub(super) fn read(&mut self, bytes: &[u8], arrived: &mut Arrived) {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut at = 0;
        loop {
            match self.decoder.decode_client(&unread[at..]) {
                Ok(Decoded::Op { op, len }) => {
                    self.take(&op, arrived);
                    at += len;
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => panic!("nonsense was written: {error}"),
            }
        }
        self.unread = unread[at..].to_vec();
    }

    fn take(&mut self, op: &ClientOp<'_>, arrived: &mut Arrived) {
        match op {
            ClientOp::Connect(_) => assert!(!std::mem::replace(&mut self.introduced, true), "CONNECT twice"),
            // A server may ask before it has greeted.
            ClientOp::Pong => {}
            _ => assert!(self.introduced, "{op:?} ahead of CONNECT"),
        }
        match op {
            ClientOp::Sub { sid, .. } => assert!(self.subscribed.insert(*sid), "{sid} is subscribed twice"),
            // With a number it may end at once, or some time.
            ClientOp::Unsub { sid, .. } => drop(self.subscribed.remove(sid)),
            ClientOp::Pub(message) => {
                let text = core::str::from_utf8(message.subject).unwrap();
                let (number, size) = text.strip_prefix("m.").unwrap().split_once('.').unwrap();
                let (number, size): (u64, usize) = (number.parse().unwrap(), size.parse().unwrap());
                assert!(number > arrived.last, "{number} behind {}", arrived.last);
                assert_eq!(message.payload.len(), size);
                assert!(
                    message.payload.iter().all(|byte| *byte == number as u8),
                    "the payload of {number} has changed"
                );
                arrived.last = number;
                self.received.push(number);
            }
            _ => {}
        }
    }
}
