//! A random walk over the whole engine: any stimulus, any command, any timing; the invariants hold after each step.
//!
//! The server is honest: it answers each PING when the walk lets it, so what it has received is known. The seed of a
//! failing run is in the message; `WALK_SEED` runs one alone, `WALK_SEEDS` more of them.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::pair::{INFO, Net, Pair, config, eof, ms, reset};
use crate::engine::{Config, Status};

const LAME: &[u8] = b"INFO {\"connect_urls\":[\"b:4222\",\"c:4222\"],\"headers\":true,\"ldm\":true}\r\n";
use crate::protocol::{ClientOp, Decoded, Decoder, Limits};

const SEEDS: u64 = 300;
const STEPS: usize = 180;
const SERVERS: [&str; 3] = ["a", "b", "c"];

/// What the server at the other end of one connection knows.
#[derive(Default)]
struct Server {
    read: usize,
    /// Messages received when each unanswered PING came.
    pings: VecDeque<u64>,
    received: u64,
    /// Messages that a sent PONG covers.
    confirmed: u64,
    /// Messages sent since its SUB, and its limit.
    subs: BTreeMap<u64, (u64, Option<u64>)>,
}

struct Walk {
    rng: SmallRng,
    pair: Pair,
    /// What each server that ever was knows, by connection.
    servers: BTreeMap<usize, Server>,
    /// On which connection each message was received wholly.
    seen: BTreeMap<String, usize>,
    order: u64,
    confirmed: u64,
    published: u64,
    sids: u64,
    /// Flushes that wait, with the number of messages admitted before.
    flushes: BTreeMap<u64, u64>,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut rng = SmallRng::seed_from_u64(seed);
        let config = Config {
            max_reconnects: rng.random_bool(0.3).then_some(6),
            retry_on_initial_connect: rng.random_bool(0.5),
            reconnect: rng.random_bool(0.95),
            ping_interval: (!rng.random_bool(0.2)).then(|| ms(400)),
            write_timeout: ms(1500),
            prepare_moves: rng.random_bool(0.6),
            ..config()
        };
        let cap = if rng.random_bool(0.3) { 300 } else { 100_000 };
        let servers = rng.random_range(1..=SERVERS.len());
        Walk {
            pair: Pair::seeded(config, &SERVERS[..servers], cap, seed),
            rng,
            servers: BTreeMap::new(),
            seen: BTreeMap::new(),
            order: 0,
            confirmed: 0,
            published: 0,
            sids: 0,
            flushes: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        self.pair.takes = self.rng.random_bool(0.5);
        match self.rng.random_range(0..100) {
            0..20 => self.publish(),
            20..40 => self.world(),
            40..45 => {
                if self.pair.enter_aside() {
                    self.world();
                    self.pair.leave_aside();
                }
            }
            45..60 => {
                let n = self.rng.random_range(0..60);
                self.pair.take(n);
            }
            60..75 => {
                let most = [5, 60, 700][self.rng.random_range(0..3)];
                let by = self.rng.random_range(0..most);
                self.pair.advance(ms(by));
            }
            _ => self.command(),
        }
        self.pair.settle();
        self.read_wires();
        self.check();
    }

    fn publish(&mut self) {
        for _ in 0..self.rng.random_range(1..4) {
            let size = if self.rng.random_bool(0.05) { 33_000 } else { self.rng.random_range(0..30) };
            let subject = format!("m.{}", self.published + 1);
            if self.pair.admit(&subject, &vec![b'.'; size]).is_ok() {
                self.published += 1;
            }
        }
        if self.rng.random_bool(0.2) {
            let victim = self.rng.random_range(0..=self.published);
            self.pair.outbox.cancel(victim, &mut Vec::new());
        }
    }

