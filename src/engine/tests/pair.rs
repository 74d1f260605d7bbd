//! An engine and a scripted peer: dialogues on the [`Harness`], and what a test sees of them.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::journal::describe;
pub(super) use crate::engine::harness::{Harness as Pair, Net};
use crate::engine::{Cause, Choice, Config, ConnectionEvent, Effect, Frame, OutboxRules, Refusal};
use crate::protocol::ServerAddr;

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

pub(super) fn addrs(names: &[&str]) -> Vec<ServerAddr> {
    names.iter().map(|name| addr(name)).collect()
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

/// Effects on their way into the journal.
fn is_info(effect: &Effect<u64>) -> bool {
    matches!(effect, Effect::Emit(ConnectionEvent::ServerInfo { .. }))
}

impl Pair {
    /// With these servers, before anything has happened.
    pub(super) fn with(config: Config, servers: &[&str]) -> Pair {
        Pair::new(config, addrs(servers), 7, Instant::now())
    }

    pub(super) fn seeded(config: Config, servers: &[&str], cap: usize, seed: u64) -> Pair {
        let outbox = OutboxRules { cap, ..config.outbox };
        Pair::new(Config { outbox, ..config }, addrs(servers), seed, Instant::now())
    }

    /// The defaults, and one server.
    pub(super) fn plain() -> Pair {
        Pair::with(config(), &["a"])
    }

    /// The first dial is in progress.
    pub(super) fn dialling(config: Config, servers: &[&str]) -> Pair {
        let mut pair = Pair::with(config, servers);
        pair.connect();
        pair
    }

    /// Connected to the first server.
    pub(super) fn connected(config: Config, servers: &[&str]) -> Pair {
        let mut pair = Pair::dialling(config, servers);
        pair.accept();
        pair
    }

    /// Connected to `a`, and nothing of it left in the journal.
    pub(super) fn ready() -> Pair {
        Pair::ruled(OutboxRules::default())
    }

    /// The same by other rules for the outbox than the defaults.
    pub(super) fn ruled(rules: OutboxRules) -> Pair {
        let mut pair = Pair::connected(Config { outbox: rules, ..config() }, &["a"]);
        pair.forget();
        pair
    }

    // C: the client.

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

    /// C: publish, and wait until the server has it.
    pub(super) fn publish_confirmed(&mut self, subject: &str, payload: &str) -> u64 {
        let sequence = self.admit(subject, payload.as_bytes()).unwrap();
        self.outbox.want_pong(sequence);
        self.settle();
        sequence
    }

    /// C: the callbacks answer the last question.
    pub(super) fn choose(&mut self, server: Option<&str>, delay: Option<Duration>) {
        let ask = self.engine.history.last_ask;
        self.engine.handle_choice(ask, Choice { server: server.map(addr), delay }, self.now);
        self.settle();
    }

    /// The dial has to wait for its turn.
    pub(super) fn dial_waits(&mut self) {
        self.engine.handle_dial_waits(self.dialing());
    }

    /// It has its turn.
    pub(super) fn dial_begins(&mut self) {
        self.engine.handle_dial_begins(self.dialing(), self.now);
    }

    // S: the server.

    /// What is done in `f` happens on the link that is prepared for a move.
    pub(super) fn aside<R>(&mut self, f: impl FnOnce(&mut Pair) -> R) -> R {
        self.settle();
        self.aim = 1;
        let result = f(self);
        self.aim = 0;
        result
    }

    /// The link that is prepared.
    pub(super) fn second_net(&self) -> Net {
        self.links.get(1).map_or(Net::None, |link| link.net)
    }

    /// S: accepts and greets.
    pub(super) fn greet(&mut self) {
        self.dialed(0);
        self.serve(INFO);
    }

    /// S: is back when it is dialled after a loss.
    pub(super) fn reconnect(&mut self) {
        self.advance(ms(250));
        self.accept();
    }

    /// S: accepts, greets and answers the handshake.
    pub(super) fn accept(&mut self) {
        self.accept_with(INFO);
    }

    pub(super) fn accept_with(&mut self, info: &[u8]) {
        self.dialed(0);
        self.serve(info);
        self.take_all();
        self.serve(PONG);
    }

    /// The transports take all that there is.
    pub(super) fn take_all(&mut self) {
        let takes = std::mem::replace(&mut self.takes, true);
        self.settle();
        self.takes = takes;
    }

    // What is seen.

    /// Everything that the engine has said since the last look, in order, but for the INFOs.
    pub(super) fn journal(&mut self) -> Vec<String> {
        self.settle();
        std::mem::take(&mut self.effects).iter().filter(|effect| !is_info(effect)).map(describe).collect()
    }

    /// The journal is exactly this.
    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.journal(), expected);
    }

    /// The journal begins an entry with this, somewhere.
    #[track_caller]
    pub(super) fn expect_among(&mut self, expected: &str) {
        let journal = self.journal();
        assert!(journal.iter().any(|entry| entry.starts_with(expected)), "no {expected:?} in {journal:#?}");
    }

    /// Every INFO that was reported.
    pub(super) fn infos(&self) -> Vec<String> {
        let said = |event: &ConnectionEvent| match event {
            ConnectionEvent::ServerInfo { server, info } => Some(format!("ServerInfo {server}: {}", info.server_id)),
            _ => None,
        };
        self.events.iter().filter_map(said).collect()
    }

    /// How long each failed attempt says that its server waits.
    pub(super) fn retries(&self) -> Vec<Duration> {
        let said = |event: &ConnectionEvent| match event {
            ConnectionEvent::AttemptFailed { retry_in, .. } => Some(*retry_in),
            _ => None,
        };
        self.events.iter().filter_map(said).collect()
    }

    pub(super) fn forget(&mut self) {
        self.settle();
        self.effects.clear();
        self.written();
    }

    /// What the present connection's server got since the last look, line ends shown as blanks.
    pub(super) fn written(&mut self) -> String {
        self.settle();
        let wire = self.wire();
        let Some(wire) = self.wires.get_mut(wire) else { return String::new() };
        let from = std::mem::replace(&mut wire.looked, wire.bytes.len());
        String::from_utf8_lossy(&wire.bytes[from..]).replace("\r\n", " ").trim_end().to_owned()
    }

    /// C: exactly this; `…` stands for anything.
    #[track_caller]
    pub(super) fn expect_written(&mut self, pattern: &str) {
        let written = self.written();
        let mut rest = written.as_str();
        let mut parts = pattern.split('…').map(str::trim).peekable();
        let first = parts.next().unwrap_or_default();
        let mut fits = rest.starts_with(first);
        rest = rest.get(first.len()..).unwrap_or_default();
        while let (true, Some(part)) = (fits, parts.next()) {
            let at = if parts.peek().is_none() {
                rest.ends_with(part).then(|| rest.len() - part.len())
            } else {
                rest.find(part)
            };
            fits = at.is_some();
            rest = at.and_then(|at| rest.get(at + part.len()..)).unwrap_or_default();
        }
        assert!(fits && rest.is_empty(), "written: {written:?}, expected: {pattern:?}");
    }

    pub(super) fn in_doubt(&self) -> u64 {
        self.engine.ledger(self.outbox.accepted()).in_doubt
    }

    /// How long since the beginning.
    pub(super) fn at(&self) -> Duration {
        self.now - self.start
    }

    /// Messages that came for `sid`.
    pub(super) fn delivered_to(&self, sid: u64) -> usize {
        self.delivered.iter().filter(|other| **other == sid).count()
    }
}
