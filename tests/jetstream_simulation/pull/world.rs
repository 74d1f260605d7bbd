//! The world: a reader who drives the machine as `run/pull.rs` does, a publisher, and the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::decide::pull::{Arrival, Effect, End, Event, Found, Pull, Report};
use nats_lifeline::jetstream::wire::{AckSubject, PullStatus};
use nats_lifeline::protocol::HeaderMap;
use nats_lifeline::testing::jetstream::Out;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::checks::Checks;
use super::plan::{Plan, ms};
use crate::line::{Came, Line, Probe, Sent};

pub(crate) const NEXT: &str = "$JS.API.CONSUMER.MSG.NEXT.S.c";

/// About this many messages are published in one part.
pub(crate) const MESSAGES: u64 = 150;

/// What is in the reader's inbox.
#[derive(Debug)]
pub(crate) enum Arrived {
    Message(Out),
    NoResponders(u64),
    Interrupted,
    Lagged(u64),
}

pub(crate) struct World {
    pub(crate) rng: SmallRng,
    pub(crate) plan: Plan,
    pub(crate) line: Line,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    loud: bool,
    pub(crate) machine: Pull,
    pub(crate) inbox: VecDeque<Arrived>,
    /// The reader is busy until then.
    pub(crate) busy: Instant,
    /// Answers that are sent then.
    pub(crate) answers: BTreeMap<(Instant, u64), (String, &'static str)>,
    inquiry: Option<Instant>,
    probe: Probe,
    pub(crate) reconnect: Option<Instant>,
    pub(crate) publish_at: Option<Instant>,
    pub(crate) published: u64,
    /// How many are published until the next calm part is over.
    pub(crate) quota: u64,
    /// Numbers that were delivered to the reader or to another client.
    pub(crate) delivered: BTreeSet<u64>,
    /// The next pulls that can't be sent.
    pub(crate) refusals: u64,
    pub(crate) checks: Checks,
    pub(crate) counts: [u64; 10],
    pub(crate) end: Option<End>,
    serial: u64,
}

macro_rules! say {
    ($world:expr, $($what:tt)*) => {
        $world.say(format_args!($($what)*))
    };
}
pub(crate) use say;

impl World {
    pub(crate) fn new(seed: u64, loud: bool) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let plan = Plan::draw(&mut rng);
        // Far from the beginning of the clock, so that subtractions don't fail.
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut line = Line::new(seed, plan.latency, start);
        line.server.set_quorum(plan.quorum);
        line.subscribe("in.*");
        line.subscribe("other.*");
        let config = json!({ "name": "S", "subjects": ["s.>"] });
        line.request_elsewhere("$JS.API.STREAM.CREATE.S", &config, start).unwrap();
        let made = line.request_elsewhere("$JS.API.CONSUMER.CREATE.S.c", &plan.consumer(), start).unwrap();
        assert!(made["error"].is_null(), "{made}");
        let machine = Pull::new(plan.settings.clone(), true, start, seed);
        let checks = Checks::new(&plan, start);
        World {
            rng,
            plan,
            line,
            start,
            now: start,
            loud,
            machine,
            inbox: VecDeque::new(),
            busy: start,
            answers: BTreeMap::new(),
            inquiry: None,
            probe: Probe::default(),
            reconnect: None,
            publish_at: Some(start),
            published: 0,
            quota: MESSAGES,
            delivered: BTreeSet::new(),
            refusals: 0,
            checks,
            counts: [0; 10],
            end: None,
            serial: 0,
        }
    }

