//! An engine, its outbox and a scripted peer, driven in the order that the doc of `Engine` prescribes.

mod clock;
mod invariants;
mod seen;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::journal::describe;
use crate::engine::{
    Cause, Choice, Config, ConnectionEvent, Effect, Engine, Facts, Frame, Interest, Outbox, OutboxRules, Refusal,
    Status,
};
use crate::protocol::{Decoded, Decoder, Limits, ServerAddr, ServerOp};

type Command = Box<dyn FnOnce(&mut Engine<u64>, Instant)>;

/// Where the byte stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    None,
    Dialing(u64),
    Up(u64),
}

/// The far end of one link.
struct Far {
    net: Net,
    /// Which of the wires is its.
    wire: usize,
    looked: usize,
    decoder: Decoder,
    unread: Vec<u8>,
}

impl Far {
    fn new(net: Net) -> Far {
        Far { net, wire: 0, looked: 0, decoder: Decoder::new(Limits::default()), unread: Vec::new() }
    }
}

pub(super) struct Pair {
    pub(super) engine: Engine<u64>,
    pub(super) outbox: Outbox,
    pub(super) start: Instant,
    pub(super) now: Instant,
    /// Whether the transport takes everything at once; otherwise only [`take`](Pair::take) does.
    pub(super) takes: bool,
    /// Whether requests wait for replies.
    pub(super) requests_waiting: bool,
    far: Far,
    /// The link that is prepared for a move.
    beside: Far,
    /// All that each connection's transport took, by connection.
    pub(super) wire: Vec<Vec<u8>>,
    /// When which server was dialled.
    pub(super) dials: Vec<(Duration, String)>,
    /// How long each failed attempt says that its server waits.
    pub(super) retries: Vec<Duration>,
    /// Which messages came to which subscription.
    pub(super) delivered: Vec<u64>,
    /// Every status that was seen, without repetitions.
    pub(super) statuses: Vec<Status>,
    /// The question that the user's callbacks have not answered yet.
    asked: Option<u64>,
    /// Every INFO that was told.
    pub(super) infos: Vec<String>,
    /// Every event, as it is.
    pub(super) events: Vec<ConnectionEvent>,
    commands: Vec<Command>,
    journal: Vec<String>,
    /// Whether `Connected` was said last.
    connected: bool,
    next_token: u64,
}

pub(super) const INFO: &[u8] = b"INFO {\"server_id\":\"S\",\"max_payload\":1048576,\"headers\":true}\r\n";
pub(super) const PONG: &[u8] = b"PONG\r\n";

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn addr(name: &str) -> ServerAddr {
    format!("nats://{name}").parse().unwrap()
}

pub(super) fn eof() -> Cause {
    Cause::ClosedByServer
}

pub(super) fn reset() -> Cause {
    Cause::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
}

/// The defaults, with the pool in the order given.
pub(super) fn config() -> Config {
    Config { retain_order: true, prepare_moves: false, ..Config::default() }
}

impl Pair {
    /// One server, `a`, and the defaults. Nothing has happened yet.
    pub(super) fn new() -> Pair {
        Pair::with(config(), &["a"])
    }

    pub(super) fn with(config: Config, servers: &[&str]) -> Pair {
        Pair::seeded(config, servers, 8 << 20, 7)
    }

    pub(super) fn seeded(config: Config, servers: &[&str], cap: usize, seed: u64) -> Pair {
        Pair::over(Outbox::new(cap), config, servers, seed)
    }

    /// Connected to `a` by other rules for the outbox than the defaults.
    pub(super) fn ruled(rules: OutboxRules) -> Pair {
        let config = Config { delivery: rules.delivery, ..config() };
        let mut pair = Pair::over(Outbox::with(rules), config, &["a"], 7);
        pair.connect();
        pair.accept();
        pair.forget();
        pair
    }

    fn over(outbox: Outbox, config: Config, servers: &[&str], seed: u64) -> Pair {
        let start = Instant::now();
        let servers = servers.iter().map(|name| addr(name)).collect();
        Pair {
            engine: Engine::new(config, servers, seed),
            outbox,
            start,
            now: start,
            takes: true,
            requests_waiting: false,
            far: Far::new(Net::None),
            beside: Far::new(Net::None),
            wire: Vec::new(),
            dials: Vec::new(),
            retries: Vec::new(),
            delivered: Vec::new(),
            statuses: vec![Status::Disconnected],
            asked: None,
            infos: Vec::new(),
            events: Vec::new(),
            commands: Vec::new(),
            journal: Vec::new(),
            connected: false,
            next_token: 0,
        }
    }

