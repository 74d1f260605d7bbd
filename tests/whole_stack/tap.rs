//! Listens at the client's end to what its streams take: I4 says that only what was taken whole may be in doubt.

use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, Limits};

/// What one connection takes, in clear.
pub(crate) struct Tap {
    decoder: Decoder,
    unread: Vec<u8>,
    messages: u64,
    /// A write has failed: then nobody knows what was taken of it.
    pub(crate) failed: bool,
}

impl Tap {
    pub(crate) fn new() -> Tap {
        Tap { decoder: Decoder::new(Limits::default()), unread: Vec::new(), messages: 0, failed: false }
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let mut used = 0;
        while let Ok(Decoded::Op { op, len }) = self.decoder.decode_client(&self.unread[used..]) {
            self.messages += u64::from(matches!(op, ClientOp::Pub(_)));
            used += len;
            if used == self.unread.len() {
                break;
            }
        }
        self.unread.drain(..used);
    }

    /// Messages that were taken to their last byte.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }
}
