//! An engine, its outbox and everything around them, driven in the order that the doc of `Engine` prescribes.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use bytes::Bytes;
use nats_lifeline::engine::{
    Cause, Config, Credentials, Engine, ExchangeInput, Frame, Gate, Interest, Outbox, OutboxRules, Refusal,
};
use nats_lifeline::protocol::{Decoded, HeaderMap, ServerAddr, ServerOp};

use super::server::Arrived;
use laws::Told;
use line::{Line, Net};

mod effects;
mod laws;
pub(super) mod line;

pub(super) const INFO: &[u8] = b"INFO {\"max_payload\":1048576,\"headers\":true}\r\n";

/// What the engine waits for an answer to.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Upgrade,
    Credentials,
}

/// What a handle puts in line.
pub(super) enum Command {
    Connect,
    Subscribe { sid: u64, queue: Option<&'static str>, framed: bool },
    Unsubscribe { sid: u64, framed: bool },
    UnsubscribeAfter(u64, u64),
    DrainSubscription { sid: u64, framed: bool },
    Flush { token: u64, seen: u64 },
    CancelFlush(u64),
    ForceReconnect,
    SetPool(usize),
    Finished(u64),
    Drain(Duration),
    Close,
}

pub(super) struct World {
    pub(super) engine: Engine<u64>,
    outbox: Outbox,
    rules: OutboxRules,
    now: Instant,
    /// Whether the transport takes everything at once.
    pub(super) takes: bool,
    /// The present connection, and the one that shall take its place.
    pub(super) lines: Vec<Line>,
    /// Which of them the next step is about.
    pub(super) aim: usize,
    arrived: Arrived,
    commands: Vec<Command>,
    asked: Option<(Asked, u64)>,
    /// Whether a second connection may be made beside the present one.
    prepares: bool,
    told: Told,
    published: u64,
    largest: usize,
    /// Bytes of SUB and UNSUB that were put among the messages, which the cap does not count.
    interest: usize,
    sids: u64,
    /// Flushes that were not answered; whether somebody still waits.
    flushes: BTreeMap<u64, bool>,
    tokens: u64,
}

fn addresses(count: usize) -> Vec<ServerAddr> {
    ["a", "b", "c", "d"].iter().take(count).map(|host| host.parse().unwrap()).collect()
}

impl World {
    pub(super) fn new(config: Config, servers: usize, rules: OutboxRules, seed: u64) -> World {
        World {
            prepares: config.prepare_moves,
            engine: Engine::new(config, addresses(servers), seed),
            outbox: Outbox::new(rules.clone()),
            now: Instant::now(),
            takes: true,
            lines: Vec::new(),
            aim: 0,
            arrived: Arrived::new(rules.delivery),
            rules,
            commands: Vec::new(),
            asked: None,
            told: Told::default(),
            published: 0,
            largest: 0,
            interest: 0,
            sids: 0,
            flushes: BTreeMap::new(),
            tokens: 0,
        }
    }

    // What handles do.

    pub(super) fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// A message that says its number and size.
    pub(super) fn publish(&mut self, size: usize, headers: bool) {
        let number = self.published + 1;
        let subject = format!("m.{number}.{size}");
        let mut map = HeaderMap::new();
        map.insert("Number", number.to_string());
        let block = headers.then(|| map.wire());
        let payload = Bytes::from(vec![number as u8; size]);
        let frame = Frame { subject: subject.as_bytes(), reply: None, headers: block.as_deref(), payload: &payload };
        let (len, gate, accepted) = (frame.len(), self.outbox.gate(), self.outbox.accepted());
        self.outbox.tick(self.now);
        let outcome = self.outbox.admit(&frame, false);
        let counts = matches!(outcome, Ok(_) | Err(Refusal::Dropped));
        assert_eq!(self.outbox.accepted(), accepted + u64::from(counts));
        match outcome {
            Ok(sequence) => {
                assert_eq!(sequence, number, "sequence numbers have no gap");
                self.published = number;
                if number % 3 == 0 {
                    self.outbox.want_pong(number);
                }
                self.largest = self.largest.max(len);
                if gate == Gate::Buffering {
                    assert!(self.outbox.pending() <= self.rules.cap);
                    assert!(self.rules.messages.is_none_or(|most| self.outbox.messages() <= most));
                }
            }
            Err(Refusal::Dropped) => assert_eq!(gate, Gate::Buffering),
            Err(Refusal::Shut) => assert_eq!(gate, Gate::Shut),
            Err(Refusal::NoRoom) => assert!(gate == Gate::Open && self.outbox.pending() >= self.outbox.mark()),
            Err(Refusal::TooLarge { .. }) => {
                assert!(gate == Gate::Buffering && len > self.rules.cap && self.rules.cap > 0)
            }
            Err(Refusal::Full { .. } | Refusal::TooMany { .. }) => assert_eq!(gate, Gate::Buffering),
        }
        drop(self.outbox.take_garbage());
    }

