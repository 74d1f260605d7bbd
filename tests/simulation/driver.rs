//! The model driver: the same round as the real one (`src/driver/task.rs`), with a parking place, short reads and
//! short writes, and users who meddle between its steps as other threads do.

use std::sync::Arc;
use std::time::Instant;

use nats_lifeline::engine::{Cause, Effect, Engine, Facts, Gate, Interest, Outbox, Status};
use nats_lifeline::protocol::{Decoded, Decoder, Info, Limits, ServerAddr, ServerOp};
use rand::RngExt;

use crate::conn::{Conn, End};
use crate::content::{self, SUBJECTS};
use crate::script::say;
use crate::users::Ending;
use crate::world::World;

/// In calm times pipes are so wide, in bytes.
pub(crate) const WIDE: u64 = 1 << 20;

/// What users want of the engine, on its way to the task.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Connect,
    Subscribe { sid: u64, subject: usize, queue: bool, framed: bool },
    Unsubscribe { sid: u64, framed: bool },
    UnsubscribeAfter { sid: u64, max: u64 },
    DrainSubscription { sid: u64, framed: bool },
    Finished { sid: u64 },
    Flush { token: u64, seen: u64 },
    CancelFlush { token: u64 },
    ForceReconnect,
    SetPool(Vec<ServerAddr>),
    Drain { within: std::time::Duration },
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    None,
    /// What comes of it is known to the network; `None`: nothing ever.
    Dialing {
        epoch: u64,
        outcome: Option<(Instant, Option<usize>)>,
    },
    Up {
        epoch: u64,
        conn: usize,
    },
}

/// What the parked task wants to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    No,
    ForCommands,
    ForAll,
}

pub(crate) struct Driver {
    pub(crate) engine: Engine<u64>,
    pub(crate) outbox: Outbox,
    pub(crate) commands: Vec<Command>,
    pub(crate) link: Link,
    /// The connection that is up, or was last.
    pub(crate) last: Option<usize>,
    pub(crate) parked: Parked,
    /// When the parked task is woken by its timer.
    pub(crate) armed: Option<Instant>,
    /// Requests that wait for replies: a drain waits for them.
    pub(crate) requests: u32,
    decoder: Decoder,
    buf: Vec<u8>,
    info: Option<Arc<Info>>,
    /// No connection was sought in the last exchange: the gate is shut until the next.
    pub(crate) idle_at_exchange: bool,
    pub(crate) ended: bool,
}

impl Driver {
    pub(crate) fn new(engine: Engine<u64>, outbox: Outbox) -> Driver {
        Driver {
            engine,
            outbox,
            commands: Vec::new(),
            link: Link::None,
            last: None,
            parked: Parked::No,
            armed: None,
            requests: 0,
            decoder: Decoder::new(Limits::default()),
            buf: Vec::new(),
            info: None,
            idle_at_exchange: true,
            ended: false,
        }
    }

    pub(crate) fn wake(&mut self) {
        self.parked = Parked::No;
    }

    /// The limits that publishers know of.
    pub(crate) fn limits(&self) -> (usize, bool) {
        self.info.as_ref().map_or((1 << 20, true), |info| (info.max_payload(), info.headers))
    }

    fn learn(&mut self) {
        self.info = self.engine.info().cloned();
    }

    pub(crate) fn conn(&self) -> Option<usize> {
        match self.link {
            Link::Up { conn, .. } => Some(conn),
            _ => None,
        }
    }
}

impl World {
    /// Whether the task has anything to run for.
    pub(crate) fn is_woken(&self) -> bool {
        let driver = &self.driver;
        if driver.ended {
            return false;
        }
        let network = match driver.link {
            Link::None => false,
            Link::Dialing { outcome, .. } => outcome.is_some_and(|(at, _)| at <= self.now),
            Link::Up { conn, .. } => {
                let conn = &self.conns[conn];
                let writes = driver.engine.can_write() && !driver.engine.flight().is_empty();
                conn.readable() || (writes && conn.room() != Some(0))
            }
        };
        driver.parked == Parked::No || network || driver.armed.is_some_and(|at| at <= self.now)
    }

