//! Stimuli: what happened in the world. Those about a connection carry its epoch; stale ones are ignored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use super::connection::{Connection, Readiness, Stage};
use super::effect::{CloseHow, Effect};
use super::engine::Engine;
use super::error::{Cause, EndReason};
use super::happened::Happened;
use super::intent::{DrainStage, Intent, Waiter};
use super::line::Line;
use super::lines::Which;
use super::liveness::Ping;
use super::replay::Replay;
use super::report::ConnectionEvent;
use super::subscriptions::Accepted;
use super::time::after;
use crate::protocol::{Info, ServerOp};

/// How long reading goes on after writing failed (D6).
const LAST_WORDS: Duration = Duration::from_millis(100);

impl<H> Engine<H> {
    /// A byte stream to one address of the server of `epoch` exists. `others`: how many addresses of its name were not tried or
    /// have not answered yet.
    pub fn handle_dialed(&mut self, epoch: u64, others: usize, now: Instant) {
        let Some((which, attempt)) = self.lines.dialing(epoch) else { return };
        let attempt = Attempt { others, ..attempt.clone() };
        let connection = Connection::new(attempt, &self.config, now);
        if let Some(line) = self.lines.line_mut(which) {
            *line = Line::Up(Box::new(connection));
            self.begin_handshake(which, now);
        }
    }

    /// The server of `epoch` could not be reached.
    pub fn handle_dial_failed(&mut self, epoch: u64, cause: Cause, now: Instant) {
        if let Some((which, attempt)) = self.lines.dialing(epoch) {
            let cause = attempt.reason(cause);
            self.attempt_failed(which, cause, now);
        }
    }

    /// Bytes came in, whatever they contain. Called once per read, before their content is handled.
    pub fn handle_received(&mut self, epoch: u64, now: Instant) {
        if let Some((_, connection)) = self.lines.live_mut(epoch) {
            connection.liveness.received(now);
        }
    }

    /// The transport took `n` bytes of the flight.
    pub fn handle_taken(&mut self, epoch: u64, n: usize, now: Instant) {
        let Some((which, connection)) = self.lines.live_mut(epoch) else { return };
        let taken = connection.handle_taken(n, self.config.announce_after, now);
        self.totals.resent += taken.resent;
        if which == Which::Present {
            self.announce_if_taken(now);
        }
    }

    /// The transport has begun with the next `n` bytes of the flight without taking them: TLS has put them into records whose
    /// last byte the kernel does not have yet. Their order is fixed from now on.
    pub fn handle_begun(&mut self, epoch: u64, n: usize) {
        if let Some((_, connection)) = self.lines.live_mut(epoch) {
            connection.flight.begin(n);
        }
    }

    /// The transport can't be written to any more. The server's reason may still be on its way, so reading goes on.
    pub fn handle_write_failed(&mut self, epoch: u64, cause: Cause, now: Instant) {
        if let Some((_, connection)) = self.lines.live_mut(epoch) {
            connection.broken.get_or_insert((after(now, LAST_WORDS), cause));
        }
    }

    /// The byte stream has ended: by EOF (`ClosedByServer`), by an error, or by bytes that are not the NATS protocol.
    pub fn handle_lost(&mut self, epoch: u64, cause: Cause, now: Instant) {
        if let Some((which, connection)) = self.lines.live_mut(epoch) {
            let happened = connection.handle_lost(cause);
            self.apply(which, happened, now);
        }
    }

    /// An operation came from the server. Messages are not passed here, since their payload does not concern the engine: see
    /// [`receive`](Engine::receive).
    pub fn handle_op(&mut self, epoch: u64, op: &ServerOp<'_>, now: Instant) {
        if let Some((which, connection)) = self.lines.live_mut(epoch) {
            let happened = connection.handle_op(op, now);
            self.apply(which, happened, now);
        }
    }

    /// Acts on what happened on a line.
    pub(super) fn apply(&mut self, which: Which, happened: Happened, now: Instant) {
        match happened {
            Happened::Nothing => {}
            Happened::NotDialed(cause) => self.stop_dialing(which, cause, now),
            Happened::PutAside(stage) => self.put_aside(stage, now),
            Happened::Info { info, first } => self.handle_info(which, info, first, now),
            Happened::HandshakeDone => self.handshake_done(which, now),
            Happened::Pong(ping) => self.handle_pong(which, ping, now),
            Happened::Error(kind) => self.handle_err(which, kind, now),
            Happened::MoveTimedOut => self.finish_move(now),
            Happened::Expiring => self.renew(now),
            Happened::RecoveryTimedOut => self.announce(now),
            Happened::Lost(cause, how) => self.lose(which, cause, how, now),
        }
    }

    /// `count` messages came for `sid`. Returns how many of them are wanted; `None`: none, the subscription is unknown.
    pub fn receive(&mut self, sid: u64, count: u64) -> Option<Accepted> {
        self.subscriptions.receive(sid, count)
    }