    pub(super) fn cancel(&mut self, sequence: u64) {
        let (accepted, through) = (self.outbox.accepted(), self.outbox.through());
        let gone = self.outbox.cancel(sequence, &mut Vec::new());
        assert_eq!(self.outbox.accepted() + u64::from(gone), accepted);
        assert!(!gone || (sequence > through && sequence <= self.published));
    }

    pub(super) fn subscribe(&mut self, queue: Option<&'static str>) {
        self.sids += 1;
        let framed = self.outbox.admit_subscribe(b"s", queue.map(str::as_bytes), self.sids);
        self.interest += 64;
        self.command(Command::Subscribe { sid: self.sids, queue, framed });
    }

    pub(super) fn unsubscribe(&mut self, sid: u8) {
        let sid = u64::from(sid);
        let framed = self.outbox.admit_unsubscribe(sid);
        self.interest += 64;
        self.command(Command::Unsubscribe { sid, framed });
    }

    pub(super) fn drain_subscription(&mut self, sid: u8) {
        let sid = u64::from(sid);
        let framed = self.outbox.admit_unsubscribe(sid);
        self.interest += 64;
        self.command(Command::DrainSubscription { sid, framed });
    }

    /// `informed`: the handle knows of what is in doubt.
    pub(super) fn flush(&mut self, informed: bool) {
        self.tokens += 1;
        self.flushes.insert(self.tokens, true);
        let seen = if informed { self.engine.ledger(self.outbox.accepted()).in_doubt } else { 0 };
        self.command(Command::Flush { token: self.tokens, seen });
    }

    pub(super) fn cancel_flush(&mut self, token: u8) {
        self.command(Command::CancelFlush(u64::from(token)));
    }

    fn apply(&mut self, command: Command) {
        let (engine, now) = (&mut self.engine, self.now);
        match command {
            Command::Connect => engine.connect(now),
            Command::Subscribe { sid, queue, framed } => {
                let interest = Interest { subject: b"s", queue: queue.map(str::as_bytes), internal: false };
                engine.subscribe(sid, interest, sid, framed);
            }
            Command::Unsubscribe { sid, framed } => engine.unsubscribe(sid, framed),
            Command::UnsubscribeAfter(sid, max) => engine.unsubscribe_after(sid, max),
            Command::DrainSubscription { sid, framed } => engine.drain_subscription(sid, framed),
            Command::Flush { token, seen } => engine.flush(token, seen),
            Command::CancelFlush(token) => {
                engine.keep_flushes(|other| other != token);
                if let Some(waiting) = self.flushes.get_mut(&token) {
                    *waiting = false;
                }
            }
            Command::ForceReconnect => engine.force_reconnect(now),
            Command::SetPool(count) => engine.set_server_pool(addresses(count), now),
            Command::Finished(sid) => engine.handle_finished(sid),
            Command::Drain(within) => engine.drain(within, now),
            Command::Close => engine.close(now),
        }
    }

    // What the network does.

    /// Where the connection is that the next step is about.
    pub(super) fn net(&self) -> Net {
        match self.lines.get(self.aim).or(self.lines.first()) {
            Some(line) => line.net(),
            None => Net::None,
        }
    }