    /// One round. Returns whether another follows at once.
    pub(crate) fn round(&mut self) -> bool {
        self.tally.rounds += 1;
        let now = self.now;
        self.driver.parked = Parked::No;
        let commands = std::mem::take(&mut self.driver.commands);
        let facts = Facts { commands_waiting: !commands.is_empty(), requests_waiting: self.driver.requests > 0 };
        let driver = &mut self.driver;
        driver.engine.exchange(&mut driver.outbox, facts, now);
        driver.idle_at_exchange = driver.engine.status() == Status::Disconnected;
        driver.learn();
        drop(driver.engine.take_garbage());
        self.check_exchange();
        self.meddle();
        let mut moved = !commands.is_empty();
        for command in commands {
            self.apply(command);
        }
        self.carry_out();
        self.meddle();
        moved |= self.poll_dial();
        moved |= self.poll_read();
        self.meddle();
        moved |= self.poll_write();
        self.meddle();
        self.carry_out();
        self.check_round();
        if self.driver.ended {
            return false;
        }
        moved |= self.poll_timer();
        let driver = &mut self.driver;
        if moved || driver.engine.wants_exchange() {
            return true;
        }
        let busy = driver.engine.can_write() && !driver.engine.flight().is_empty();
        let work = !driver.commands.is_empty() || (driver.engine.carries() && !busy && !driver.outbox.is_empty());
        if work {
            return true;
        }
        driver.parked = if busy { Parked::ForCommands } else { Parked::ForAll };
        false
    }

    fn apply(&mut self, command: Command) {
        say!(self, "engine: {command:?}");
        let now = self.now;
        let engine = &mut self.driver.engine;
        match command {
            Command::Connect => engine.connect(now),
            Command::Subscribe { sid, subject, queue, framed } => {
                let queue = queue.then_some(&b"q"[..]);
                let interest = Interest { subject: SUBJECTS[subject].as_bytes(), queue, internal: false };
                engine.subscribe(sid, interest, sid, framed);
            }
            Command::Unsubscribe { sid, framed } => engine.unsubscribe(sid, framed),
            Command::UnsubscribeAfter { sid, max } => {
                self.limit(sid, max);
                self.driver.engine.unsubscribe_after(sid, max);
            }
            Command::DrainSubscription { sid, framed } => engine.drain_subscription(sid, framed),
            Command::Finished { sid } => engine.handle_finished(sid),
            Command::Flush { token, seen } => {
                let asked = self.driver.conn().map(|conn| (conn, self.conns[conn].wire.pings.len()));
                if let Some(flush) = self.books.flushes.get_mut(&token) {
                    flush.asked = asked;
                }
                self.driver.engine.flush(token, seen);
            }
            Command::CancelFlush { token } => engine.cancel_flush(token),
            Command::ForceReconnect => engine.force_reconnect(now),
            Command::SetPool(servers) => engine.set_server_pool(servers, now),
            Command::Drain { within } => engine.drain(within, now),
            Command::Close => engine.close(now),
        }
    }

