//! Stimuli: what happened in the world. Each that speaks of a connection carries its epoch; stale ones are ignored.

use std::sync::Arc;
use std::time::Instant;

use super::asked::Asked;
use super::effect::{CloseHow, Effect};
use super::engine::Engine;
use super::error::{Cause, EndReason};
use super::event::ConnectionEvent;
use super::liveness::{Liveness, Rules};
use super::phase::{Attempt, Connection, DrainStage, Intent, Link, Purpose, Readiness, Recovering, Stage, Waiter};
use super::refusals::Refusals;
use super::replay::Replay;
use super::subscriptions::Accepted;
use super::time::after;
use crate::protocol::{ErrKind, Info, ServerOp};

impl<H> Engine<H> {
    /// There is a byte stream to the server of `epoch`.
    pub fn handle_dialed(&mut self, epoch: u64, now: Instant) {
        self.handle_dialed_one_of(epoch, 0, now);
    }

    /// There is a byte stream to one address of the server of `epoch`, whose name has `others` that were not tried or had not
    /// answered yet.
    pub fn handle_dialed_one_of(&mut self, epoch: u64, others: usize, now: Instant) {
        self.at(epoch, |engine| {
            let Link::Dialing(attempt) = &mut engine.link else {
                return;
            };
            if attempt.epoch != epoch {
                return;
            }
            attempt.others = others;
            let rules = Rules { interval: engine.config.ping_interval, max_out: engine.config.max_pings_out };
            engine.link = Link::Up(Box::new(Connection {
                attempt: Attempt::clone(attempt),
                stage: Stage::AwaitInfo,
                since: now,
                liveness: Liveness::new(rules, now),
                taken: 0,
                confirmed: 0,
                refusals: Refusals::default(),
                asked: Asked::default(),
                recovery: None,
                progress: now,
                said: None,
                broken: None,
                secured: false,
                renew_at: None,
            }));
            engine.begin_handshake(now);
        });
    }

    /// The server of `epoch` could not be reached.
    pub fn handle_dial_failed(&mut self, epoch: u64, cause: Cause, now: Instant) {
        self.at(epoch, |engine| match &engine.link {
            Link::Dialing(attempt) if attempt.epoch == epoch => {
                let mut attempt = Attempt::clone(attempt);
                // What an address of the name has said is the better reason than that another one does not answer.
                let cause = attempt.failure.take().unwrap_or(cause);
                engine.attempt_failed(attempt, cause, now);
            }
            _ => {}
        });
    }

    /// Bytes came in, whatever they say. Once per read, before what they say is handled.
    pub fn handle_received(&mut self, epoch: u64, now: Instant) {
        self.at(epoch, |engine| {
            if let Some(connection) = engine.link.live(epoch) {
                connection.liveness.received(now);
            }
        });
    }

    /// The transport took `n` bytes of the flight.
    pub fn handle_taken(&mut self, epoch: u64, n: usize, now: Instant) {
        self.at(epoch, |engine| {
            let Some(connection) = engine.link.live(epoch) else {
                return;
            };
            if connection.progress < now {
                // It had not taken everything the last time.
                connection.liveness.drained(now);
            }
            connection.progress = now;
            let taken = engine.flight.advance(n);
            connection.taken += taken.messages;
            engine.books.resent += taken.resent;
            connection.liveness.taken(taken.pings, now);
            if let Stage::Recovering(recovering) = &mut connection.stage {
                if (1..=n).contains(&recovering.replay_left) {
                    recovering.until = after(now, engine.config.announce_after);
                }
                recovering.replay_left = recovering.replay_left.saturating_sub(n);
            }
            engine.announce_if_taken(now);
        });
    }

    /// The transport has begun with the next `n` bytes of the flight, without having taken them: TLS has them in records
    /// of which the last byte is not with the kernel yet. They stay in their order.
    pub fn handle_begun(&mut self, epoch: u64, n: usize) {
        self.at(epoch, |engine| {
            if engine.link.live(epoch).is_some() {
                engine.flight.begin(n);
            }
        });
    }

    /// The transport does not write any more. The server's reason may still be on its way, so reading goes on.
    pub fn handle_write_failed(&mut self, epoch: u64, cause: Cause, now: Instant) {
        self.at(epoch, |engine| {
            if let Some(connection) = engine.link.live(epoch) {
                connection.broken.get_or_insert((after(now, super::exchange::LAST_WORDS), cause));
            }
        });
    }

