//! The world of one seed: the client, the servers, the connections between them, and a clock that only moves when
//! nobody acts.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use nats_lifeline::engine::{Engine, Outbox};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::books::{Books, Fate};
use crate::conn::Conn;
use crate::driver::{Command, Driver};
use crate::plan::{Plan, ms};
use crate::script::{Script, say};
use crate::server::Node;
use crate::tally::Tally;
use crate::users::Stream;
use crate::waiting::Waiting;

pub(crate) struct World {
    pub(crate) rng: SmallRng,
    pub(crate) plan: Plan,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) driver: Driver,
    pub(crate) nodes: Vec<Node>,
    pub(crate) conns: Vec<Conn>,
    /// Those of them at which something can still happen.
    pub(crate) active: Vec<usize>,
    pub(crate) gossip: Vec<String>,
    /// When which server says something of no consequence.
    pub(crate) chatter: Vec<(Instant, usize)>,
    /// Publishers who wait for room, first come, first served.
    pub(crate) waiting: VecDeque<Waiting>,
    /// When a connection that was cut ends although its byte was not reached.
    pub(crate) cuts: Vec<(Instant, usize, crate::conn::End)>,
    pub(crate) streams: Vec<Stream>,
    /// Consumers that will have read a draining subscription to its end.
    pub(crate) finishing: Vec<(Instant, u64)>,
    /// Messages of others.
    pub(crate) foreign: u64,
    /// For these something came that nobody wanted.
    pub(crate) unwanted: Vec<u64>,
    pub(crate) tokens: u64,
    /// No subscription is made any more.
    pub(crate) barred: bool,
    /// Some server has refused a subscription.
    pub(crate) denied: bool,
    /// What the connection settled in this round left in doubt.
    pub(crate) settled_now: Option<u64>,
    /// When the machine woke up last, and how long it had slept.
    pub(crate) woke: Option<(Instant, Duration)>,
    /// Whether users act and faults come.
    pub(crate) meddling: bool,
    pub(crate) books: Books,
    pub(crate) tally: Tally,
    pub(crate) script: Script,
    pub(crate) scratch: Vec<u8>,
}