    /// That of `epoch`.
    fn line(&mut self, epoch: u64) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.epoch == epoch)
    }

    pub(super) fn accept(&mut self) {
        self.settle();
        let Net::Dialing(epoch) = self.net() else { return };
        self.line(epoch).unwrap().up = true;
        self.engine.handle_dialed(epoch, 0, self.now);
        self.settle();
    }

    pub(super) fn refuse(&mut self) {
        self.settle();
        let Net::Dialing(epoch) = self.net() else { return };
        self.lines.retain(|line| line.epoch != epoch);
        let cause = Cause::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        self.engine.handle_dial_failed(epoch, cause, self.now);
        self.settle();
    }

    pub(super) fn lose(&mut self, by_server: bool) {
        self.settle();
        let Net::Up(epoch) = self.net() else { return };
        let reset = Cause::from(io::Error::from(io::ErrorKind::ConnectionReset));
        self.engine.handle_lost(epoch, if by_server { Cause::ClosedByServer } else { reset }, self.now);
        self.settle();
    }

    pub(super) fn break_writing(&mut self) {
        self.settle();
        let Net::Up(epoch) = self.net() else { return };
        let cause = Cause::from(io::Error::from(io::ErrorKind::BrokenPipe));
        self.engine.handle_write_failed(epoch, cause, self.now);
        self.settle();
    }

    /// The server's bytes come in, as one read.
    pub(super) fn serve(&mut self, bytes: &[u8]) {
        self.settle();
        let Net::Up(epoch) = self.net() else { return };
        if self.engine.is_securing(epoch) {
            // It is not being read from.
            return;
        }
        let mut line = self.lines.remove(self.lines.iter().position(|line| line.epoch == epoch).unwrap());
        line.unread.extend_from_slice(bytes);
        self.engine.handle_received(epoch, self.now);
        let mut at = 0;
        loop {
            match line.decoder.decode_server(&line.unread[at..]) {
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
                if at < line.unread.len() {
                    self.engine.handle_lost(epoch, Cause::Tls("more in clear".into()), self.now);
                }
                break;
            }
        }
        line.unread.drain(..at);
        let place = self.lines.iter().position(|other| other.epoch > epoch).unwrap_or(self.lines.len());
        self.lines.insert(place, line);
        self.settle();
    }

    fn handle(&mut self, epoch: u64, op: &ServerOp<'_>) {
        match op {
            ServerOp::Msg(message) if self.engine.expects_messages_of(epoch) => {
                let known = self.engine.subscriptions.get(message.sid).is_some();
                let Some(accepted) = self.engine.receive(message.sid, 1) else { return assert!(!known) };
                assert!(known && accepted.count <= 1);
                if let Some(max) = accepted.complete {
                    self.engine.handle_complete(message.sid, max);
                }
            }
            op => self.engine.handle_op(epoch, op, self.now),
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Answers what the engine has asked for, if it has; also late, when it does not matter any more.
    pub(super) fn answer(&mut self, fails: bool) {
        let Some((asked, epoch)) = self.asked.take() else { return };
        let cause = Cause::Unsupported("as the script says".into());
        match asked {
            Asked::Upgrade if fails => {
                self.engine.handle_upgrade_failed(epoch, cause, self.now);
            }
            Asked::Upgrade => self.engine.handle_upgraded(epoch, self.now),
            Asked::Credentials => {
                let answer = if fails { Err(cause) } else { Ok(Credentials::default()) };
                self.engine.handle_credentials(epoch, answer, self.now);
            }
        }
        self.settle();
    }

    /// The transport takes so many bytes, or all that there are.
    pub(super) fn take(&mut self, most: usize) {
        self.settle();
        if let Net::Up(epoch) = self.net() {
            self.take_now(epoch, most);
        }
        self.settle();
    }

    fn take_now(&mut self, epoch: u64, most: usize) -> bool {
        let Some(flight) = self.engine.flight_of(epoch) else { return false };
        let Some(line) = self.lines.iter_mut().find(|line| line.epoch == epoch && line.up) else { return false };
        let total: usize = flight.slices().map(<[u8]>::len).sum();
        assert_eq!(total, flight.len());
        let mut left = most;
        for slice in flight.slices() {
            let taken = slice.len().min(left);
            line.server.read(&slice[..taken], &mut self.arrived);
            left -= taken;
        }
        let taken = total.min(most);
        self.engine.handle_taken(epoch, taken, self.now);
        taken > 0
    }

    fn take_all(&mut self) -> bool {
        let epochs: Vec<u64> = self.lines.iter().map(|line| line.epoch).collect();
        epochs.into_iter().fold(false, |moved, epoch| self.take_now(epoch, usize::MAX) | moved)
    }

    /// Time passes, and every deadline on the way is kept.
    pub(super) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        self.settle();
        let mut again = 0;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= until) {
            again = if due <= self.now { again + 1 } else { 0 };
            assert!(again < 50, "a deadline that was kept comes again for ever");
            self.now = self.now.max(due);
            self.settle();
            self.engine.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// Rounds of a driver, until nothing is left to do without the world.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            let commands = std::mem::take(&mut self.commands);
            let input = ExchangeInput { commands_waiting: !commands.is_empty(), ..ExchangeInput::default() };
            self.engine.exchange(&mut self.outbox, input, self.now);
            drop(self.engine.take_garbage());
            let mut moved = !commands.is_empty();
            for command in commands {
                self.apply(command);
            }
            moved |= self.carry_out();
            moved |= self.takes && self.take_all();
            moved |= self.carry_out();
            if !moved && !self.engine.wants_exchange() {
                return;
            }
        }
        panic!("the engine never comes to rest");
    }
}
