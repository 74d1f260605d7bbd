//! Worlds of push consumers with flow control, and a reader who is slow: the unread messages are bounded (J6), a consumer never
//! stays stalled, and its silence is reported once (J2).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::decide::pull::Found;
use nats_lifeline::jetstream::decide::push::{Due, Push};
use nats_lifeline::jetstream::wire::AckSubject;
use nats_lifeline::testing::jetstream::Out;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::line::{Came, Line, Sent};
use crate::script::Script;

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A message with everything that flow control counts is no longer than this.
const LONGEST: usize = 500;

/// Within this, without faults, a stalled consumer has asked again, has been answered, and has sent everything: the reader reads
/// as fast as it can, and each window takes a round trip.
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn push() {
    let names = ["messages", "answers", "stalled heartbeats", "reported silences", "outages"];
    crate::seeds::run("push", names, |seed, shown| World::new(seed, shown).run());
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pick<T: Clone>(rng: &mut SmallRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}

struct World {
    rng: SmallRng,
    now: Instant,
    line: Line,
    script: Script,
    window: u64,
    faults: u32,
    appetite: usize,
    machine: Push,
    /// `None`: the connection was lost there.
    inbox: VecDeque<Option<Out>>,
    heard: bool,
    /// The last sign of life that the reader could see.
    last_sign: Instant,
    is_silent: bool,
    last_delivered: u64,
    published: u64,
    counts: [u64; 5],
}

impl World {
    fn new(seed: u64, shown: bool) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let now = Instant::now();
        let latency = if rng.random_ratio(1, 8) { ms(300) } else { ms(rng.random_range(0..20)) };
        let mut line = Line::new(seed, latency, now);
        let window = pick(&mut rng, &[2_000, 8_000, 50_000]);
        let stream = json!({ "name": "S", "subjects": ["s.*"], "storage": "memory" });
        line.request_elsewhere("$JS.API.STREAM.CREATE.S", &stream, now).unwrap();
        let heartbeat = u64::try_from(HEARTBEAT.as_nanos()).unwrap();
        let config = json!({
            "name": "c", "durable_name": "c", "deliver_subject": "inbox", "ack_policy": "none",
            "flow_control": true, "idle_heartbeat": heartbeat,
        });
        let request = json!({ "stream_name": "S", "config": config });
        let answer = line.request_elsewhere("$JS.API.CONSUMER.CREATE.S.c", &request, now).unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
        line.server.set_flow_window("S", "c", window);
        line.subscribe("inbox");
        World {
            now,
            line,
            script: Script::new(now, shown),
            window,
            faults: pick(&mut rng, &[3, 10, 1000]),
            appetite: pick(&mut rng, &[1, 4, 50]),
            machine: Push::new(HEARTBEAT, now),
            inbox: VecDeque::new(),
            heard: false,
            last_sign: now,
            is_silent: false,
            last_delivered: 0,
            published: 0,
            counts: [0; 5],
            rng,
        }
    }

    fn run(mut self) -> [u64; 5] {
        for _ in 0..self.rng.random_range(1..4) {
            for _ in 0..self.rng.random_range(20..100) {
                self.step();
            }
            self.calm();
        }
        self.counts
    }

    fn step(&mut self) {
        match self.rng.random_range(0..self.faults) {
            0 => self.fault(),
            _ => self.publish(),
        }
        if self.line.connected_since().is_none() && self.rng.random_ratio(1, 3) {
            self.script.say(self.now, || "connected".to_owned());
            self.line.connect(self.now);
        }
        let pause = pick(&mut self.rng, &[1, 20, 300, 4000]);
        let until = self.now + ms(self.rng.random_range(0..pause));
        let appetite = self.rng.random_range(0..=self.appetite);
        self.advance(until, appetite);
    }

    fn publish(&mut self) {
        for _ in 0..self.rng.random_range(1..20) {
            self.published += 1;
            let payload = vec![b'x'; self.rng.random_range(0..400)];
            self.line.publish_elsewhere("s.1", &payload, self.now);
        }
        self.script.say(self.now, || format!("{} were published", self.published));
    }

    fn fault(&mut self) {
        let (now, lasts) = (self.now, ms(self.rng.random_range(1..5000)));
        let what = self.rng.random_range(0..6);
        self.script.say(now, || format!("fault {what}, {lasts:?}"));
        match what {
            0 | 1 => {
                self.counts[4] += u64::from(self.line.connected_since().is_some());
                self.line.cut(&mut self.rng, now);
                self.arrive();
                self.inbox.push_back(None);
            }
            // Answers to the flow control are lost, and heartbeats are missing.
            2 | 3 => _ = self.line.server.take_offline("S", lasts, now),
            4 => self.line.server.lose_deliveries(self.rng.random_range(1..4)),
            // As during a planned move.
            _ => self.line.server.double_deliveries(self.rng.random_range(1..4)),
        }
    }

    fn arrive(&mut self) {
        for came in self.line.pass(self.now) {
            let Came::Message(message) = came else { panic!("nothing was requested") };
            self.script.say(self.now, || format!("arrives {:?} {:?}", message.reply, message.headers));
            self.inbox.push_back(Some(message));
        }
        // What comes twice, a server has counted once.
        let unread = self.inbox.iter().flatten().filter(|message| !is_control(message));
        let unread: HashMap<_, _> = unread.map(|message| (&message.reply, size(message))).collect();
        let unread: usize = unread.values().sum();
        // The window of a server doubles with each answer.
        let window = self.window << self.counts[1].min(12);
        let most = usize::try_from(window).unwrap() + LONGEST;
        // After a cut, what the last connection brought waits before what the next one brings.
        if self.counts[4] == 0 {
            assert!(unread <= most, "{unread} bytes wait to be read, at most {most} are allowed");
        }
    }

    /// As `run/push_messages` does.
    fn read(&mut self, appetite: usize) {
        for _ in 0..appetite {
            let Some(arrival) = self.inbox.pop_front() else { break };
            (self.heard, self.last_sign) = (true, self.now);
            let Some(message) = arrival else {
                self.machine.interrupted();
                continue;
            };
            if is_control(&message) {
                self.control(&message);
                continue;
            }
            let reply = message.reply.unwrap();
            let place = AckSubject::parse(&reply).unwrap();
            let sequence = place.stream_sequence;
            let is_new = self.machine.is_new(Some(&place), self.now);
            if self.inbox.is_empty() {
                self.machine.read_all();
            }
            if !is_new {
                assert!(sequence <= self.last_delivered, "{sequence} was not delivered");
                continue;
            }
            assert!(sequence > self.last_delivered, "{sequence} after {}", self.last_delivered);
            self.last_delivered = sequence;
            self.counts[0] += 1;
        }
        if !self.inbox.is_empty() || appetite == 0 {
            return;
        }
        self.machine.read_all();
        if std::mem::take(&mut self.heard) {
            self.machine.alive(self.now);
            self.is_silent = false;
        }
        let due = self.machine.tick(self.now, self.line.connected_since());
        if due.is_some() {
            // It is in use, or nobody answers.
            assert!(!self.machine.found(Found::Unknown, self.now));
        }
        if due == Some(Due::Silent) {
            let since = self.last_sign.max(self.line.connected_since().unwrap());
            assert!(self.now >= since + 2 * HEARTBEAT, "silence after {:?}", self.now - since);
            assert!(!std::mem::replace(&mut self.is_silent, true), "one silence was reported twice");
            self.counts[3] += 1;
        }
    }

    fn control(&mut self, message: &Out) {
        let text = std::str::from_utf8(&message.headers).unwrap();
        let stalled = text.lines().find_map(|line| line.strip_prefix("Nats-Consumer-Stalled: "));
        self.counts[2] += u64::from(stalled.is_some());
        if let Some(answer) = message.reply.as_deref().or(stalled) {
            self.counts[1] += 1;
            self.line.publish(Sent { subject: answer.to_owned(), reply: None, payload: Vec::new() }, self.now);
        }
    }

    fn advance(&mut self, until: Instant, appetite: usize) {
        loop {
            self.arrive();
            self.read(appetite);
            if self.now >= until {
                return;
            }
            let due = self.machine.due(self.line.connected_since()).filter(|due| *due > self.now);
            let next = [self.line.next(self.now).filter(|next| *next > self.now), due, Some(until)];
            self.now = next.into_iter().flatten().min().unwrap_or(until).min(until);
        }
    }

    /// Without faults, everything that the stream has is sent and read.
    fn calm(&mut self) {
        self.line.server.lose_deliveries(0);
        self.line.server.double_deliveries(0);
        self.line.connect(self.now);
        self.script.say(self.now, || "calm".to_owned());
        // The last outage of the stream ends.
        self.advance(self.now + ms(5000), usize::MAX);
        self.publish();
        let last = |world: &World| world.line.server.messages("S").next_back().map_or(0, |(sequence, ..)| sequence);
        let end = self.now + BOUND;
        while self.now < end && self.last_delivered < last(self) {
            self.advance(self.now + ms(50), usize::MAX);
        }
        let state = self.line.server.consumer("S", "c");
        assert_eq!(self.last_delivered, last(self), "the consumer is deaf: {state:?}");
        // It lives: its heartbeats are heard.
        self.advance(self.now + 3 * HEARTBEAT, usize::MAX);
        assert!(!self.is_silent, "a consumer that lives is silent");
    }
}

fn is_control(message: &Out) -> bool {
    message.headers.starts_with(b"NATS/1.0 100")
}

/// As a server counts it for flow control.
fn size(message: &Out) -> usize {
    let reply = message.reply.as_ref().map_or(0, String::len);
    message.subject.len() + reply + message.headers.len() + message.payload.len()
}