impl World {
    pub(crate) fn new(seed: u64, script: Script) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let plan = Plan::draw(&mut rng);
        let start = Instant::now();
        let nodes: Vec<Node> = (0..plan.nodes).map(Node::new).collect();
        let servers = nodes[..plan.named].iter().map(|node| node.name.parse().unwrap()).collect();
        let engine = Engine::new(plan.config.clone(), servers, seed);
        let driver = Driver::new(engine, Outbox::new(plan.outbox.clone()));
        World {
            rng,
            plan,
            start,
            now: start,
            driver,
            nodes,
            conns: Vec::new(),
            active: Vec::new(),
            gossip: Vec::new(),
            chatter: Vec::new(),
            waiting: VecDeque::new(),
            cuts: Vec::new(),
            streams: Vec::new(),
            finishing: Vec::new(),
            foreign: 0,
            unwanted: Vec::new(),
            tokens: 0,
            barred: false,
            denied: false,
            settled_now: None,
            woke: None,
            meddling: false,
            books: Books::default(),
            tally: Tally::default(),
            script,
            scratch: Vec::new(),
        }
    }

    /// The whole run.
    pub(crate) fn run(mut self) -> Tally {
        say!(self, "the plan: {:?}, cap {}", self.plan.config, self.plan.outbox.cap);
        if self.rng.random_bool(0.9) {
            self.command(Command::Connect);
        }
        for _ in 0..self.plan.parts {
            self.meddling = true;
            for _ in 0..self.plan.steps {
                self.step();
            }
            self.calm();
        }
        self.end();
        let ledger = self.driver.engine.ledger(self.driver.outbox.accepted());
        self.tally.seeds = 1;
        self.tally.virtual_time = self.now - self.start;
        self.tally.accepted = ledger.accepted;
        self.tally.in_doubt = ledger.in_doubt;
        self.tally.lost = ledger.lost.total();
        self.tally.processed = self.books.processed;
        self.tally.flushed = self.books.flushed;
        self.tally.assured = self.books.assured;
        self.tally.poison = self.books.poison;
        self.tally.refused = self.books.refused;
        self.tally
    }

    /// A moment of a rough time: some act, some bytes move, the task may run, and time may pass.
    fn step(&mut self) {
        for _ in 0..self.rng.random_range(0..3) {
            self.user();
        }
        if self.rng.random_ratio(1, self.plan.faults) {
            self.fault();
        }
        self.recover();
        for at in self.active.clone() {
            if self.rng.random_bool(0.7) {
                let most = [3, 100, 100_000][self.rng.random_range(0..3)];
                self.serve(at, most);
            }
            self.carry(at);
        }
        self.due();
        for _ in 0..self.rng.random_range(0..6) {
            if self.is_woken() {
                self.round();
            }
        }
        self.check_quiet();
        self.pass();
        self.tidy();
    }

    /// What was sent arrives, up to any byte.
    fn carry(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        let limit = conn.out_limit();
        if conn.sending_stalls.is_some_and(|until| until > self.now) || conn.arrived >= limit {
            return;
        }
        conn.arrived = match self.rng.random_range(0..3) {
            0 => self.rng.random_range(conn.arrived..=limit),
            1 => (conn.arrived + self.rng.random_range(0..8)).min(limit),
            _ => limit,
        };
    }

    /// Servers come back, in their own time.
    fn recover(&mut self) {
        for node in 0..self.nodes.len() {
            let node = &mut self.nodes[node];
            if !node.up && self.rng.random_ratio(1, 12) {
                node.up = true;
            }
            if node.dark && self.rng.random_ratio(1, 12) {
                node.dark = false;
            }
            if !node.accepts_us && self.rng.random_ratio(1, 20) {
                node.accepts_us = true;
            }
            if node.lame && self.rng.random_ratio(1, 20) {
                let node = self.nodes.iter().position(|node| node.lame).unwrap();
                self.nodes[node].lame = false;
                self.down(node);
            }
        }
    }

    /// What was to happen by now.
    pub(crate) fn due(&mut self) {
        let now = self.now;
        let conns = &mut self.conns;
        self.chatter.retain(|(at, conn)| {
            let due = *at <= now;
            if due && conns[*conn].sending_stalls.is_none_or(|until| until <= now) {
                conns[*conn].say(b"+OK\r\n");
            }
            !due
        });
        self.admit_waiting();
        let mut finished = Vec::new();
        self.finishing.retain(|(at, sid)| {
            let due = *at <= now;
            if due {
                finished.push(*sid);
            }
            !due
        });
        for sid in finished {
            self.command(Command::Finished { sid });
        }
        let conns = &mut self.conns;
        self.cuts.retain(|(at, conn, end)| {
            let due = *at <= now;
            if due {
                let conn = &mut conns[*conn];
                let (arrives, read) = (conn.output.bytes.len(), conn.read);
                conn.end_in(read);
                conn.close(*end, arrives);
            }
            !due
        });
    }

    fn pass(&mut self) {
        let by = match self.rng.random_range(0..10) {
            0..5 => return,
            5..8 => ms(self.rng.random_range(0..5)),
            8 => ms(self.rng.random_range(0..60)),
            _ => match self.driver.engine.poll_timeout() {
                Some(next) => next.saturating_duration_since(self.now) + ms(self.rng.random_range(0..2)),
                None => ms(self.rng.random_range(0..1000)),
            },
        };
        self.now += by;
    }

    pub(crate) fn tidy(&mut self) {
        let conns = &self.conns;
        self.active.retain(|at| !conns[*at].is_over());
    }

    // What the checks are made of.

    /// The transport of connection `at` took `bytes`.
    pub(crate) fn take(&mut self, at: usize, bytes: &[u8]) {
        let found = self.conns[at].take(bytes);
        say!(self, "connection {at} takes {} bytes: {:?}", bytes.len(), String::from_utf8_lossy(bytes));
        let limited = std::mem::replace(&mut self.conns[at].wire.now_limited, false);
        let beside = self.driver.conn().is_some_and(|present| present != at);
        assert!(
            !(limited && beside),
            "D15: a limit is counted by one server, and connection {at} is not the present one"
        );
        for sid in std::mem::take(&mut self.conns[at].wire.just_subscribed) {
            let drained = self.stream(sid).drained_at.is_some_and(|first| first <= at);
            assert!(!drained, "connection {at} gets a SUB for {sid}, which was draining before it was made");
        }
        for sid in std::mem::take(&mut self.conns[at].wire.doubled) {
            let raised = self.conns[at].raised.entry(sid).or_default();
            *raised =
                raised.checked_sub(1).unwrap_or_else(|| panic!("sid {sid} was subscribed twice on connection {at}"));
        }
        if !found.is_empty() && !self.conns[at].carried {
            self.conns[at].carried = true;
            let missing = self.unannounced(at);
            assert!(missing.is_empty(), "messages went before SUB of {missing:?} on connection {at}");
        }
        for message in &found {
            let again = self.books.taken(message);
            self.tally.resent += u64::from(again);
        }
    }

    /// Subscriptions that were in the table when connection `at` was made and of which its wire does not tell.
    pub(crate) fn unannounced(&self, at: usize) -> Vec<u64> {
        let table = &self.driver.engine.subscriptions;
        let conn = &self.conns[at];
        let told = |sid: &u64| conn.wire.ever_subscribed.contains(sid) || table.get(*sid).is_none();
        let draining = |sid: &u64| self.barred || self.streams[usize::try_from(*sid - 1).unwrap()].draining;
        let known = conn.at_handshake.as_deref().unwrap_or_default();
        known.iter().filter(|sid| !told(sid) && !draining(sid)).copied().collect()
    }

    /// The client reads a PONG on connection `at`.
    pub(crate) fn pong(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        let Some(covers) = conn.wire.pings.get(conn.pongs).copied() else { return };
        conn.pongs += 1;
        let from = std::mem::replace(&mut conn.confirmed, covers);
        let refused: HashSet<u64> = conn.refused[conn.settled_refused..].iter().copied().collect();
        conn.settled_refused = conn.heard;
        let conn = &self.conns[at];
        let covered = &conn.wire.messages[from..covers];
        let (lost, confirmed): (Vec<u64>, Vec<u64>) = covered.iter().partition(|number| refused.contains(number));
        self.books.confirm(&confirmed);
        self.books.refuse(&lost);
    }

    /// Messages came for `sid` on connection `at`: exactly those that its server sent, in their order.
    pub(crate) fn arrive(&mut self, at: usize, sid: u64, numbers: &[u64]) {
        let conn = &mut self.conns[at];
        let came = conn.came.entry(sid).or_default();
        let sent = conn.sent.get(&sid).map_or(&[][..], Vec::as_slice);
        let part = sent.get(*came..*came + numbers.len());
        assert_eq!(part, Some(numbers), "I2: what came for {sid} on connection {at}");
        *came += numbers.len();
    }

    /// The connection of `epoch`, which may be gone.
    pub(crate) fn conn_of(&self, epoch: u64) -> Option<usize> {
        self.conns.iter().rposition(|conn| conn.epoch == epoch)
    }

    /// The exchange has settled a connection that was lost before. At least once what no PONG covers is to go again; and the
    /// first of what goes again is under suspicion.
    pub(crate) fn requeue(&mut self) {
        let Some(conn) = self.driver.last.map(|at| &mut self.conns[at]) else { return };
        if !self.driver.is_lost || std::mem::replace(&mut conn.accused, true) {
            return;
        }
        let cut = conn.wire.is_in_message();
        if self.plan.resends() && !std::mem::replace(&mut conn.settled, true) {
            let again = &conn.wire.messages[conn.confirmed..];
            self.books.requeue(again);
            // What its server has refused, and all else with that subject that it had been given, is not sent again.
            let subject = conn.unsettled().first().map(|number| self.books.record(*number).subject);
            let (refused, again): (Vec<u64>, Vec<u64>) =
                again.iter().partition(|number| Some(self.books.record(**number).subject) == subject);
            self.books.refuse(&refused);
            if let Some(first) = again.first() {
                return self.books.died_of(*first);
            }
        }
        if let Some(first) = self.books.first_waiting().filter(|_| cut) {
            self.books.died_of(first);
        }
    }

    /// The engine has settled a lost connection.
    pub(crate) fn settle(&mut self, after: u64, through: u64, in_doubt: u64) {
        let conn = self.driver.last.map(|at| &mut self.conns[at]);
        match conn {
            Some(conn) if !conn.settled => {
                conn.settled = true;
                let refused = conn.unsettled().to_vec();
                let unconfirmed = conn.wire.messages[conn.confirmed..].iter().copied();
                let doubtful: Vec<u64> = unconfirmed.filter(|number| !refused.contains(number)).collect();
                assert_eq!(in_doubt, doubtful.len() as u64, "I4: in doubt, said and seen");
                let named = |number: &u64| (after + 1..=through).contains(number);
                assert!(doubtful.iter().all(named), "I4: {doubtful:?} in doubt, said after {after} through {through}");
                let confirmed = conn.confirmed.checked_sub(1).map(|last| conn.wire.messages[last]);
                assert!(
                    confirmed.is_none_or(|last| last <= after),
                    "{confirmed:?} is confirmed, and said after {after}"
                );
                self.books.doubt(&doubtful);
                self.books.refuse(&refused);
            }
            // What was to be sent again is given up.
            _ if self.plan.resends() => {
                assert!(in_doubt == 0 || in_doubt == self.books.doubted_now, "I4: {in_doubt} in doubt after all");
            }
            _ => assert_eq!(in_doubt, 0, "a connection was settled twice"),
        }
        self.books.publishers_in_doubt(through);
        self.settled_now = Some(in_doubt);
        for (record, number) in self.books.records.iter().zip(1..) {
            let waits = record.fate == Fate::Waiting;
            assert!(!(waits && number <= through), "message {number} waits, and was handed over up to {through}");
            let given_up = self.books.doubted_now > 0 && record.fate == Fate::InDoubt;
            let gone = matches!(record.fate, Fate::InDoubt | Fate::Confirmed | Fate::Taken) && !given_up;
            assert!(!(gone && number > through), "message {number} is gone, and was handed over up to {through}");
        }
    }
}