    fn carry_out(&mut self) {
        let mut learnt = false;
        while let Some(effect) = self.driver.engine.poll_effect() {
            if !std::mem::replace(&mut learnt, true) {
                self.driver.learn();
            }
            say!(self, "effect: {effect:?}");
            // Commands of the last moment are answered behind the end.
            let late = matches!(effect, Effect::Ended { .. } | Effect::Complete { .. });
            assert!(self.books.closed.is_none() || late, "I8: {effect:?} behind the end");
            match effect {
                Effect::Choose { .. } => unreachable!("no callbacks are set"),
                Effect::Dial { epoch, addr, .. } => {
                    assert_eq!(self.driver.link, Link::None, "one connection at a time");
                    let outcome = self.dial(&addr);
                    self.driver.link = Link::Dialing { epoch, outcome };
                }
                Effect::Upgrade { .. } => unreachable!("no server and no option asks for TLS"),
                Effect::Authenticate { .. } => unreachable!("no credentials are asked for"),
                Effect::StopDialing { epoch } => {
                    if matches!(self.driver.link, Link::Dialing { epoch: dialing, .. } if dialing == epoch) {
                        self.driver.link = Link::None;
                    }
                }
                Effect::Close { epoch, how } => {
                    if let Link::Up { epoch: up, conn } = self.driver.link {
                        assert_eq!(up, epoch, "a connection is closed that is not there");
                        self.driver.link = Link::None;
                        self.leave(conn, how);
                    }
                    self.driver.buf.clear();
                    self.driver.decoder = Decoder::new(Limits::default());
                }
                Effect::Emit(event) => self.hear(&event),
                Effect::Complete { token, outcome } => {
                    let conn = self.driver.conn();
                    let answered = conn.map_or(0, |conn| self.conns[conn].pongs);
                    self.books.complete(token, &outcome, conn, answered);
                }
                Effect::Draining { sid } => self.finish_later(sid),
                Effect::Ended { sid, handle, reason } => {
                    assert_eq!(sid, handle, "a subscription's handle was mixed up");
                    self.end_stream(sid, Ending::Said(reason));
                }
                Effect::Dropped { sequences } => self.books.dropped(sequences),
                Effect::Confirmed { through } => self.books.publishers_told(through),
                Effect::HandedOver { through, in_doubt } => self.settle(through, in_doubt),
                Effect::Closed { completed, .. } => {
                    self.driver.ended = true;
                    // Dropping a command tells whoever waits for its answer.
                    for command in std::mem::take(&mut self.driver.commands) {
                        if let Command::Flush { token, .. } = command {
                            self.books.flushes.remove(&token);
                        }
                    }
                    self.check_completed(completed);
                }
            }
        }
        self.books.check_named();
    }

    fn poll_dial(&mut self) -> bool {
        let Link::Dialing { epoch, outcome: Some((at, outcome)) } = self.driver.link else {
            return false;
        };
        if at > self.now {
            return false;
        }
        match outcome.filter(|node| self.nodes[*node].up) {
            Some(node) => {
                let mood = self.mood();
                let conn = self.conns.len();
                say!(self, "connection {conn} to {}, {mood:?}", self.nodes[node].name);
                let window = if self.meddling { self.plan.window } else { WIDE };
                self.conns.push(Conn::new(node, mood, window));
                self.active.push(conn);
                self.tally.connections += 1;
                self.driver.link = Link::Up { epoch, conn };
                self.driver.last = Some(conn);
                self.driver.engine.handle_dialed(epoch, self.now);
            }
            None => {
                self.driver.link = Link::None;
                let refused = Cause::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                self.driver.engine.handle_dial_failed(epoch, refused, self.now);
            }
        }
        true
    }

    fn poll_write(&mut self) -> bool {
        let Link::Up { epoch, conn: at } = self.driver.link else { return false };
        if self.driver.engine.flight().is_empty() || !self.driver.engine.can_write() {
            return false;
        }
        let conn = &mut self.conns[at];
        let Some(room) = conn.room() else {
            say!(self, "writing fails on connection {at}");
            let cause = Cause::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
            self.driver.engine.handle_write_failed(epoch, cause, self.now);
            return true;
        };
        if room == 0 {
            return false;
        }
        let longest = if self.meddling { self.plan.longest_write } else { WIDE };
        let most = usize::try_from(room.min(self.rng.random_range(1..=longest))).unwrap();
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        for slice in self.driver.engine.flight().slices() {
            bytes.extend_from_slice(&slice[..slice.len().min(most - bytes.len())]);
            if bytes.len() == most {
                break;
            }
        }
        let expected = most.min(self.driver.engine.flight().len());
        assert_eq!(bytes.len(), expected, "slices and length of the flight disagree");
        self.take(at, &bytes);
        self.driver.engine.handle_taken(epoch, bytes.len(), self.now);
        self.scratch = bytes;
        true
    }