    pub(crate) fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.loud {
            println!("{:>10.3} ms  {what}", (self.now - self.start).as_secs_f64() * 1e3);
        }
    }

    /// Lets this much time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.turn();
            let next = self.next().filter(|next| *next < end).unwrap_or(end);
            assert!(next >= self.now, "something is due in the past");
            if next == end && self.now == end {
                return;
            }
            self.now = next;
        }
    }

    fn next(&mut self) -> Option<Instant> {
        let waits = self.busy <= self.now;
        let alarm = if waits { self.machine.alarm() } else { Some(self.busy) };
        let answer = self.answers.first_key_value().map(|((at, _), _)| *at);
        let times =
            [self.line.next(self.now), alarm, answer, self.inquiry.filter(|_| waits), self.reconnect, self.publish_at];
        times.into_iter().flatten().map(|at| at.max(self.now + Duration::from_nanos(1))).min()
    }

    /// Everything that happens at this moment.
    fn turn(&mut self) {
        let due = |at: Option<Instant>, now: Instant| at.is_some_and(|at| at <= now);
        if due(self.publish_at, self.now) {
            self.publish();
        }
        if due(self.reconnect, self.now) {
            self.reconnect = None;
            self.line.connect(self.now);
            say!(self, "connected");
        }
        while let Some(entry) = self.answers.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (reply, payload) = entry.remove();
            self.line.publish(Sent { subject: reply, reply: None, payload: payload.into() }, self.now);
        }
        // What is sent now may arrive now.
        for _ in 0..3 {
            for came in self.line.pass(self.now) {
                self.came(came);
            }
            if self.busy <= self.now {
                self.read();
            }
            if !self.line.is_due(self.now) {
                break;
            }
        }
        self.check();
    }

    fn publish(&mut self) {
        let count = if self.rng.random_bool(0.05) { self.rng.random_range(1..60) } else { 1 };
        for _ in 0..count {
            let number = self.published;
            self.published += 1;
            self.line.publish_elsewhere("s.x", number.to_string().as_bytes(), self.now);
        }
        let pause = if self.rng.random_bool(0.02) { ms(5_000) } else { self.plan.gap };
        // Enough for one part.
        let more = self.published < self.quota;
        self.publish_at = more.then(|| self.now + pause.mul_f64(self.rng.random()));
    }

    pub(crate) fn came(&mut self, came: Came) {
        match came {
            Came::Message(out) if out.to.starts_with("other.") => self.other(&out),
            Came::Message(out) if self.plan.is_old && out.headers.starts_with(b"NATS/1.0 409 Batch Completed") => {}
            Came::Message(out) => self.inbox.push_back(Arrived::Message(out)),
            Came::Pong(number) => self.probe.pong(number),
            Came::NoResponders(reply) => {
                if let Some(token) = reply.strip_prefix("in.") {
                    let token = token.parse().unwrap();
                    self.inbox.push_back(Arrived::NoResponders(token));
                }
            }
        }
    }

    /// Another client has got a message.
    fn other(&mut self, out: &Out) {
        if let (Some(reply), Ok(text)) = (&out.reply, std::str::from_utf8(&out.payload)) {
            self.delivered.insert(text.parse().unwrap());
            self.answer(reply.clone(), "+ACK", Duration::ZERO);
        }
    }

    pub(crate) fn answer(&mut self, reply: String, payload: &'static str, after: Duration) {
        self.serial += 1;
        self.answers.insert((self.now + after, self.serial), (reply, payload));
    }

    /// The reader's turn, until it is busy or waits.
    fn read(&mut self) {
        if self.end.is_some() {
            return;
        }
        let now = self.now;
        if self.machine.is_due(|| now) {
            self.machine.on(now, Event::Polled);
        }
        self.act();
        while let Some(arrived) = self.inbox.pop_front() {
            if self.hear(arrived) && !self.plan.work.is_zero() {
                self.busy = self.now + self.plan.work.mul_f64(self.rng.random()).max(Duration::from_nanos(1));
                return;
            }
            if self.machine.is_due(|| now) {
                self.machine.on(now, Event::Polled);
            }
            self.act();
        }
        if self.machine.is_down() {
            if let Some(since) = self.line.connected_since() {
                self.checks.lives(since);
                self.machine.on(self.now, Event::Connected(since));
            }
        }
        self.checks.waited = true;
        // One alarm may set another one that rings immediately.
        for _ in 0..3 {
            if let Some(answered) = self.probe.event() {
                self.machine.on(self.now, answered);
            }
            self.machine.on(self.now, Event::Waiting);
            if self.inquiry.is_some_and(|at| at <= self.now) {
                self.inquiry = None;
                let found = self.found();
                say!(self, "the server answers: {found:?}");
                self.machine.on(self.now, Event::Found(found));
            }
            self.act();
            if self.machine.alarm().is_none_or(|at| at > self.now) {
                return;
            }
        }
    }

    fn found(&mut self) -> Found {
        if self.line.connected_since().is_none() || self.line.stalled_until() > self.now {
            return Found::Unknown;
        }
        match self.line.request_elsewhere("$JS.API.CONSUMER.INFO.S.c", &json!({}), self.now) {
            Some(info) if info["error"]["err_code"] == 10014 => Found::Gone,
            Some(info) if info["error"].is_null() => Found::Exists,
            _ => Found::Unknown,
        }
    }

    /// Tells the machine. Whether it was a message for the reader.
    fn hear(&mut self, arrived: Arrived) -> bool {
        let Some(event) = event(&arrived) else { return false };
        if !matches!(event, Event::Message(_)) {
            say!(self, "{event:?}");
        }
        match event {
            Event::Message(_) => self.checks.lives(self.now),
            Event::Interrupted => self.checks.told_loss(),
            Event::Status { token, status: PullStatus::IdleHeartbeat, .. } => self.checks.told_life(token),
            Event::Status { token, status: PullStatus::BatchCompleted, .. } => self.checks.told_complete(token),
            Event::Status { token, .. } => self.checks.told_end(token),
            _ => {}
        }
        self.machine.on(self.now, event);
        if self.inbox.is_empty() {
            self.machine.read_all();
        }
        let refusals = self.refusals;
        let delivers = self.act();
        if matches!(arrived, Arrived::Interrupted) && refusals == 0 {
            assert!(self.checks.is_told_of_a_pull(), "no pull is sent with the next subscription");
        }
        if let Arrived::Message(out) = &arrived {
            if out.reply.is_some() {
                self.deliver(out, delivers);
            }
        }
        delivers
    }

    fn deliver(&mut self, out: &Out, delivers: bool) {
        let reply = out.reply.clone().unwrap();
        self.checks.delivered(&reply, delivers, self.now);
        self.checks.waited = self.inbox.is_empty();
        if !delivers {
            self.counts[2] += 1;
            return;
        }
        self.counts[0] += 1;
        let number: u64 = std::str::from_utf8(&out.payload).unwrap().parse().unwrap();
        if !self.delivered.insert(number) {
            self.counts[1] += 1;
        }
        say!(self, "message {number} for {}, {reply}, outstanding {:?}", out.to, self.machine.outstanding());
        let (kind, after) = match self.rng.random_range(0..100) {
            0 => ("-NAK", ms(1)),
            1 => ("+TERM", ms(1)),
            2 => ("+ACK", self.plan.ack_wait * 2),
            _ => ("+ACK", Duration::ZERO),
        };
        self.answer(reply, kind, after);
    }

    /// Does what the machine says. Whether it delivers a message.
    fn act(&mut self) -> bool {
        let mut delivers = false;
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Pull(sending) => {
                    if self.refusals > 0 {
                        self.refusals -= 1;
                        self.checks.disturbed();
                        self.machine.on(self.now, Event::NotSent(sending.token));
                        continue;
                    }
                    let request = self.machine.request(sending);
                    let mut payload = Vec::new();
                    request.write(&mut payload);
                    let asked = request.batch;
                    say!(self, "pull {} for {asked}, {:?}", sending.token, self.machine.outstanding());
                    self.counts[8] += 1;
                    let reply = format!("in.{}", sending.token);
                    self.checks.pulled(sending.token, asked);
                    self.line.publish(Sent { subject: NEXT.to_owned(), reply: Some(reply), payload }, self.now);
                }
                Effect::Deliver => delivers = true,
                Effect::Probe => self.probe.send(&mut self.line, self.now),
                Effect::Tell(report) => {
                    say!(self, "{report:?}");
                    if report == Report::Began(nats_lifeline::jetstream::decide::pull::Cause::Silence) {
                        self.counts[7] += 1;
                    }
                    self.checks.told(report);
                }
                Effect::Complain(cause) => self.checks.complained(cause, self.now),
                Effect::Inquire => self.inquiry = Some(self.now + self.plan.latency * 2),
                Effect::End(end) => {
                    say!(self, "{end:?}");
                    self.counts[9] += 1;
                    self.end = Some(end);
                }
            }
        }
        delivers
    }
}

