//! What the network and the server at its far end do.

use super::{Far, INFO, Net, PONG, Pair, reset};
use crate::engine::Cause;
use crate::protocol::{Decoded, ServerOp};

impl Pair {
    /// What is done in `f` happens on the link that is prepared for a move.
    pub(in crate::engine::tests) fn aside<R>(&mut self, f: impl FnOnce(&mut Pair) -> R) -> R {
        self.settle();
        std::mem::swap(&mut self.far, &mut self.beside);
        let result = f(self);
        self.leave_aside();
        result
    }

    pub(in crate::engine::tests) fn leave_aside(&mut self) {
        // The present link may have ended meanwhile, and this one has taken its place.
        if self.beside.net == Net::None {
            self.beside = Far::new(Net::None);
        } else {
            std::mem::swap(&mut self.far, &mut self.beside);
        }
    }

    /// The byte stream is gone, and the engine does not know.
    pub(in crate::engine::tests) fn forget_net(&mut self) {
        self.far.net = Net::None;
    }

    pub(in crate::engine::tests) fn net(&self) -> Net {
        self.far.net
    }

    /// The link that is prepared.
    pub(in crate::engine::tests) fn beside_net(&self) -> Net {
        self.beside.net
    }

    /// S: accepts the connection.
    pub(in crate::engine::tests) fn dialed(&mut self) {
        self.dialed_one_of(0);
    }

    /// S: accepts the connection, at one address of a name that has `others`.
    pub(in crate::engine::tests) fn dialed_one_of(&mut self, others: usize) {
        let Net::Dialing(epoch) = self.far.net else { panic!("nothing is being dialled: {:?}", self.far.net) };
        self.settle();
        self.far = Far { wire: self.wire.len(), ..Far::new(Net::Up(epoch)) };
        self.wire.push(Vec::new());
        self.engine.handle_dialed(epoch, others, self.now);
        self.settle();
    }

    /// The dial has to wait for its turn.
    pub(in crate::engine::tests) fn dial_waits(&mut self) {
        let Net::Dialing(epoch) = self.far.net else { panic!("nothing is being dialled: {:?}", self.far.net) };
        self.engine.handle_dial_waits(epoch);
    }

    /// It has its turn.
    pub(in crate::engine::tests) fn dial_begins(&mut self) {
        let Net::Dialing(epoch) = self.far.net else { panic!("nothing is being dialled: {:?}", self.far.net) };
        self.engine.handle_dial_begins(epoch, self.now);
    }

    /// S: refuses the connection.
    pub(in crate::engine::tests) fn refuse(&mut self) {
        let Net::Dialing(epoch) = self.far.net else { panic!("nothing is being dialled: {:?}", self.far.net) };
        self.settle();
        self.far.net = Net::None;
        self.engine.handle_dial_failed(
            epoch,
            Cause::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            self.now,
        );
        self.settle();
    }

    /// S: accepts, greets and answers the handshake.
    pub(in crate::engine::tests) fn accept(&mut self) {
        self.accept_with(INFO);
    }

    pub(in crate::engine::tests) fn accept_with(&mut self, info: &[u8]) {
        self.dialed();
        self.serve(info);
        self.take_all();
        self.serve(PONG);
    }

    /// S: sends bytes; those of one call come in one read.
    pub(in crate::engine::tests) fn serve(&mut self, bytes: &[u8]) {
        self.settle();
        self.feed(bytes);
        self.settle();
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let Net::Up(epoch) = self.far.net else { return };
        self.far.unread.extend_from_slice(bytes);
        let read = std::mem::take(&mut self.far.unread);
        self.engine.handle_received(epoch, self.now);
        let mut at = 0;
        while let Ok(Decoded::Op { op, len }) = self.far.decoder.decode_server(&read[at..]) {
            at += len;
            match &op {
                ServerOp::Msg(message) if self.engine.expects_messages_of(epoch) => {
                    if let Some(accepted) = self.engine.receive(message.sid, 1) {
                        self.delivered.extend((0..accepted.count).map(|_| message.sid));
                        if let Some(max) = accepted.complete {
                            self.engine.handle_complete(message.sid, max);
                        }
                    }
                }
                op => self.engine.handle_op(epoch, op, self.now),
            }
            if !self.engine.is_live(epoch) {
                return;
            }
        }
        self.far.unread = read[at..].to_vec();
    }

    /// The transport takes `n` bytes, or all that there is.
    pub(in crate::engine::tests) fn take(&mut self, n: usize) {
        self.settle();
        self.take_now(n);
        self.settle();
    }

    pub(super) fn take_now(&mut self, n: usize) -> usize {
        let Net::Up(epoch) = self.far.net else { return 0 };
        let Some(flight) = self.engine.flight_of(epoch) else { return 0 };
        let bytes: Vec<u8> = flight.slices().flatten().copied().take(n).collect();
        assert_eq!(bytes.len(), n.min(flight.len()), "slices and length of the flight disagree");
        self.wire[self.far.wire].extend_from_slice(&bytes);
        self.engine.handle_taken(epoch, bytes.len(), self.now);
        bytes.len()
    }

    /// The transport takes all that there is.
    pub(in crate::engine::tests) fn take_all(&mut self) {
        let held_back = std::mem::replace(&mut self.takes, true);
        self.settle();
        self.takes = held_back;
    }

    /// Writing fails.
    pub(in crate::engine::tests) fn break_writing(&mut self) {
        let Net::Up(epoch) = self.far.net else { panic!("no connection") };
        self.settle();
        self.engine.handle_write_failed(epoch, reset(), self.now);
        self.settle();
    }

    /// The connection breaks.
    pub(in crate::engine::tests) fn lose(&mut self, cause: Cause) {
        let Net::Up(epoch) = self.far.net else { panic!("no connection") };
        self.settle();
        self.engine.handle_lost(epoch, cause, self.now);
        self.settle();
    }
}