    fn poll_read(&mut self) -> bool {
        let Link::Up { epoch, conn: at } = self.driver.link else { return false };
        let longest = if self.meddling { self.plan.longest_read } else { WIDE as usize };
        let conn = &mut self.conns[at];
        let there = conn.arrived - conn.seen;
        if there == 0 {
            let Some(end) = conn.end_reached() else { return false };
            say!(self, "connection {at} ends: {end:?}");
            let cause = match end {
                End::Eof => Cause::ClosedByServer,
                _ => Cause::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            };
            self.driver.engine.handle_lost(epoch, cause, self.now);
            return true;
        }
        let n = there.min(self.rng.random_range(1..=longest));
        let bytes = &conn.out[conn.seen..conn.seen + n];
        say!(self, "reads {n} bytes of connection {at}: {:?}", String::from_utf8_lossy(bytes));
        self.driver.buf.extend_from_slice(bytes);
        conn.seen += n;
        self.driver.engine.handle_received(epoch, self.now);
        self.decode(epoch, at);
        true
    }

    /// Messages are delivered in groups, before whatever operation follows them.
    fn decode(&mut self, epoch: u64, conn: usize) {
        let buf = std::mem::take(&mut self.driver.buf);
        let mut groups: Vec<(u64, Vec<u64>)> = Vec::new();
        let mut at = 0;
        let fault = loop {
            let decoded = self.driver.decoder.decode_server(&buf[at..]);
            match decoded {
                Ok(Decoded::Op { op: ServerOp::Msg(message), len }) if self.driver.engine.expects_messages() => {
                    let number = content::read(message.payload).expect("I1: a payload was changed");
                    let subject = content::index(message.subject).expect("I1: a subject was changed");
                    self.books.check_delivery(number, subject, message.payload.len());
                    match groups.iter_mut().find(|(sid, _)| *sid == message.sid) {
                        Some((_, numbers)) => numbers.push(number),
                        None => groups.push((message.sid, vec![number])),
                    }
                    at += len;
                }
                Ok(Decoded::Op { op, len }) => {
                    at += len;
                    self.deliver(conn, std::mem::take(&mut groups));
                    self.read_op(epoch, conn, &op);
                    if !self.driver.engine.is_live(epoch) {
                        break None;
                    }
                }
                Ok(Decoded::NeedMore(_)) => break None,
                Err(error) => break Some(error),
            }
        };
        self.deliver(conn, groups);
        self.driver.buf = buf;
        self.driver.buf.drain(..at);
        if let Some(error) = fault {
            self.driver.engine.handle_lost(epoch, Cause::Protocol(error), self.now);
        }
    }

    fn read_op(&mut self, epoch: u64, conn: usize, op: &ServerOp<'_>) {
        let handshake = !self.driver.engine.expects_messages();
        if matches!(op, ServerOp::Pong) {
            self.pong(conn);
        }
        self.driver.engine.handle_op(epoch, op, self.now);
        if handshake && self.driver.engine.expects_messages() {
            let table = &self.driver.engine.subscriptions;
            self.conns[conn].at_handshake = Some(table.iter().map(|(sid, _)| sid).collect());
        }
    }

    fn deliver(&mut self, conn: usize, groups: Vec<(u64, Vec<u64>)>) {
        for (sid, numbers) in groups {
            self.arrive(conn, sid, &numbers);
            let Some(accepted) = self.driver.engine.receive(sid, numbers.len() as u64) else { continue };
            self.accept(sid, numbers.len() as u64, accepted.count);
            if let Some(max) = accepted.complete {
                self.driver.engine.handle_complete(sid, max);
            }
        }
    }

    fn poll_timer(&mut self) -> bool {
        let next = self.driver.engine.poll_timeout();
        if next.is_some_and(|next| next <= self.now) {
            say!(self, "a deadline has come");
            self.driver.engine.handle_timeout(self.now);
            return true;
        }
        self.driver.armed = next;
        false
    }

    /// Whether messages are admitted without a wait, and the task must be woken for them.
    pub(crate) fn wake_for_messages(&mut self) {
        if self.driver.parked == Parked::ForAll && self.driver.outbox.gate() == Gate::Open {
            self.driver.wake();
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        if self.driver.ended {
            return;
        }
        self.driver.commands.push(command);
        self.driver.wake();
    }

    pub(crate) fn status(&self) -> Status {
        self.driver.engine.status()
    }
}
