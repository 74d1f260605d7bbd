//! What arrives on a connection, and what its transport takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Connection, Stage};
use crate::engine::effect::CloseHow;
use crate::engine::error::Cause;
use crate::engine::happened::Happened;
use crate::engine::outbox::Taken;
use crate::protocol::{ErrKind, Info, ServerOp};

impl Connection {
    /// An operation came from the server.
    pub(in crate::engine) fn handle_op(&mut self, op: &ServerOp<'_>, now: Instant) -> Happened {
        if self.is_securing() {
            let cause = Cause::Tls("the server sent plaintext when the TLS handshake was due".into());
            return Happened::Lost(cause, CloseHow::Drop);
        }
        match op {
            ServerOp::Ping => self.answer_ping(),
            ServerOp::Pong => return self.handle_pong(now),
            ServerOp::Info(json) => return self.handle_info(json),
            ServerOp::Err(text) => return Happened::Error(ErrKind::parse(text)),
            ServerOp::Msg(_) if self.is_handshake() => return out_of_turn("MSG", "PONG"),
            ServerOp::Ok | ServerOp::Msg(_) => {}
        }
        Happened::Nothing
    }

    fn answer_ping(&mut self) {
        if matches!(self.stage, Stage::Authenticating(_)) {
            // A server that wants credentials treats anything before CONNECT as an attack. The PING after CONNECT answers it as
            // well.
            return;
        }
        if self.is_handshake() {
            // Nothing is sent before CONNECT.
            return self.flight.push_pong_behind();
        }
        let before = self.flight.len();
        self.flight.push_pong();
        if let Stage::Recovering(recovering) = &mut self.stage {
            recovering.put_ahead(self.flight.len() - before);
        }
    }

    fn handle_pong(&mut self, now: Instant) -> Happened {
        match self.stage {
            Stage::AwaitInfo => out_of_turn("PONG", "INFO"),
            Stage::Authenticating(_) => out_of_turn("PONG", "our CONNECT"),
            Stage::AwaitPong => {
                self.since = now;
                self.liveness.measured(now.saturating_duration_since(self.progress));
                Happened::HandshakeDone
            }
            _ => self.liveness.pong(now).map_or(Happened::Nothing, Happened::Pong),
        }
    }

    fn handle_info(&mut self, json: &[u8]) -> Happened {
        let first = matches!(self.stage, Stage::AwaitInfo);
        match Info::parse(json) {
            Ok(info) => Happened::Info { info: Arc::new(info), first },
            Err(error) if first => Happened::Lost(Cause::BadInfo(error), CloseHow::Drop),
            // A later INFO that can't be parsed changes nothing: the known one stays valid.
            Err(_) => Happened::Nothing,
        }
    }

    /// The transport took `n` bytes of the flight. `announce_after`: see [`Config`](crate::engine::Config).
    pub(in crate::engine) fn handle_taken(&mut self, n: usize, announce_after: Duration, now: Instant) -> Taken {
        if self.progress < now {
            // It had not taken everything the last time.
            self.liveness.drained(now);
        }
        self.progress = now;
        let taken = self.flight.advance(n);
        self.taken += taken.messages;
        self.liveness.taken(taken.pings, now);
        if let Stage::Recovering(recovering) = &mut self.stage {
            recovering.taken(n, announce_after, now);
        }
        taken
    }

    /// The byte stream has ended. What the server said before it closed is the better cause.
    pub(in crate::engine) fn handle_lost(&mut self, cause: Cause) -> Happened {
        let broken = self.broken.take().map(|(_, cause)| cause);
        let cause = match (self.server_error.take(), cause) {
            (Some(kind), _) => Cause::Server(kind),
            (None, Cause::ClosedByServer) => broken.unwrap_or(Cause::ClosedByServer),
            (None, cause) => cause,
        };
        Happened::Lost(cause, CloseHow::Drop)
    }
}

fn out_of_turn(got: &'static str, expected: &'static str) -> Happened {
    Happened::Lost(Cause::OutOfTurn { got, expected }, CloseHow::Drop)
}