    /// The byte stream has ended: by EOF (`ClosedByServer`), by an error, or by bytes that are no protocol.
    pub fn handle_lost(&mut self, epoch: u64, cause: Cause, now: Instant) {
        self.at(epoch, |engine| {
            let Some(connection) = engine.link.live(epoch) else {
                return;
            };
            // What the server said before it closed is the better reason.
            let said = connection.said.take();
            let broken = connection.broken.take().map(|(_, cause)| cause);
            let cause = match (said, cause) {
                (Some(kind), _) => Cause::Server(kind),
                (None, Cause::ClosedByServer) => broken.unwrap_or(Cause::ClosedByServer),
                (None, cause) => cause,
            };
            engine.lose(cause, CloseHow::Drop, now);
        });
    }

    /// An operation came from the server. Messages don't come here, their payload is none of the engine's
    /// business: see [`receive`](Engine::receive).
    pub fn handle_op(&mut self, epoch: u64, op: &ServerOp<'_>, now: Instant) {
        match op {
            ServerOp::Err(text) if self.is_beside(epoch) => self.handle_err_beside(ErrKind::parse(text), now),
            _ => self.at(epoch, |engine| engine.operate(epoch, op, now)),
        }
    }

    fn operate(&mut self, epoch: u64, op: &ServerOp<'_>, now: Instant) {
        let Some(connection) = self.link.live(epoch) else {
            return;
        };
        if matches!(connection.stage, Stage::Securing(_)) {
            let cause = Cause::Tls("the server spoke in clear while the link was to be secured".into());
            return self.lose(cause, CloseHow::Drop, now);
        }
        match op {
            ServerOp::Ping => self.answer_ping(),
            ServerOp::Pong => match connection.stage {
                Stage::AwaitInfo => self.out_of_turn("PONG", "INFO", now),
                Stage::Authenticating(_) => self.out_of_turn("PONG", "our CONNECT", now),
                Stage::AwaitPong => self.handshake_done(now),
                _ => self.handle_pong(now),
            },
            ServerOp::Info(json) => self.handle_info(json, now),
            ServerOp::Err(text) => self.handle_err(ErrKind::parse(text), now),
            ServerOp::Ok => {}
            ServerOp::Msg(_) if connection.is_handshake() => self.out_of_turn("MSG", "PONG", now),
            ServerOp::Msg(_) => {}
        }
    }

    /// `count` messages came for `sid`. Tells how many of them are wanted; `None`: nobody wants them.
    pub fn receive(&mut self, sid: u64, count: u64) -> Option<Accepted> {
        self.subscriptions.receive(sid, count)
    }

    /// All that was wanted was delivered: the subscription ends behind it.
    pub fn handle_complete(&mut self, sid: u64, max: u64) {
        let server_counts = self.subscriptions.server_counts(sid);
        self.end_subscription(sid, EndReason::Complete { max });
        if !server_counts {
            self.tell_unsubscribed(sid, None);
        }
    }

    /// The consumer was too slow, and its policy is to end: behind what it has got.
    pub fn handle_overrun(&mut self, sid: u64) {
        if self.subscriptions.get(sid).is_some() {
            self.end_subscription(sid, EndReason::SlowConsumer);
            self.tell_unsubscribed(sid, None);
        }
    }

    /// The consumer of a draining subscription has taken the last message. It has a while to answer it.
    pub fn handle_last_taken(&mut self, sid: u64, now: Instant) {
        self.subscriptions.set_at_last(sid);
        if let Intent::Drain { stage: DrainStage::Delivering { rest_until }, answer_within, .. } = &mut self.intent {
            *rest_until = Some(after(now, *answer_within));
        }
    }

    /// The consumer has read a draining subscription to its end. While others are read its stream ends already: the consumer may
    /// be about to read them next. The last one ends when nothing more can be published.
    pub fn handle_finished(&mut self, sid: u64) {
        self.subscriptions.set_finished(sid);
        let delivering = matches!(self.intent, Intent::Drain { stage: DrainStage::Delivering { .. }, .. });
        if delivering && !self.subscriptions.all_finished() {
            self.end_subscription(sid, EndReason::Drained);
        }
    }