    /// The network and the server.
    fn world(&mut self) {
        match self.pair.net() {
            Net::None => {}
            Net::Dialing(_) if self.rng.random_bool(0.4) => self.pair.refuse(),
            Net::Dialing(_) => {
                let greeted = self.rng.random_bool(0.9);
                self.dialed(if greeted { INFO } else { b"" });
            }
            Net::Up(_) => match self.rng.random_range(0..20) {
                0..10 => self.answer(),
                10 => self.pair.serve(b"PING\r\n"),
                11..15 => {
                    let sid = self.rng.random_range(0..=self.sids);
                    let server = self.server();
                    // It counts from the SUB on, and forgets the subscription at its limit.
                    if let Some((sent, max)) = server.subs.get_mut(&sid) {
                        *sent += 1;
                        if *max == Some(*sent) {
                            server.subs.remove(&sid);
                        }
                        self.pair.serve(format!("MSG s {sid} 1\r\nm\r\n").as_bytes());
                    }
                }
                15 => self.pair.serve(b"INFO {\"connect_urls\":[\"b:4222\",\"d:4222\"],\"headers\":true}\r\n"),
                16 => self.pair.serve(b"-ERR 'Stale Connection'\r\n"),
                17 if self.rng.random_bool(0.5) => self.pair.serve(LAME),
                17 => self.pair.break_writing(),
                _ => {
                    let cause = if self.rng.random_bool(0.5) { eof() } else { reset() };
                    self.pair.lose(cause);
                }
            },
        }
    }

    /// The server of the link that is looked at.
    fn server(&mut self) -> &mut Server {
        self.servers.entry(self.pair.wire_number()).or_default()
    }

    fn dialed(&mut self, greeting: &[u8]) {
        self.pair.dialed();
        self.pair.serve(greeting);
    }

    fn answer(&mut self) {
        self.pair.settle();
        self.read_wires();
        for _ in 0..self.rng.random_range(1..4) {
            let server = self.server();
            let Some(covered) = server.pings.pop_front() else { return };
            let more = covered - std::mem::replace(&mut server.confirmed, covered);
            self.confirmed += more;
            let wire = self.pair.wire_number();
            self.pair.serve(b"PONG\r\n");
            if self.pair.wire_number() != wire {
                // The PONG was the last that was awaited from it.
                return;
            }
        }
    }

    fn command(&mut self) {
        let sid = self.rng.random_range(0..=self.sids + 1);
        match self.rng.random_range(0..200) {
            0..50 => self.pair.connect(),
            50..80 => {
                self.sids += 1;
                let queue = self.rng.random_bool(0.5).then_some("q");
                self.pair.queue_subscribe("s", queue, self.sids);
                self.pair.settle();
            }
            80..100 => self.pair.unsubscribe(sid),
            100..120 => {
                let max = self.rng.random_range(0..6);
                self.pair.unsubscribe_after(sid, max);
            }
            120..130 => self.pair.drain_subscription(sid),
            130..170 => {
                let seen = self.pair.in_doubt();
                let token = self.pair.flush(seen);
                self.flushes.insert(token, self.published);
            }
            170..180 => self.pair.force_reconnect(),
            180..184 => self.pair.set_pool(&SERVERS[..self.rng.random_range(1..=3)]),
            184..194 => self.pair.finished(sid),
            194..196 => self.pair.drain(ms(3000)),
            196 => self.pair.close(),
            _ => self.pair.settle(),
        }
    }

    /// What the servers got: whole frames, each once, in order.
    fn read_wires(&mut self) {
        let first = self.pair.wire.len().saturating_sub(3);
        for connection in first..self.pair.wire.len() {
            self.read_wire(connection);
        }
    }

