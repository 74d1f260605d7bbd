//! Worlds of ordered consumers, pushed and pulled: a stream with limits, purges and deletions; cuts, elections, restarts, lost, doubled and
//! late deliveries; and a user who reads slowly. Each message comes once, in order, and each gap is exact (J3); consumers that
//! nobody reads are gone (J11).

mod books;
mod reader;
mod requests;
mod source;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use books::Books;
use nats_lifeline::jetstream::consumer::DeliverPolicy;
use nats_lifeline::jetstream::decide::settings::Settings as Pulls;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use reader::Reader;
use requests::Settings;
use serde_json::{Value, json};

use crate::line::Line;
use crate::script::Script;

/// Within this, without faults, everything is delivered: two heartbeats until a silence shows, the longest attempt, the longest
/// delay between attempts, and deliveries that are late.
const BOUND: Duration = Duration::from_secs(10 + 10 + 2 + 5);

/// Within this, without faults, consumers that nobody uses are deleted.
const TIDY: Duration = Duration::from_secs(45);

const NAMES: [&str; 6] =
    ["messages", "lost messages in gaps", "outages", "replaced streams", "creations", "retired consumers"];

#[test]
fn ordered_push() {
    crate::seeds::run("ordered_push", NAMES, |seed, shown| World::new(seed, Kind::Push, shown).run());
}