/// What has arrived, for a machine.
pub(crate) fn event(arrived: &Arrived) -> Option<Event<'_>> {
    match arrived {
        Arrived::Message(out) => match &out.reply {
            None => Some(status(out)),
            Some(reply) => {
                let size = out.subject.len() + reply.len() + out.headers.len() + out.payload.len();
                Some(Event::Message(Arrival { bytes: size as u64, place: AckSubject::parse(reply).ok(), pin: None }))
            }
        },
        Arrived::NoResponders(token) => {
            Some(Event::Status { token: *token, status: PullStatus::NoResponders, text: "", left: None })
        }
        Arrived::Interrupted => Some(Event::Interrupted),
        Arrived::Lagged(count) => Some(Event::Lagged(*count)),
    }
}

/// A status of the model, as an event.
fn status(out: &Out) -> Event<'_> {
    let token = out.to.rsplit('.').next().unwrap().parse().unwrap();
    let text = std::str::from_utf8(&out.headers).unwrap();
    let (first, _) = text.strip_prefix("NATS/1.0 ").unwrap().split_once("\r\n").unwrap();
    let (code, text) = first.split_once(' ').unwrap_or((first, ""));
    let code = nats_lifeline::StatusCode::from_u16(code.parse().unwrap()).unwrap();
    let headers = HeaderMap::from_wire(out.headers.clone());
    let number = |name: &'static str| headers.get(name).map(|value| value.as_str().parse::<u64>().unwrap());
    let left = number("Nats-Pending-Messages").zip(number("Nats-Pending-Bytes"));
    Event::Status { token, status: PullStatus::of(code, text), text, left }
}