    /// Everything that was wanted was delivered: the subscription ends after that.
    pub fn handle_complete(&mut self, sid: u64, max: u64) {
        let server_counts = self.subscriptions.server_counts(sid);
        self.end_subscription(sid, EndReason::Complete { max });
        if !server_counts {
            self.send_unsub(sid, None);
        }
    }

    /// The consumer was too slow, and its policy is to end the subscription after what it has received.
    pub fn handle_overrun(&mut self, sid: u64) {
        if self.subscriptions.get(sid).is_some() {
            self.end_subscription(sid, EndReason::SlowConsumer);
            self.send_unsub(sid, None);
        }
    }

    /// The consumer of a draining subscription has taken the last message, and has a while to answer it.
    pub fn handle_last_taken(&mut self, sid: u64, now: Instant) {
        self.subscriptions.set_at_last(sid);
        if let Intent::Drain { stage: DrainStage::Delivering { rest_until }, answer_within, .. } = &mut self.intent {
            *rest_until = Some(after(now, *answer_within));
        }
    }

    /// The consumer has read a draining subscription to its end. The stream ends now if others are still being read, because
    /// the consumer may be about to read those. The last one ends when nothing more can be published.
    pub fn handle_finished(&mut self, sid: u64) {
        self.subscriptions.set_finished(sid);
        let delivering = matches!(self.intent, Intent::Drain { stage: DrainStage::Delivering { .. }, .. });
        if delivering && !self.subscriptions.all_finished() {
            self.end_subscription(sid, EndReason::Drained);
        }
    }

    fn handle_info(&mut self, which: Which, info: Arc<Info>, first: bool, now: Instant) {
        let Some(connection) = self.lines.connection(which) else { return };
        let attempt = &connection.attempt;
        let (epoch, server, endpoint) = (attempt.epoch, attempt.server, attempt.endpoint.clone());
        if info.lame_duck_mode {
            self.pool.set_lame(server, now);
        }
        if first {
            if which == Which::Candidate && self.is_no_better(&info) {
                return self.lose(which, Cause::LameDuck, CloseHow::Drop, now);
            }
            self.greet(which, info.clone(), now);
        }
        let Some((_, connection)) = self.lines.live_mut(epoch) else { return };
        let is_handshake = connection.is_handshake();
        let known = connection.info.replace(info.clone());
        let was_lame = known.as_ref().is_some_and(|known| known.lame_duck_mode);
        if which == Which::Present {
            self.history.info = Some(info.clone());
        }
        if known.is_none_or(|known| known != info) {
            self.out.emit(ConnectionEvent::ServerInfo { server: endpoint.clone(), info: info.clone() });
        }
        // Anybody can answer a dial. What a server says about others counts only after it has accepted the client.
        if !is_handshake {
            self.accept_gossip(which, &info);
        }
        if info.lame_duck_mode && !was_lame {
            self.report_lame_duck(which, endpoint, now);
        }
    }

    /// The handshake is done.
    fn handshake_done(&mut self, which: Which, now: Instant) {
        let Some(connection) = self.lines.connection_mut(which) else { return };
        connection.stage = match which {
            Which::Present => Stage::Replaying(Replay::new()),
            Which::Candidate => Stage::Standby(Readiness::Fresh),
        };
        let (server, info, is_lame) = (connection.attempt.server, connection.info.clone(), connection.is_lame_duck());
        self.pool.connected(server);
        if is_lame {
            self.pool.set_lame(server, now);
        }
        if let Some(info) = info {
            self.accept_gossip(which, &info);
        }
    }

    /// Takes in what a server that has accepted the client says about the other servers of the cluster.
    fn accept_gossip(&mut self, which: Which, info: &Info) {
        let Some(connection) = self.lines.connection(which).filter(|_| !self.config.ignore_discovered) else { return };
        let (seed, server) = (connection.attempt.addr.clone(), Some(connection.attempt.server));
        let (added, removed) =
            self.pool.gossip(&info.connect_urls, &seed, server, self.config.retain_order, &mut self.rng);
        if !(added.is_empty() && removed.is_empty()) {
            self.out.emit(ConnectionEvent::ServersChanged { added, removed });
        }
    }

    fn handle_pong(&mut self, which: Which, ping: Ping<Waiter>, now: Instant) {
        self.confirm(which, ping.covers, now);
        for waiter in ping.waiters {
            match waiter {
                Waiter::Flush { token, .. } => self.out.push(Effect::Complete { token, outcome: Ok(()) }),
                Waiter::Publisher { through } => self.out.push(Effect::Confirmed { through }),
                // Messages for it may also come over the next connection, which will end it.
                Waiter::Subscription(sid) if self.lines.has_joined(sid) => {}
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