    /// Connected to `a`, and nothing of it left in the journal.
    pub(super) fn ready() -> Pair {
        let mut pair = Pair::new();
        pair.connect();
        pair.accept();
        pair.forget();
        pair
    }

    // Commands, put in line as a handle does.

    pub(super) fn command(&mut self, command: impl FnOnce(&mut Engine<u64>, Instant) + 'static) {
        self.commands.push(Box::new(command));
    }

    /// C: connect.
    pub(super) fn connect(&mut self) {
        self.command(|engine, now| engine.connect(now));
        self.settle();
    }

    /// C: subscribe, without a round.
    pub(super) fn queue_subscribe(&mut self, subject: &'static str, queue: Option<&'static str>, sid: u64) {
        let group = queue.map(str::as_bytes);
        let framed = self.outbox.admit_subscribe(subject.as_bytes(), group, sid);
        self.command(move |engine, _| {
            engine.subscribe(sid, Interest { subject: subject.as_bytes(), queue: group, internal: false }, sid, framed);
        });
    }

    pub(super) fn subscribe(&mut self, subject: &'static str, sid: u64) {
        self.queue_subscribe(subject, None, sid);
        self.settle();
    }

    pub(super) fn unsubscribe(&mut self, sid: u64) {
        let framed = self.outbox.admit_unsubscribe(sid);
        self.command(move |engine, _| engine.unsubscribe(sid, framed));
        self.settle();
    }

    pub(super) fn drain_subscription(&mut self, sid: u64) {
        let framed = self.outbox.admit_unsubscribe(sid);
        self.command(move |engine, _| engine.drain_subscription(sid, framed));
        self.settle();
    }

    pub(super) fn unsubscribe_after(&mut self, sid: u64, max: u64) {
        self.command(move |engine, _| engine.unsubscribe_after(sid, max));
        self.settle();
    }

    /// C: flush; `seen` is what the handle has reported. Returns the token.
    pub(super) fn flush(&mut self, seen: u64) -> u64 {
        self.next_token += 1;
        let token = self.next_token;
        self.command(move |engine, _| engine.flush(token, seen));
        self.settle();
        token
    }

    pub(super) fn force_reconnect(&mut self) {
        self.command(|engine, now| engine.force_reconnect(now));
        self.settle();
    }

    pub(super) fn set_pool(&mut self, servers: &[&str]) {
        let servers = servers.iter().map(|name| addr(name)).collect();
        self.command(|engine, now| engine.set_server_pool(servers, now));
        self.settle();
    }

    pub(super) fn drain(&mut self, within: Duration) {
        self.command(move |engine, now| engine.drain(within, now));
        self.settle();
    }

    pub(super) fn close(&mut self) {
        self.command(|engine, now| engine.close(now));
        self.settle();
    }

    /// C: the consumer of a draining subscription has read it to its end.
    /// The consumer of a draining subscription has taken the last message.
    pub(super) fn last_taken(&mut self, sid: u64) {
        self.command(move |engine, now| engine.handle_last_taken(sid, now));
        self.settle();
    }

    pub(super) fn finished(&mut self, sid: u64) {
        self.command(move |engine, _| engine.handle_finished(sid));
        self.settle();
    }

    /// C: publish, without a round: the task has not run yet.
    pub(super) fn admit(&mut self, subject: &str, payload: &[u8]) -> Result<u64, Refusal> {
        let payload = Bytes::copy_from_slice(payload);
        if self.outbox.wants_ticks() {
            self.outbox.tick(self.now);
        }
        self.outbox.admit(&Frame { subject: subject.as_bytes(), reply: None, headers: None, payload: &payload }, false)
    }

    /// C: publish.
    pub(super) fn publish(&mut self, subject: &str, payload: &str) -> u64 {
        let sequence = self.admit(subject, payload.as_bytes()).unwrap();
        self.settle();
        sequence
    }

    /// C: the callbacks answer.
    pub(super) fn choose(&mut self, server: Option<&str>, delay: Option<Duration>) {
        let ask = self.asked.take().expect("nobody is asked");
        self.engine.handle_choice(ask, Choice { server: server.map(addr), delay }, self.now);
        self.settle();
    }