#[test]
fn ordered_pull() {
    crate::seeds::run("ordered_pull", NAMES, |seed, shown| World::new(seed, Kind::Pull, shown).run());
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Push,
    Pull,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pick<T: Clone>(rng: &mut SmallRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}

/// What is drawn for a whole world.
struct Plan {
    stream: Value,
    settings: Settings,
    /// Steps of a rough part.
    steps: usize,
    parts: usize,
    /// One step in this many has a fault.
    faults: u32,
    /// The stream may be deleted and created again.
    replaces: bool,
    payload: usize,
    /// The user reads at most this many items at a time.
    appetite: usize,
}

impl Plan {
    fn draw(rng: &mut SmallRng, seed: u64, kind: Kind) -> Plan {
        let mut stream = json!({ "name": "S", "subjects": ["s.*"], "storage": "memory" });
        match rng.random_range(0..5) {
            0 | 1 => stream["max_msgs"] = rng.random_range(2..40).into(),
            2 => stream["max_msgs_per_subject"] = rng.random_range(1..4).into(),
            3 => stream["max_age"] = 3_000_000_000_u64.into(),
            _ => {}
        }
        let start_sequence = rng.random_range(1..30);
        let policies = [
            DeliverPolicy::All,
            DeliverPolicy::All,
            DeliverPolicy::New,
            DeliverPolicy::Last,
            DeliverPolicy::LastPerSubject,
            DeliverPolicy::ByStartSequence { start_sequence },
        ];
        let policy = pick(rng, &policies);
        let filter = match policy {
            DeliverPolicy::LastPerSubject => pick(rng, &["s.*", "s.1"]),
            _ => pick(rng, &["", "", "", ">", "s.*", "s.1"]),
        };
        let pulls = (kind == Kind::Pull).then(|| Pulls { batch: pick(rng, &[1, 3, 10, 500]), ..Pulls::default() });
        Plan {
            stream,
            settings: Settings {
                policy,
                filter: filter.to_owned(),
                // Pulls have heartbeats of their own.
                heartbeat: if pulls.is_some() { Duration::ZERO } else { Duration::from_secs(5) },
                capacity: pick(rng, &[3, 10, 1000, 1000]),
                seed,
                pulls,
            },
            steps: rng.random_range(20..100),
            parts: rng.random_range(1..=3),
            faults: pick(rng, &[2, 4, 12]),
            replaces: rng.random_ratio(1, 6),
            payload: pick(rng, &[8, 100, 500]),
            appetite: pick(rng, &[1, 3, 100]),
        }
    }
}

struct World {
    rng: SmallRng,
    plan: Plan,
    now: Instant,
    line: Line,
    reader: Reader,
    books: Books,
    script: Script,
    published: u64,
    /// Consumers that had no leader for a time, so that nobody may have heard that they are to be deleted.
    elected: BTreeSet<String>,
}

impl World {
    fn new(seed: u64, kind: Kind, shown: bool) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let plan = Plan::draw(&mut rng, seed, kind);
        let now = Instant::now();
        let script = Script::new(now, shown);
        script.say(now, || format!("{} {:?}", plan.stream, plan.settings));
        let latency = if rng.random_ratio(1, 8) { ms(300) } else { ms(rng.random_range(0..20)) };
        let mut line = Line::new(seed, latency, now);
        // A server whose window is smaller than two messages can stall without a question.
        line.set_window(pick(&mut rng, &[2_000, 8_000, 2 << 20]));
        line.request_elsewhere("$JS.API.STREAM.CREATE.S", &plan.stream, now).unwrap();
        let mut books = Books::new(plan.settings.clone());
        let mut published = 0;
        for _ in 0..rng.random_range(0..40) {
            publish(&mut line, &mut books, &mut published, &plan, &mut rng, now);
        }
        books.begin(&line.server);
        let config = requests::config(&plan.settings, 0, plan.settings.policy);
        let filter = if plan.settings.filter.is_empty() { String::new() } else { format!(".{}", plan.settings.filter) };
        let request = json!({ "stream_name": "S", "config": config });
        let subject = format!("$JS.API.CONSUMER.CREATE.S.reader_0{filter}");
        let answer = line.request_elsewhere(&subject, &request, now).unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
        let info = line.request_elsewhere("$JS.API.STREAM.INFO.S", &json!({}), now).unwrap();
        let reader = Reader::new(plan.settings.clone(), &answer, info["created"].as_str().unwrap(), &mut line, now);
        World { rng, plan, now, line, reader, books, script, published, elected: BTreeSet::new() }
    }

    fn run(mut self) -> [u64; 6] {
        for _ in 0..self.plan.parts {
            for _ in 0..self.plan.steps {
                self.step();
            }
            self.calm();
        }
        let World { mut line, reader, books, now, .. } = self;
        let (creations, retired) = (reader.creations, reader.retired.len() as u64);
        reader.leave(&mut line, now);
        assert_eq!(line.subscriptions(), 0, "a subscription has outlived the reader");
        let mut now = now;
        let end = now + TIDY;
        while now < end {
            line.pass(now);
            now = line.next(now).unwrap_or(end).clamp(now + ms(1), end);
        }
        line.pass(now);
        assert_eq!(line.server.consumer_names("S").count(), 0, "consumers have outlived the reader");
        [books.messages, books.gaps, books.outages, books.resets, creations, retired]
    }

    fn step(&mut self) {
        match self.rng.random_range(0..self.plan.faults) {
            0 => self.fault(),
            _ => self.publish(),
        }
        if self.line.connected_since().is_none() && self.rng.random_ratio(1, 3) {
            self.connect();
        }
        let pause = pick(&mut self.rng, &[1, 20, 300, 4000]);
        let until = self.now + ms(self.rng.random_range(0..pause));
        let appetite = self.rng.random_range(0..=self.plan.appetite);
        self.advance(until, appetite);
    }

    fn publish(&mut self) {
        for _ in 0..self.rng.random_range(1..8) {
            publish(&mut self.line, &mut self.books, &mut self.published, &self.plan, &mut self.rng, self.now);
        }
        self.script.say(self.now, || format!("{} messages were published", self.published));
    }

    fn connect(&mut self) {
        self.script.say(self.now, || "connected".to_owned());
        self.line.connect(self.now);
        self.reader.connected(self.now);
    }

    fn cut(&mut self) {
        if self.line.connected_since().is_some() {
            self.script.say(self.now, || "cut".to_owned());
            self.line.cut(&mut self.rng, self.now);
            // What was read before comes first.
            self.arrive();
            self.reader.interrupted();
        }
    }

    fn arrive(&mut self) {
        for came in self.line.pass(self.now) {
            self.script.say(self.now, || format!("{came:?}"));
            let created = self.reader.created;
            self.reader.came(came, &mut self.line, self.now);
            if self.reader.created > created {
                self.books.begin_again(&self.line.server);
            }
        }
    }

    fn fault(&mut self) {
        let now = self.now;
        let times = self.rng.random_range(1..4);
        let lasts = ms(self.rng.random_range(1..3000));
        let consumer = requests::name(*self.reader.machine.on_server().end());
        let what = self.rng.random_range(0..if self.plan.settings.pulls.is_some() { 15 } else { 13 });
        self.script.say(now, || format!("fault {what}, {times} times, {lasts:?}"));
        match what {
            0..=2 => self.cut(),
            3 => self.line.server.lose_deliveries(times),
            4 => self.line.server.double_deliveries(times),
            5 => self.line.server.delay_deliveries(times, lasts),
            6 => {
                let found = |server: &mut nats_lifeline::testing::jetstream::JetStream, out: &mut Vec<_>| {
                    server.elect_somehow("S", &consumer, lasts, now, out)
                };
                self.line.ask_server(now, |server, _, out| found(server, out));
                self.elected.insert(consumer);
            }
            7 => _ = self.line.server.lose_consumer("S", &consumer),
            8 => _ = self.line.server.take_offline("S", lasts, now),
            9 => {
                let last = self.line.server.messages("S").next_back().map_or(1, |(sequence, ..)| sequence);
                let request = json!({ "seq": last.saturating_sub(times) + 1 });
                self.line.request_elsewhere("$JS.API.STREAM.PURGE.S", &request, now);
            }
            10 => {
                self.line.server.restart(now);
                self.cut();
            }
            11 => {
                let sequences: Vec<_> = self.line.server.messages("S").map(|(sequence, ..)| sequence).collect();
                if !sequences.is_empty() {
                    let request = json!({ "seq": pick(&mut self.rng, &sequences) });
                    self.line.request_elsewhere("$JS.API.STREAM.MSG.DELETE.S", &request, now);
                }
            }
            13 | 14 => self.line.server.swallow_pulls(times),
            _ if self.plan.replaces && self.books.may_be_replaced() => self.replace(),
            _ => {}
        }
    }

    /// The stream is deleted; then there is none for a while, or not.
    fn replace(&mut self) {
        if self.line.request_elsewhere("$JS.API.STREAM.DELETE.S", &json!({}), self.now).is_none() {
            return;
        }
        let until = self.now + ms(self.rng.random_range(1..8000));
        if self.rng.random_bool(0.5) {
            self.advance(until, self.plan.appetite);
        } else {
            self.now += ms(1);
        }
        self.line.request_elsewhere("$JS.API.STREAM.CREATE.S", &self.plan.stream, self.now).unwrap();
        self.books.replaced();
    }

    /// Lets time pass. After each event the user reads at most this many items.
    fn advance(&mut self, until: Instant, appetite: usize) {
        loop {
            self.arrive();
            let read = self.read(appetite);
            if self.now >= until && read < appetite.max(1) {
                return;
            }
            let reader = self.reader.next(&self.line).filter(|_| appetite > 0);
            let next = [self.line.next(self.now), reader, Some(until)].into_iter().flatten().min().unwrap_or(until);
            // What is due already is due.
            self.now = next.clamp(self.now, until.max(self.now));
            if self.now >= until && appetite < usize::MAX {
                self.arrive();
                self.read(appetite);
                return;
            }
        }
    }

    fn read(&mut self, appetite: usize) -> usize {
        for read in 0..appetite {
            let Some(item) = self.reader.poll(&mut self.line, self.now) else { return read };
            self.script.say(self.now, || format!("{item:?}"));
            self.books.got(&item, &self.line.server);
        }
        appetite
    }

    /// No more faults: everything is delivered in time, and one consumer is left.
    fn calm(&mut self) {
        let server = &mut self.line.server;
        server.lose_deliveries(0);
        server.swallow_pulls(0);
        server.double_deliveries(0);
        server.delay_deliveries(0, Duration::ZERO);
        self.connect();
        self.script.say(self.now, || "calm".to_owned());
        self.publish();
        let way = self.line.latency() * 2;
        // A batch may be one message.
        let bound = BOUND + way * (8 + u32::try_from(self.books.missing(&self.line.server).len()).unwrap());
        let end = self.now + bound;
        let is_done = |world: &World| !world.books.is_behind() && world.books.missing(&world.line.server).is_empty();
        while self.now < end && !(self.reader.machine.incarnation().is_some() && is_done(self)) {
            self.advance(self.now + ms(50), usize::MAX);
        }
        let missing = self.books.missing(&self.line.server);
        assert!(!self.books.is_behind(), "nobody has noticed that the stream was replaced");
        let machine = &self.reader.machine;
        let consumer = self.line.server.consumer("S", &requests::name(*machine.on_server().end()));
        assert!(missing.is_empty(), "{missing:?} were not delivered within {bound:?}: {machine:?}, {consumer:?}");
        // A loss may still be noticed, and then another consumer is retired.
        let mut retired = usize::MAX;
        while std::mem::replace(&mut retired, self.reader.retired.len()) != self.reader.retired.len() {
            self.advance(self.now + ms(200) + way, usize::MAX);
        }
        for incarnation in &self.reader.retired {
            let name = requests::name(*incarnation);
            let lost = self.line.has_lost(&format!("$JS.API.CONSUMER.DELETE.S.{name}"));
            let gone = self.line.server.consumer("S", &name).is_none();
            assert!(gone || lost || self.elected.contains(&name), "{name} was not deleted");
        }
        for consumer in self.line.server.consumer_names("S") {
            // If it is being created again at this moment, the old one is still there.
            let mut known = self.reader.machine.on_server().chain(self.reader.retired.iter().copied());
            assert!(known.any(|known| requests::name(known) == consumer), "{consumer} was left alone");
        }
        self.advance(self.now + TIDY, usize::MAX);
        let left: Vec<_> = self.line.server.consumer_names("S").collect();
        assert_eq!(left, [requests::name(self.reader.machine.incarnation().unwrap())], "one consumer is left");
    }
}

fn publish(line: &mut Line, books: &mut Books, published: &mut u64, plan: &Plan, rng: &mut SmallRng, now: Instant) {
    *published += 1;
    let subject = format!("s.{}", rng.random_range(0..3));
    let mut payload = published.to_string().into_bytes();
    payload.resize(rng.random_range(8..=plan.payload.max(8)), b' ');
    let last = |line: &Line| line.server.messages("S").next_back().map_or(0, |(sequence, ..)| sequence);
    let before = last(line);
    line.publish_elsewhere(&subject, &payload, now);
    let after = last(line);
    if after > before {
        books.store(after, &subject, &payload);
    }
}
