//! Worlds of the fetch machine: batches, one after the other, over a line that breaks. Each ends within its deadline, gives no
//! more than it was asked for and nothing twice, and ends as soon as it is full or the server says that it is over.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::decide::fetch::{Effect, End, Fetch};
use nats_lifeline::jetstream::decide::pull::Event;
use nats_lifeline::jetstream::decide::settings::Settings;
use nats_lifeline::jetstream::wire::PullStatus;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::line::{Came, Line, Sent};
use crate::pull::{Arrived, NEXT, event, ms, pick};
use crate::seeds;

/// More than a batch has pulls.
const TOKENS: u64 = 1_000;

/// What the reader waits longer than the server, at most.
const GRACE: Duration = Duration::from_secs(5);

const NAMES: [&str; 11] = [
    "messages",
    "full",
    "no messages",
    "expired",
    "timed out",
    "with bytes",
    "cuts",
    "elections",
    "second pulls",
    "restarts",
    "dropped messages",
];

#[test]
fn batches_always_end() {
    seeds::run("batches_always_end", NAMES, |seed, loud| World::new(seed, loud).run());
}

struct World {
    rng: SmallRng,
    line: Line,
    latency: Duration,
    quorum: Duration,
    start: Instant,
    now: Instant,
    reconnect: Option<Instant>,
    inbox: VecDeque<Arrived>,
    heard: BTreeMap<String, Instant>,
    counts: [u64; 11],
    loud: bool,
    number: u64,
    /// The first token of this batch.
    base: u64,
    /// Nothing goes wrong in this batch, and nothing has gone wrong in the one before.
    calm: bool,
}

/// A batch that is being read.
struct Batch {
    fetch: Fetch,
    asked: u64,
    got: u64,
    pulls: u64,
    deadline: Instant,
    /// Since when the reader knows that its last pull is lost.
    lost: Option<Instant>,
    end: Option<End>,
}

