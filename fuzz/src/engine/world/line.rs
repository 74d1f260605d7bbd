//! One connection, or the attempt at one, as its two ends see it.

use nats_lifeline::protocol::Decoder;

use super::super::server::Server;

/// Where the byte stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Net {
    None,
    Dialing(u64),
    Up(u64),
}

pub(in super::super) struct Line {
    pub(super) epoch: u64,
    pub(super) up: bool,
    pub(super) server: Server,
    pub(super) decoder: Decoder,
    pub(super) unread: Vec<u8>,
}

impl Line {
    pub(super) fn new(epoch: u64) -> Line {
        Line { epoch, up: false, server: Server::new(), decoder: Decoder::default(), unread: Vec::new() }
    }

    pub(super) fn net(&self) -> Net {
        if self.up { Net::Up(self.epoch) } else { Net::Dialing(self.epoch) }
    }
}