    fn answer_ping(&mut self) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let before = self.flight.len();
        if matches!(connection.stage, Stage::Authenticating(_)) {
            // A server that wants credentials takes anything before CONNECT for an attack. The PING behind it says as much.
            return;
        }
        if connection.is_handshake() {
            // Nothing goes before CONNECT.
            self.flight.push_pong_behind();
        } else {
            self.flight.push_pong();
        }
        if let Stage::Recovering(Recovering { replay_left, .. }) = &mut connection.stage {
            if *replay_left > 0 {
                // It goes ahead of what is left of the replay.
                *replay_left += self.flight.len() - before;
            }
        }
    }

    fn out_of_turn(&mut self, got: &'static str, expected: &'static str, now: Instant) {
        self.lose(Cause::OutOfTurn { got, expected }, CloseHow::Drop, now);
    }

    fn handle_info(&mut self, json: &[u8], now: Instant) {
        let parsed = Info::parse(json);
        let Link::Up(connection) = &self.link else {
            return;
        };
        let first = matches!(connection.stage, Stage::AwaitInfo);
        let info = match parsed {
            Ok(info) => Arc::new(info),
            Err(error) if first => return self.lose(Cause::BadInfo(error), CloseHow::Drop, now),
            // A later INFO that can't be read changes nothing: what we knew still holds.
            Err(_) => return,
        };
        let attempt = &connection.attempt;
        let (server, endpoint) = (attempt.server, attempt.endpoint.clone());
        if info.lame_duck_mode {
            self.pool.set_lame(server, now);
        }
        if first && self.is_no_better(attempt, &info) {
            return self.lose(Cause::LameDuck, CloseHow::Drop, now);
        }
        if first {
            let epoch = connection.attempt.epoch;
            self.greet(info.clone(), now);
            if !self.is_live(epoch) {
                return;
            }
        }
        let was_lame = self.info.as_ref().is_some_and(|info| info.lame_duck_mode) && !first;
        if first || self.info.as_ref().is_none_or(|known| *known != info) {
            self.emit(ConnectionEvent::ServerInfo { server: endpoint.clone(), info: info.clone() });
        }
        // Anybody can answer a dial. What a server says of others counts once it has let us in.
        if self.link.connection().is_some_and(|connection| !connection.is_handshake()) {
            self.believe(&info);
        }
        if info.lame_duck_mode && !was_lame {
            self.tell_lame_duck(endpoint, now);
        }
        self.info = Some(info);
    }

    fn handshake_done(&mut self, now: Instant) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        connection.since = now;
        connection.liveness.measured(now.saturating_duration_since(connection.progress));
        connection.stage = match connection.attempt.purpose {
            Purpose::Link => Stage::Replaying(Replay::of(&self.subscriptions)),
            Purpose::Move => Stage::Standby(Readiness::Fresh),
        };
        let server = connection.attempt.server;
        self.pool.connected(server);
        if self.info.as_ref().is_some_and(|info| info.lame_duck_mode) {
            self.pool.set_lame(server, now);
        }
        if let Some(info) = self.info.clone() {
            self.believe(&info);
        }
    }

    /// Takes in what a server that has let us in says of the cluster's servers.
    fn believe(&mut self, info: &Info) {
        let Link::Up(connection) = &self.link else { return };
        if self.config.ignore_discovered {
            return;
        }
        let (seed, server) = (connection.attempt.addr.clone(), Some(connection.attempt.server));
        let (added, removed) =
            self.pool.gossip(&info.connect_urls, &seed, server, self.config.retain_order, &mut self.rng);
        if !(added.is_empty() && removed.is_empty()) {
            self.emit(ConnectionEvent::ServersChanged { added, removed });
        }
    }

    fn handle_pong(&mut self, now: Instant) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let Some(ping) = connection.liveness.pong(now) else {
            return;
        };
        self.confirm(ping.covers);
        for waiter in ping.waiters {
            match waiter {
                Waiter::Flush { token, .. } => {
                    self.effects.push_back(Effect::Complete { token, outcome: Ok(()) });
                }
                Waiter::Publisher { through } => self.effects.push_back(Effect::Confirmed { through }),
                // Its messages may come over the next connection too, which will end it.
                Waiter::Subscription(sid) if self.has_joined(sid) => {}
                Waiter::Subscription(sid) => self.end_subscription(sid, EndReason::Drained),
                Waiter::Interest if matches!(self.intent, Intent::Drain { stage: DrainStage::Interest, .. }) => {
                    self.begin_delivering();
                }
                Waiter::Interest => {}
                Waiter::Last => self.handle_last_pong(),
                Waiter::Move => self.finish_move(now),
                Waiter::Join => self.joined(now),
            }
        }
    }

    fn handle_last_pong(&mut self) {
        match self.intent {
            Intent::Drain { stage: DrainStage::Publishing { .. }, .. } => self.finish(EndReason::Drained, true),
            Intent::Close { .. } => self.finish(EndReason::Closed, true),
            _ => {}
        }
    }
}
