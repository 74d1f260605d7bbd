//! What the server at the other end of the connections gets: whole operations, each message in order, and once unless
//! that was not asked for.

use nats_lifeline::engine::DeliveryMode;
use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, Limits};

/// It reads everything that is written, over all connections.
#[derive(Default)]
pub(super) struct Server {
    delivery: DeliveryMode,
    decoder: Decoder,
    unread: Vec<u8>,
    introduced: bool,
    /// The last message that came, over all connections; at least once, where nothing came on this one yet, the last of
    /// which the client knows.
    last: u64,
    /// That number when this connection began.
    floor: u64,
    /// Messages that came on this connection.
    received: Vec<u64>,
    /// How many the client knew to have come, when this connection began.
    confirmed: u64,
}

impl Server {
    pub(super) fn new(delivery: DeliveryMode) -> Server {
        Server { delivery, ..Server::default() }
    }

    /// Another connection: half an operation of the one before has no effect. `confirmed`: how many messages in all the
    /// client knows to have come.
    pub(super) fn begin(&mut self, confirmed: u64) {
        let limits = Limits { line: usize::MAX, ..Limits::default() };
        let here = (confirmed - self.confirmed) as usize;
        assert!(here <= self.received.len(), "{here} confirmed of {}", self.received.len());
        let last = match self.delivery {
            DeliveryMode::AtLeastOnce => here.checked_sub(1).map_or(self.floor, |at| self.received[at]),
            _ => self.last,
        };
        let delivery = self.delivery;
        *self = Server { decoder: Decoder::new(limits), delivery, last, floor: last, confirmed, ..Server::default() };
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut at = 0;
        loop {
            match self.decoder.decode_client(&unread[at..]) {
                Ok(Decoded::Op { op, len }) => {
                    self.take(&op);
                    at += len;
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => panic!("nonsense was written: {error}"),
            }
        }
        self.unread = unread[at..].to_vec();
    }

    fn take(&mut self, op: &ClientOp<'_>) {
        match op {
            ClientOp::Connect(_) => assert!(!std::mem::replace(&mut self.introduced, true), "CONNECT twice"),
            // A server may ask before it has greeted.
            ClientOp::Pong => {}
            _ => assert!(self.introduced, "{op:?} ahead of CONNECT"),
        }
        let ClientOp::Pub(message) = op else { return };
        let text = core::str::from_utf8(message.subject).unwrap();
        let (number, size) = text.strip_prefix("m.").unwrap().split_once('.').unwrap();
        let (number, size): (u64, usize) = (number.parse().unwrap(), size.parse().unwrap());
        assert!(number > self.last, "{number} behind {}", self.last);
        assert_eq!(message.payload.len(), size);
        assert!(message.payload.iter().all(|byte| *byte == number as u8), "the payload of {number} has changed");
        self.last = number;
        self.received.push(number);
    }
}
