//! An engine, its outbox and a scripted peer, driven in the order that the doc of `Engine` prescribes.

mod clock;
mod commands;
mod invariants;
mod net;
mod seen;

use std::time::{Duration, Instant};

use super::journal::describe;
use crate::engine::{Cause, Config, ConnectionEvent, Effect, Engine, ExchangeInput, Outbox, OutboxRules, Status};
use crate::protocol::{Decoder, Limits, ServerAddr};

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
        Pair::over(Config { outbox: OutboxRules { cap, ..config.outbox }, ..config }, servers, seed)
    }

    /// Connected to `a` by other rules for the outbox than the defaults.
    pub(super) fn ruled(rules: OutboxRules) -> Pair {
        let config = Config { outbox: rules, ..config() };
        let mut pair = Pair::over(config, &["a"], 7);
        pair.connect();
        pair.accept();
        pair.forget();
        pair
    }

    fn over(config: Config, servers: &[&str], seed: u64) -> Pair {
        let start = Instant::now();
        let servers = servers.iter().map(|name| addr(name)).collect();
        Pair {
            outbox: Outbox::new(config.outbox.clone()),
            engine: Engine::new(config, servers, seed),
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

    /// Rounds of a driver, until nothing is left to do without the world.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            let commands = std::mem::take(&mut self.commands);
            let input =
                ExchangeInput { commands_waiting: !commands.is_empty(), requests_waiting: self.requests_waiting };
            self.engine.exchange(&mut self.outbox, input, self.now);
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