    /// C: publishes, and wants to know when the server has it.
    pub(super) fn publish_confirmed(&mut self, subject: &str, payload: &str) -> u64 {
        let sequence = self.admit(subject, payload.as_bytes()).unwrap();
        self.outbox.want_pong(sequence);
        self.settle();
        sequence
    }

    // What the world does.

    /// What is done in `f` happens on the link that is prepared for a move.
    pub(super) fn aside<R>(&mut self, f: impl FnOnce(&mut Pair) -> R) -> R {
        self.settle();
        std::mem::swap(&mut self.far, &mut self.beside);
        let result = f(self);
        self.leave_aside();
        result
    }

    /// If a link is prepared, it is the one that is looked at, until [`leave_aside`](Pair::leave_aside).
    pub(super) fn enter_aside(&mut self) -> bool {
        self.settle();
        let prepared = self.beside.net != Net::None;
        if prepared {
            std::mem::swap(&mut self.far, &mut self.beside);
        }
        prepared
    }

    pub(super) fn leave_aside(&mut self) {
        // The present link may have ended meanwhile, and this one has taken its place.
        if self.beside.net == Net::None {
            self.beside = Far::new(Net::None);
        } else {
            std::mem::swap(&mut self.far, &mut self.beside);
        }
    }

    /// Which of the wires is that of the link that is looked at.
    pub(super) fn wire_number(&self) -> usize {
        self.far.wire
    }

    /// The byte stream is gone, and the engine does not know.
    pub(super) fn forget_net(&mut self) {
        self.far.net = Net::None;
    }

    pub(super) fn net(&self) -> Net {
        self.far.net
    }

    /// The link that is prepared.
    pub(super) fn beside_net(&self) -> Net {
        self.beside.net
    }

    /// S: accepts the connection.
    pub(super) fn dialed(&mut self) {
        self.dialed_one_of(0);
    }

    /// S: accepts the connection, at one address of a name that has `others`.
    pub(super) fn dialed_one_of(&mut self, others: usize) {
        let Net::Dialing(epoch) = self.far.net else { panic!("nothing is being dialled: {:?}", self.far.net) };
        self.settle();
        self.far = Far { wire: self.wire.len(), ..Far::new(Net::Up(epoch)) };
        self.wire.push(Vec::new());
        self.engine.handle_dialed_one_of(epoch, others, self.now);
        self.settle();
    }

    /// The dial has to wait for its turn.
    pub(super) fn dial_waits(&mut self) {
        let Net::Dialing(epoch) = self.far.net else { panic!("nothing is being dialled: {:?}", self.far.net) };
        self.engine.handle_dial_waits(epoch);
    }

    /// It has its turn.
    pub(super) fn dial_begins(&mut self) {
        let Net::Dialing(epoch) = self.far.net else { panic!("nothing is being dialled: {:?}", self.far.net) };
        self.engine.handle_dial_begins(epoch, self.now);
    }

