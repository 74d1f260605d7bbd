//! What the server at the other end of the connections gets: whole operations, each message once and in order.

use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, Limits};

/// It reads everything that is written, over all connections.
#[derive(Default)]
pub(super) struct Server {
    decoder: Decoder,
    unread: Vec<u8>,
    introduced: bool,
    /// The last message that came, over all connections.
    last: u64,
    /// Messages that came on this connection.
    pub(super) received: u64,
    pub(super) pings: u64,
}

impl Server {
    /// Another connection: half an operation of the one before has no effect.
    pub(super) fn begin(&mut self) {
        let limits = Limits { line: usize::MAX, ..Limits::default() };
        *self = Server { decoder: Decoder::new(limits), last: self.last, ..Server::default() };
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
        match op {
            ClientOp::Pub(message) => {
                let text = core::str::from_utf8(message.subject).unwrap();
                let (number, size) = text.strip_prefix("m.").unwrap().split_once('.').unwrap();
                let (number, size): (u64, usize) = (number.parse().unwrap(), size.parse().unwrap());
                assert!(number > self.last, "{number} behind {}", self.last);
                assert_eq!(message.payload.len(), size);
                assert!(
                    message.payload.iter().all(|byte| *byte == number as u8),
                    "the payload of {number} has changed"
                );
                self.last = number;
                self.received += 1;
            }
            ClientOp::Ping => self.pings += 1,
            _ => {}
        }
    }
}
