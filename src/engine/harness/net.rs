//! What the network does, and the server at its far end.

use super::Harness;
use crate::engine::Cause;
use crate::protocol::{Decoded, Decoder, ServerOp};

/// The state of a link, with its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// There is no link.
    None,
    /// It is being dialled.
    Dialing(u64),
    /// It exists.
    Up(u64),
}

/// One link, as its driver sees it.
#[derive(Debug)]
pub struct Link {
    /// Its state; never [`Net::None`].
    pub net: Net,
    /// The index of its wire, or of its last one.
    wire: Option<usize>,
    decoder: Decoder,
    unread: Vec<u8>,
}

/// What one byte stream took.
#[derive(Debug, Default)]
pub struct Wire {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many messages were confirmed in all when it ended; `None`: it has not ended.
    pub confirmed: Option<u64>,
    /// How much of it the test has seen.
    #[cfg(test)]
    pub(in crate::engine) looked: usize,
}

impl Link {
    pub(super) fn new(epoch: u64) -> Link {
        Link { net: Net::Dialing(epoch), wire: None, decoder: Decoder::default(), unread: Vec::new() }
    }

    /// The epoch of its byte stream.
    fn up(&self) -> Option<u64> {
        match self.net {
            Net::Up(epoch) => Some(epoch),
            Net::Dialing(_) | Net::None => None,
        }
    }
}

impl Harness {
    /// The state of the link that is aimed at.
    pub fn net(&self) -> Net {
        self.links.get(self.aim).map_or(Net::None, |link| link.net)
    }

    /// The wire of that link, or the last one.
    pub fn wire(&self) -> usize {
        self.links.get(self.aim).and_then(|link| link.wire).unwrap_or(self.last_wire)
    }

    /// The epoch of the attempt that is aimed at.
    pub(in crate::engine) fn dialing(&self) -> u64 {
        let Net::Dialing(epoch) = self.net() else { panic!("nothing is being dialled: {:?}", self.net()) };
        epoch
    }

    /// The epoch of the byte stream that is aimed at.
    pub(in crate::engine) fn up(&self) -> u64 {
        let Net::Up(epoch) = self.net() else { panic!("no connection: {:?}", self.net()) };
        epoch
    }

    /// The address accepts the connection. `others`: how many addresses of the name were not tried.
    pub fn dialed(&mut self, others: usize) {
        self.settle();
        let (epoch, wire) = (self.dialing(), self.wires.len());
        self.links[self.aim] = Link { net: Net::Up(epoch), wire: Some(wire), ..Link::new(epoch) };
        self.wires.push(Wire::default());
        self.engine.handle_dialed(epoch, others, self.now);
        self.settle();
    }

    /// The address refuses the connection.
    pub fn refuse(&mut self) {
        self.settle();
        let epoch = self.dialing();
        self.end_link(Net::Dialing(epoch));
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        self.engine.handle_dial_failed(epoch, refused.into(), self.now);
        self.settle();
    }

    /// The connection ends.
    pub fn lose(&mut self, cause: Cause) {
        self.settle();
        self.engine.handle_lost(self.up(), cause, self.now);
        self.settle();
    }

    /// Writing fails.
    pub fn break_writing(&mut self) {
        self.settle();
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        self.engine.handle_write_failed(self.up(), reset.into(), self.now);
        self.settle();
    }

    /// The server sends bytes; those of one call come in one read. Nothing is read while the connection is being secured, or
    /// where there is none.
    pub fn serve(&mut self, bytes: &[u8]) {
        self.settle();
        if matches!(self.net(), Net::Up(epoch) if !self.engine.is_securing(epoch)) {
            self.feed(bytes);
        }
        self.settle();
    }