    /// S: refuses the connection.
    pub(super) fn refuse(&mut self) {
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
    pub(super) fn accept(&mut self) {
        self.accept_with(INFO);
    }

    pub(super) fn accept_with(&mut self, info: &[u8]) {
        self.dialed();
        self.serve(info);
        self.take_all();
        self.serve(PONG);
    }

    /// S: sends bytes; those of one call come in one read.
    pub(super) fn serve(&mut self, bytes: &[u8]) {
        self.settle();
        self.feed(bytes);
        self.settle();
    }

    fn feed(&mut self, bytes: &[u8]) {
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
    pub(super) fn take(&mut self, n: usize) {
        self.settle();
        self.take_now(n);
        self.settle();
    }

    fn take_now(&mut self, n: usize) -> usize {
        let Net::Up(epoch) = self.far.net else { return 0 };
        let Some(flight) = self.engine.flight_of(epoch) else { return 0 };
        let bytes: Vec<u8> = flight.slices().flatten().copied().take(n).collect();
        assert_eq!(bytes.len(), n.min(flight.len()), "slices and length of the flight disagree");
        self.wire[self.far.wire].extend_from_slice(&bytes);
        self.engine.handle_taken(epoch, bytes.len(), self.now);
        bytes.len()
    }

    /// The transport takes all that there is.
    pub(super) fn take_all(&mut self) {
        let held_back = std::mem::replace(&mut self.takes, true);
        self.settle();
        self.takes = held_back;
    }

    /// Writing fails.
    pub(super) fn break_writing(&mut self) {
        let Net::Up(epoch) = self.far.net else { panic!("no connection") };
        self.settle();
        self.engine.handle_write_failed(epoch, reset(), self.now);
        self.settle();
    }

    /// The connection breaks.
    pub(super) fn lose(&mut self, cause: Cause) {
        let Net::Up(epoch) = self.far.net else { panic!("no connection") };
        self.settle();
        self.engine.handle_lost(epoch, cause, self.now);
        self.settle();
    }

    /// Rounds of a driver, until nothing is left to do without the world.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            let commands = std::mem::take(&mut self.commands);
            let facts = Facts { commands_waiting: !commands.is_empty(), requests_waiting: self.requests_waiting };
            self.engine.exchange(&mut self.outbox, facts, self.now);
            self.check();
            drop(self.engine.take_garbage());
            let mut moved = !commands.is_empty();
            for command in commands {
                command(&mut self.engine, self.now);
                self.look();
            }
            moved |= self.carry_out();
            if self.takes {
                moved |= self.take_now(usize::MAX) > 0;
                std::mem::swap(&mut self.far, &mut self.beside);
                moved |= self.take_now(usize::MAX) > 0;
                std::mem::swap(&mut self.far, &mut self.beside);
                moved |= self.carry_out();
            }
            if !moved && !self.engine.wants_exchange() {
                return;
            }
        }
        panic!("the engine never comes to rest");
    }

    fn look(&mut self) {
        let status = self.engine.status();
        if self.statuses.last() != Some(&status) {
            self.statuses.push(status);
        }
    }

    fn carry_out(&mut self) -> bool {
        self.look();
        let mut moved = false;
        while let Some(effect) = self.engine.poll_effect() {
            moved = true;
            // Said with every INFO; those who look for it look into `infos`.
            match &effect {
                Effect::Emit(ConnectionEvent::ServerInfo { .. }) => self.infos.push(describe(&effect)),
                effect => self.journal.push(describe(effect)),
            }
            match effect {
                Effect::Dial { epoch, addr, .. } => {
                    let free = if self.far.net == Net::None { &mut self.far } else { &mut self.beside };
                    assert_eq!(free.net, Net::None, "two connections at most");
                    free.net = Net::Dialing(epoch);
                    self.dials.push((self.now - self.start, addr.host().to_owned()));
                }
                Effect::DialNext { epoch, after, addr, .. } => {
                    let far = if self.far.net == Net::Up(after) { &mut self.far } else { &mut self.beside };
                    assert_eq!(far.net, Net::Up(after), "a link ends that is not there");
                    *far = Far { wire: far.wire, looked: far.looked, ..Far::new(Net::Dialing(epoch)) };
                    self.dials.push((self.now - self.start, addr.host().to_owned()));
                }
                Effect::StopDialing { epoch } => {
                    self.end_net(Net::Dialing(epoch));
                }
                Effect::Close { epoch, .. } => {
                    self.end_net(Net::Up(epoch));
                }
                Effect::Choose { ask, .. } => self.asked = Some(ask),
                Effect::Emit(event) => self.hear(&event),
                Effect::Complete { .. }
                | Effect::Upgrade { .. }
                | Effect::Authenticate { .. }
                | Effect::Draining { .. }
                | Effect::Ended { .. }
                | Effect::HandedOver { .. }
                | Effect::Dropped { .. }
                | Effect::Refusing { .. }
                | Effect::Refused { .. }
                | Effect::Confirmed { .. }
                | Effect::Closed { .. } => {}
            }
        }
        moved
    }

    /// A link ends. If it is the present one, the other takes its place.
    fn end_net(&mut self, net: Net) {
        if self.far.net == net {
            self.far = Far { wire: self.far.wire, looked: self.far.looked, ..Far::new(Net::None) };
            if self.beside.net != Net::None {
                std::mem::swap(&mut self.far, &mut self.beside);
            }
        } else {
            assert_eq!(self.beside.net, net, "a link ends that is not there");
            self.beside = Far::new(Net::None);
        }
    }
}