    fn read_wire(&mut self, connection: usize) {
        let limits = Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX };
        let (wire, mut decoder) = (&self.pair.wire[connection], Decoder::new(limits));
        let server = self.servers.entry(connection).or_default();
        loop {
            match decoder.decode_client(&wire[server.read..]) {
                Ok(Decoded::Op { op, len }) => {
                    server.read += len;
                    match op {
                        ClientOp::Ping => server.pings.push_back(server.received),
                        ClientOp::Pub(message) => {
                            let subject = String::from_utf8_lossy(message.subject).into_owned();
                            let number: u64 = subject[2..].parse().unwrap();
                            assert!(number > self.order, "{subject} overtook {}", self.order);
                            self.order = number;
                            assert_eq!(self.seen.insert(subject, connection), None, "on two connections");
                            server.received += 1;
                        }
                        // Said once more behind a raised limit: ignored where the sid is known.
                        ClientOp::Sub { sid, .. } => match server.subs.get(&sid) {
                            Some((_, limit)) => assert!(limit.is_some(), "told twice, and it has no limit"),
                            None => drop(server.subs.insert(sid, (0, None))),
                        },
                        ClientOp::Unsub { sid, max: None } => drop(server.subs.remove(&sid)),
                        ClientOp::Unsub { sid, max: Some(max) } => {
                            if server.subs.get(&sid).is_some_and(|(sent, _)| *sent >= max) {
                                server.subs.remove(&sid);
                            } else if let Some((_, limit)) = server.subs.get_mut(&sid) {
                                *limit = Some(max);
                            }
                        }
                        ClientOp::Connect(_) | ClientOp::Pong => {}
                    }
                }
                Ok(Decoded::NeedMore(_)) => return,
                Err(error) => panic!("the client wrote nonsense: {error}"),
            }
        }
    }

    fn check(&mut self) {
        let (engine, outbox) = (&self.pair.engine, &self.pair.outbox);
        let ledger = engine.ledger(outbox.accepted());
        assert!(ledger.balances(), "{ledger:?}");
        assert_eq!(ledger.confirmed, self.confirmed, "confirmed is what a PONG covered");
        assert!(ledger.in_doubt + ledger.unconfirmed + ledger.confirmed <= self.seen.len() as u64);
        for entry in self.pair.journal() {
            let mut words = entry.split(' ');
            if let (Some("flush"), Some(token), Some(outcome)) = (words.next(), words.next(), words.next()) {
                let admitted = self.flushes.remove(&token.parse().unwrap()).expect("a flush is answered once");
                if outcome == "ok" {
                    // Nothing that was admitted before it waits or is unconfirmed.
                    assert_eq!(self.flushed_through(admitted), 0, "flush Ok, and messages before it are not confirmed");
                }
            }
        }
    }

    /// How many of the first `admitted` messages the present server has and has not confirmed.
    fn flushed_through(&self, admitted: u64) -> usize {
        let connection = self.pair.wire_number();
        let mut here: Vec<u64> = self
            .seen
            .iter()
            .filter(|(_, at)| **at == connection)
            .map(|(subject, _)| subject[2..].parse().unwrap())
            .collect();
        here.sort_unstable();
        let confirmed = self.servers.get(&connection).map_or(0, |server| server.confirmed);
        here.iter().skip(usize::try_from(confirmed).unwrap()).filter(|number| **number <= admitted).count()
    }

    /// No more faults: a client that is not closed and has not given up is connected soon (I7), and ends in order.
    fn calm(&mut self) {
        for _ in 0..900 {
            self.pair.takes = true;
            self.serve_well();
            if self.pair.enter_aside() {
                self.serve_well();
                self.pair.leave_aside();
            }
            self.pair.advance(ms(10));
            self.read_wires();
            self.check();
        }
        let status = self.pair.engine.status();
        assert!(matches!(status, Status::Connected | Status::Disconnected | Status::Closed), "{status}");
        assert!(self.flushes.is_empty(), "flushes that nobody answered: {:?}", self.flushes);
        if status == Status::Connected {
            let ledger = self.pair.engine.ledger(self.pair.outbox.accepted());
            assert_eq!((ledger.waiting, self.pair.outbox.pending()), (0, 0), "{ledger:?}");
            let known: Vec<u64> = self.server().subs.keys().copied().collect();
            assert_eq!(self.pair.engine.subscriptions.sids(), known, "every subscription is live, and no other");
        }
        self.pair.close();
        self.answer();
        self.pair.advance(ms(1000));
        assert_eq!(self.pair.engine.status(), Status::Closed);
    }
}

impl Walk {
    fn serve_well(&mut self) {
        match self.pair.net() {
            Net::Dialing(_) => self.dialed(INFO),
            Net::Up(_) => self.answer(),
            Net::None => {}
        }
    }
}

#[test]
fn the_invariants_hold_on_every_walk() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (one, seeds) = (number("WALK_SEED"), number("WALK_SEEDS").unwrap_or(SEEDS));
    for seed in one.map_or(0..seeds, |seed| seed..seed + 1) {
        let walk = std::panic::catch_unwind(|| {
            let mut walk = Walk::new(seed);
            for _ in 0..STEPS {
                walk.step();
            }
            walk.calm();
        });
        assert!(walk.is_ok(), "the walk of seed {seed} failed: WALK_SEED={seed} repeats it");
    }
}