impl World {
    fn new(seed: u64, loud: bool) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let start = Instant::now() + Duration::from_secs(3_600);
        let latency = ms(pick(&mut rng, &[0, 1, 20, 300]));
        let quorum = ms(pick(&mut rng, &[0, 0, 5, 100]));
        let mut line = Line::new(seed, latency, start);
        line.server.set_quorum(quorum);
        line.subscribe("in.*");
        line.request_elsewhere("$JS.API.STREAM.CREATE.S", &json!({ "name": "S", "subjects": ["s.>"] }), start).unwrap();
        let config = json!({ "durable_name": "c", "ack_policy": "explicit", "ack_wait": 1_000_000_000 });
        let create = json!({ "stream_name": "S", "config": config });
        line.request_elsewhere("$JS.API.CONSUMER.CREATE.S.c", &create, start).unwrap();
        World {
            rng,
            line,
            latency,
            quorum,
            start,
            now: start,
            reconnect: None,
            inbox: VecDeque::new(),
            heard: BTreeMap::new(),
            counts: [0; 11],
            loud,
            number: 0,
            base: 0,
            calm: false,
        }
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.loud {
            println!("{:>10.3} ms  {what}", (self.now - self.start).as_secs_f64() * 1e3);
        }
    }

    fn run(mut self) -> [u64; 11] {
        for _ in 0..self.rng.random_range(2..8) {
            self.calm = self.rng.random_bool(0.3);
            if self.calm {
                // What was left over of earlier batches is gone.
                self.line.server.swallow_pulls(0);
                self.line.server.delay_deliveries(0, Duration::ZERO);
                self.line.server.lose_deliveries(0);
                self.reconnect = self.reconnect.map(|_| self.now);
                self.idle(ms(60_000));
            }
            self.batch();
        }
        self.counts
    }

    fn publish(&mut self, count: u64) {
        for _ in 0..count {
            self.number += 1;
            self.line.publish_elsewhere("s.x", self.number.to_string().as_bytes(), self.now);
        }
    }

    /// Time without a batch.
    fn idle(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.pass();
            self.inbox.clear();
            let next = [self.line.next(self.now), self.reconnect].into_iter().flatten().min();
            self.now = next.map_or(end, |next| next.clamp(self.now + ms(1), end));
        }
    }

    fn pass(&mut self) {
        if self.reconnect.is_some_and(|at| at <= self.now) {
            self.reconnect = None;
            self.line.connect(self.now);
            self.say(format_args!("connected"));
        }
        for came in self.line.pass(self.now) {
            match came {
                Came::Message(mut out) => {
                    if let Some(token) = self.token(&out.to) {
                        out.to = format!("in.{token}");
                        self.inbox.push_back(Arrived::Message(out));
                    }
                }
                Came::Pong(_) => {}
                Came::NoResponders(reply) => self.inbox.extend(self.token(&reply).map(Arrived::NoResponders)),
            }
        }
    }

    /// The token in an inbox of this batch; nothing of an earlier one comes to it.
    fn token(&self, inbox: &str) -> Option<u64> {
        inbox.strip_prefix("in.")?.parse::<u64>().ok()?.checked_sub(self.base).filter(|token| *token < TOKENS)
    }

    fn batch(&mut self) {
        let expires = ms(pick(&mut self.rng, &[0, 300, 3_000, 20_000]));
        let no_wait = expires.is_zero() || self.rng.random_bool(0.4);
        let heartbeat = if self.rng.random_bool(0.5) { Duration::ZERO } else { (expires / 2).min(ms(1_000)) };
        let asked = pick(&mut self.rng, &[1, 3, 50]);
        let max_bytes = pick(&mut self.rng, &[0, 0, 400]);
        let settings = Settings { batch: asked, max_bytes, expires, heartbeat, no_wait, ..Settings::default() };
        self.base += TOKENS;
        self.inbox.clear();
        self.say(format_args!("a batch of {asked} within {expires:?}, no_wait {no_wait}, heartbeat {heartbeat:?}"));
        let up = self.line.connected_since().is_some();
        let fetch = Fetch::new(settings, up, self.now, self.rng.random());
        let deadline = self.now + expires + GRACE;
        let mut batch = Batch { fetch, asked, got: 0, pulls: 0, deadline, lost: None, end: None };
        let began = self.now;
        let there = self.line.server.consumer("S", "c").map_or(0, |state| state.pending + state.ack_pending);
        let mut next_fault = self.now;
        loop {
            self.read(&mut batch);
            let Some(end) = batch.end.take() else {
                assert!(self.now <= batch.deadline, "a batch that goes on");
                let lost = batch.lost.map_or(Duration::ZERO, |since| self.now - since);
                assert!(lost <= ms(1_000), "no other pull for {lost:?}");
                if next_fault <= self.now {
                    self.happen();
                    next_fault = self.now + ms(self.rng.random_range(1..2_000));
                }
                let unread = (!self.inbox.is_empty()).then_some(self.now);
                let times = [unread, self.line.next(self.now), batch.fetch.alarm(), self.reconnect, Some(next_fault)];
                let next = times.into_iter().flatten().min().unwrap();
                self.now = next.max(self.now + Duration::from_nanos(1));
                continue;
            };
            self.say(format_args!("{end:?} after {} messages", batch.got));
            self.ended(&batch, &end, self.now - began, there);
            return;
        }
    }

    fn ended(&mut self, batch: &Batch, end: &End, took: Duration, there: u64) {
        assert!(batch.got <= batch.asked, "{} messages, of {}", batch.got, batch.asked);
        assert_eq!(batch.got == batch.asked, *end == End::Full, "{end:?} after {} messages", batch.got);
        assert_eq!(batch.fetch.alarm(), None);
        self.counts[8] += u64::from(batch.pulls > 1);
        let count = match end {
            End::Full => 1,
            End::NoMessages => 2,
            End::Expired => 3,
            End::TimedOut(_) => 4,
            End::MaxBytes => 5,
            other => panic!("{other:?}"),
        };
        self.counts[count] += 1;
        if self.calm {
            assert_eq!(batch.pulls, 1, "one pull is enough");
            assert!(!matches!(end, End::TimedOut(_)), "{end:?} although nothing went wrong");
            assert!(
                there < batch.asked || took <= self.latency * 4 + self.quorum + ms(1),
                "{took:?} for what was there"
            );
        }
    }

    fn happen(&mut self) {
        let count = self.rng.random_range(0..4);
        self.publish(count);
        if self.calm {
            return;
        }
        match self.rng.random_range(0..11) {
            0 | 1 if self.line.connected_since().is_some() => {
                let outage = ms(pick(&mut self.rng, &[0, 20, 2_000, 30_000]));
                self.cut(outage);
            }
            2 | 3 => {
                self.counts[7] += 1;
                let (lasts, now) = (ms(pick(&mut self.rng, &[0, 10, 1_000])), self.now);
                self.say(format_args!("an election of {lasts:?}"));
                self.line.ask_server(now, |server, _, out| server.elect_somehow("S", "c", lasts, now, out));
            }
            4 => self.line.server.swallow_pulls(1),
            5 => self.line.server.delay_deliveries(2, ms(500)),
            6 => self.line.server.double_deliveries(3),
            7 => self.line.server.lose_deliveries(2),
            8 if self.line.connected_since().is_some() => {
                self.say(format_args!("a restart"));
                self.counts[9] += 1;
                self.cut(ms(50));
                self.line.server.restart(self.now);
            }
            9 => self.drop_unread(),
            _ => {}
        }
    }

    fn cut(&mut self, outage: Duration) {
        self.say(format_args!("cut for {outage:?}"));
        self.counts[6] += 1;
        self.line.cut(&mut self.rng, self.now);
        self.pass();
        self.inbox.push_back(Arrived::Interrupted);
        self.reconnect = Some(self.now + outage);
    }

    /// The client's buffer is full: what comes while the reader is busy is dropped.
    fn drop_unread(&mut self) {
        self.pass();
        let mut dropped = 0;
        while matches!(self.inbox.back(), Some(Arrived::Message(out)) if out.reply.is_some()) {
            self.inbox.pop_back();
            dropped += 1;
        }
        if dropped > 0 {
            self.say(format_args!("{dropped} messages are dropped unread"));
            self.counts[10] += dropped;
            self.inbox.push_back(Arrived::Lagged(dropped));
        }
    }

    fn read(&mut self, batch: &mut Batch) {
        self.act(batch);
        for _ in 0..3 {
            self.pass();
            while let (None, Some(arrived)) = (&batch.end, self.inbox.pop_front()) {
                let Some(event) = event(&arrived) else { continue };
                match event {
                    Event::Status {
                        token, status: PullStatus::LeadershipChange | PullStatus::ServerShutdown, ..
                    } if token + 1 == batch.pulls => {
                        batch.lost = Some(self.now);
                    }
                    Event::Interrupted => {
                        batch.lost = Some(self.now);
                        self.heard.clear();
                    }
                    _ => {}
                }
                self.say(format_args!("{event:?}"));
                batch.fetch.on(self.now, event);
                let delivers = self.act(batch);
                if let (true, Arrived::Message(out)) = (delivers, &arrived) {
                    let reply = out.reply.clone().unwrap();
                    let before = self.heard.insert(reply.clone(), self.now);
                    // The same numbers after longer than a move takes are another delivery.
                    let is_new = before.is_none_or(|before| self.now - before > Duration::from_secs(3));
                    assert!(is_new, "{reply} is delivered twice");
                    batch.got += 1;
                    self.counts[0] += 1;
                    self.line.publish(Sent { subject: reply, reply: None, payload: "+ACK".into() }, self.now);
                }
            }
            if batch.end.is_some() {
                return;
            }
            if let (true, Some(since)) = (batch.fetch.is_down(), self.line.connected_since()) {
                batch.fetch.on(self.now, Event::Connected(since));
            }
            batch.fetch.on(self.now, Event::Waiting);
            self.act(batch);
        }
    }

    fn act(&mut self, batch: &mut Batch) -> bool {
        let mut delivers = false;
        while let Some(effect) = batch.fetch.next_effect() {
            match effect {
                Effect::Pull(sending) => {
                    let request = batch.fetch.request(sending);
                    assert_eq!(request.check(), Ok(()));
                    assert!(request.batch + batch.got <= batch.asked, "a pull for more than is missing");
                    let mut payload = Vec::new();
                    request.write(&mut payload);
                    self.say(format_args!("pull {}", String::from_utf8_lossy(&payload)));
                    batch.pulls += 1;
                    batch.lost = None;
                    let reply = Some(format!("in.{}", self.base + sending.token));
                    self.line.publish(Sent { subject: NEXT.to_owned(), reply, payload }, self.now);
                }
                Effect::Deliver => delivers = true,
                Effect::End(end) => assert_eq!(batch.end.replace(end), None),
            }
        }
        delivers
    }
}
