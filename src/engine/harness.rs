//! A driver without I/O, for tests and fuzzing: an engine, its outbox and the far ends of its links, on a virtual clock.
//!
//! It runs the rounds that the doc of [`Engine`] prescribes, handles every deadline while time passes, and checks after each
//! exchange what must always hold. Effects and written bytes are kept for the test to look at.

#![allow(clippy::panic, reason = "a broken invariant ends the test")]

mod commands;
mod net;

use std::time::{Duration, Instant};

pub use self::net::{Link, Net, Wire};
use super::time::after;
use super::{Config, ConnectionEvent, Effect, Engine, ExchangeInput, Outbox, Status};
use crate::protocol::ServerAddr;

type Command = Box<dyn FnOnce(&mut Engine<u64>, Instant)>;

/// A driver that has not come to rest after this many rounds never does.
const ROUNDS: usize = 1000;

/// A deadline that was handled may come again at the same time this often.
const AGAIN: usize = 100;

/// An engine and everything around it.
pub struct Harness {
    /// The engine. The handle of a subscription is its sid.
    pub engine: Engine<u64>,
    /// Its outbox.
    pub outbox: Outbox,
    /// When it began.
    pub start: Instant,
    /// The time.
    pub now: Instant,
    /// Whether transports take everything immediately; otherwise only [`take`](Harness::take) does.
    pub takes: bool,
    /// Whether requests wait for replies.
    pub requests_waiting: bool,
    /// The present link, and the one that is prepared for a move.
    pub links: Vec<Link>,
    /// The index of the link that the network's methods are about.
    pub aim: usize,
    /// What each byte stream took, in the order in which the streams were made.
    pub wires: Vec<Wire>,
    /// The wire of the last link that ended.
    last_wire: usize,
    /// Every dial: the time since the start, and the host.
    pub dials: Vec<(Duration, String)>,
    /// The effects in order, until the test takes them.
    pub effects: Vec<Effect<u64>>,
    /// Every event.
    pub events: Vec<ConnectionEvent>,
    /// The sids of the messages that were delivered.
    pub delivered: Vec<u64>,
    /// Every status, without repetitions.
    pub statuses: Vec<Status>,
    commands: Vec<Command>,
    connected: bool,
    next_token: u64,
}

impl Harness {
    /// An engine that does nothing yet. `start` may be any time.
    pub fn new(config: Config, servers: Vec<ServerAddr>, seed: u64, start: Instant) -> Harness {
        Harness {
            outbox: Outbox::new(config.outbox.clone()),
            engine: Engine::new(config, servers, seed),
            start,
            now: start,
            takes: true,
            requests_waiting: false,
            links: Vec::new(),
            aim: 0,
            wires: Vec::new(),
            last_wire: 0,
            dials: Vec::new(),
            effects: Vec::new(),
            events: Vec::new(),
            delivered: Vec::new(),
            statuses: vec![Status::Disconnected],
            commands: Vec::new(),
            connected: false,
            next_token: 0,
        }
    }

    /// Rounds of a driver, until there is nothing left to do.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS {
            let commands = std::mem::take(&mut self.commands);
            let input =
                ExchangeInput { commands_waiting: !commands.is_empty(), requests_waiting: self.requests_waiting };
            self.engine.exchange(&mut self.outbox, input, self.now);
            self.carry_out();
            self.check();
            drop(self.engine.take_garbage());
            let mut moved = !commands.is_empty();
            for command in commands {
                command(&mut self.engine, self.now);
                self.note_status();
            }
            moved |= self.carry_out();
            if self.takes {
                moved |= self.take_everything();
                moved |= self.carry_out();
            }
            if !moved && !self.engine.wants_exchange() {
                return;
            }
        }
        panic!("the engine never comes to rest");
    }

    /// Time passes, and every deadline is handled when it comes.
    pub fn advance(&mut self, by: Duration) {
        let until = after(self.now, by);
        self.settle();
        let (mut at, mut again) = (self.now, 0);
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            again = if self.now == at { again + 1 } else { 0 };
            assert!(again < AGAIN, "a deadline that was handled comes again for ever");
            at = self.now;
            self.settle();
            self.engine.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// Time passes while the process is stopped: no deadline is handled.
    pub fn sleep(&mut self, by: Duration) {
        self.now = after(self.now, by);
    }

    /// What must hold after each exchange.
    fn check(&self) {
        let ledger = self.engine.ledger(self.outbox.accepted());
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!(ledger.waiting, self.engine.count_waiting(&self.outbox), "{ledger:?}");
        match self.engine.status() {
            Status::Connected => assert!(self.connected, "connected, and not reported: {:?}", self.events),
            Status::Draining => {}
            status => assert!(!self.connected, "{status}, and not reported: {:?}", self.events),
        }
    }

    fn note_status(&mut self) {
        let status = self.engine.status();
        if self.statuses.last() != Some(&status) {
            self.statuses.push(status);
        }
    }

    /// Carries out all effects. Returns whether there were any.
    fn carry_out(&mut self) -> bool {
        self.note_status();
        let mut moved = false;
        while let Some(effect) = self.engine.poll_effect() {
            moved = true;
            match &effect {
                Effect::Dial { epoch, addr } => {
                    assert!(self.links.len() < 2, "one link too many");
                    self.links.push(Link::new(*epoch));
                    self.note_dial(addr);
                }
                Effect::DialNext { epoch, after, addr, .. } => {
                    self.redial(*after, *epoch);
                    self.note_dial(addr);
                }
                Effect::StopDialing { epoch } => self.end_link(Net::Dialing(*epoch)),
                Effect::Close { epoch, .. } => self.end_link(Net::Up(*epoch)),
                Effect::Upgrade { epoch, .. } => {
                    assert!(self.links.iter().any(|link| link.net == Net::Up(*epoch)), "nothing to upgrade");
                    assert!(self.engine.flight_of(*epoch).is_none(), "plaintext is left to be written");
                }
                Effect::Emit(event) => self.note_event(event),
                _ => {}
            }
            self.effects.push(effect);
        }
        moved
    }

    fn note_dial(&mut self, addr: &ServerAddr) {
        self.dials.push((self.now.saturating_duration_since(self.start), addr.host().to_owned()));
    }

    /// I9: `Connected` and `Disconnected` alternate.
    fn note_event(&mut self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { .. } => {
                assert!(!std::mem::replace(&mut self.connected, true), "connected twice: {:?}", self.events);
            }
            ConnectionEvent::Disconnected { .. } => {
                assert!(std::mem::replace(&mut self.connected, false), "disconnected twice: {:?}", self.events);
            }
            _ => {}
        }
        self.events.push(event.clone());
    }
}