    /// The same without a round of the driver, and even while the connection is being secured.
    pub(in crate::engine) fn feed(&mut self, bytes: &[u8]) {
        let aim = self.aim;
        let Some((epoch, link)) = self.links.get_mut(aim).and_then(|link| Some((link.up()?, link))) else { return };
        let mut read = std::mem::take(&mut link.unread);
        read.extend_from_slice(bytes);
        let mut decoder = std::mem::take(&mut link.decoder);
        self.engine.handle_received(epoch, self.now);
        let mut at = 0;
        loop {
            match decoder.decode_server(&read[at..]) {
                Ok(Decoded::Op { op, len }) => {
                    at += len;
                    self.handle(epoch, &op);
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => {
                    self.engine.handle_lost(epoch, Cause::Protocol(error), self.now);
                    break;
                }
            }
            if !self.engine.is_live(epoch) {
                break;
            }
            if self.engine.is_securing(epoch) {
                if at < read.len() {
                    self.engine.handle_lost(epoch, Cause::Tls("plaintext after INFO".into()), self.now);
                }
                break;
            }
        }
        // No effects were carried out in between, so the link is still there.
        read.drain(..at);
        let link = &mut self.links[aim];
        (link.unread, link.decoder) = (read, decoder);
    }

    fn handle(&mut self, epoch: u64, op: &ServerOp<'_>) {
        let message = match op {
            ServerOp::Msg(message) if self.engine.expects_messages_of(epoch) => message,
            op => return self.engine.handle_op(epoch, op, self.now),
        };
        let known = self.engine.subscriptions.get(message.sid).is_some();
        let accepted = self.engine.receive(message.sid, 1);
        assert_eq!(accepted.is_some(), known, "{}", message.sid);
        let Some(accepted) = accepted else { return };
        assert!(accepted.count <= 1, "more than came");
        self.delivered.extend((0..accepted.count).map(|_| message.sid));
        if let Some(max) = accepted.complete {
            self.engine.handle_complete(message.sid, max);
        }
    }

    /// The transport takes `n` bytes, or as many as there are.
    pub fn take(&mut self, n: usize) {
        self.settle();
        self.take_from(self.aim, n);
        self.settle();
    }

    /// Each transport takes all that there is. Returns whether there was anything.
    pub(super) fn take_everything(&mut self) -> bool {
        (0..self.links.len()).fold(false, |moved, at| self.take_from(at, usize::MAX) | moved)
    }

    fn take_from(&mut self, at: usize, n: usize) -> bool {
        let Some((epoch, wire)) = self.links.get(at).and_then(|link| Some((link.up()?, link.wire?))) else {
            return false;
        };
        let Some(flight) = self.engine.flight_of(epoch) else { return false };
        assert_eq!(flight.slices().map(<[u8]>::len).sum::<usize>(), flight.len(), "the flight's length");
        let taken = flight.len().min(n);
        let mut left = taken;
        for slice in flight.slices() {
            let part = slice.len().min(left);
            self.wires[wire].bytes.extend_from_slice(&slice[..part]);
            left -= part;
        }
        self.engine.handle_taken(epoch, taken, self.now);
        taken > 0
    }

    /// A link is gone. If it was the present one, the other takes its place.
    pub(in crate::engine) fn end_link(&mut self, net: Net) {
        let at = self.links.iter().position(|link| link.net == net);
        let Some(at) = at else { panic!("{net:?} ends, and there is no such link") };
        let link = self.links.remove(at);
        self.aim = self.aim.saturating_sub(1);
        if let Some(wire) = link.wire {
            self.last_wire = wire;
            self.end_wire(wire);
        }
    }

    /// The byte stream of epoch `after` is left for one to another address.
    pub(super) fn redial(&mut self, after: u64, epoch: u64) {
        let link = self.links.iter_mut().find(|link| link.net == Net::Up(after));
        let Some(link) = link else { panic!("{after} ends, and there is no such link") };
        let wire = link.wire;
        *link = Link { wire, ..Link::new(epoch) };
        if let Some(wire) = wire {
            self.end_wire(wire);
        }
    }

    fn end_wire(&mut self, wire: usize) {
        self.wires[wire].confirmed = Some(self.engine.ledger(self.outbox.accepted()).confirmed);
    }
}
