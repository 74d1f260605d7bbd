//! The part that waits, as `run/ordered` is, but on the virtual clock: subscriptions, requests, and a user who reads.

use std::time::{Duration, Instant};

use nats_lifeline::jetstream::consumer::DeliverPolicy;
use nats_lifeline::jetstream::decide::ordered::{
    CreateFault, Created, Effect, Gap, Ordered, Report, Rules, StreamSeen, Verdict,
};
use serde_json::{Value, json};

use super::requests::{Settings, arrival, config, created, delete, name, text};
use super::source::{Signal, Source};
use crate::line::{Came, Line, Sent};

/// What the user gets.
#[derive(Debug)]
pub(crate) enum Item {
    Message { sequence: u64, subject: String, payload: String },
    Gap(Gap),
    Report(Report),
}

#[derive(Debug)]
enum Stage {
    Reading(Source),
    Creating {
        incarnation: u64,
        source: Source,
        reply: String,
        given_up: Instant,
    },
    /// The answer about the stream is awaited, after the one about the consumer.
    Asking {
        incarnation: u64,
        source: Source,
        reply: String,
        given_up: Instant,
        created: Created,
    },
    Waiting(Option<(u64, Source)>),
}

pub(crate) struct Reader {
    pub(crate) machine: Ordered,
    stage: Stage,
    pub(crate) settings: Settings,
    after_gap: Option<Item>,
    heard: bool,
    attempts: u32,
    requests: u64,
    /// When the stream was created.
    stream_created: String,
    pub(crate) retired: Vec<u64>,
    pub(crate) creations: u64,
    /// Those that were answered.
    pub(crate) created: u64,
    /// The last one that is there, for all that is known.
    newest: u64,
}

impl Reader {
    /// The consumer was created before, with this answer.
    pub(crate) fn new(
        settings: Settings,
        answer: &Value,
        stream_created: &str,
        line: &mut Line,
        now: Instant,
    ) -> Reader {
        let whole = settings.filter.is_empty() || settings.filter == ">";
        let (policy, heartbeat, seed) = (settings.policy, settings.heartbeat, settings.seed);
        let rules = Rules { policy, whole, heartbeat, seed };
        let source = Source::open(&settings, 0, line, now);
        Reader {
            machine: Ordered::adopt(rules, created(answer), now),
            stage: Stage::Reading(source),
            settings,
            after_gap: None,
            heard: false,
            attempts: 0,
            requests: 0,
            stream_created: stream_created.to_owned(),
            retired: Vec::new(),
            creations: 0,
            created: 0,
            newest: 0,
        }
    }

    /// There is a connection again: an attempt that has waited for it begins.
    pub(crate) fn connected(&mut self, now: Instant) {
        let patience = self.patience();
        if let Stage::Creating { given_up, .. } = &mut self.stage {
            *given_up = now + patience;
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1).saturating_mul(1 << self.attempts.min(4)).min(Duration::from_secs(10))
    }

    /// A connection has ended.
    pub(crate) fn interrupted(&mut self) {
        match &mut self.stage {
            Stage::Reading(source) | Stage::Waiting(Some((_, source))) => source.interrupted(),
            Stage::Creating { source, reply, .. } | Stage::Asking { source, reply, .. } => {
                source.interrupted();
                // The request has failed.
                reply.clear();
            }
            Stage::Waiting(None) => {}
        }
    }

    pub(crate) fn came(&mut self, came: Came, line: &mut Line, now: Instant) {
        let (to, message) = match came {
            Came::Message(out) => (out.to.clone(), Some(out)),
            Came::NoResponders(reply) => (reply, None),
            Came::Pong(number) => return self.own().into_iter().for_each(|source| source.pong(number)),
        };
        // A message of an old incarnation, as if it had come through the inbox of this one.
        if let Some(old) = message.as_ref().and_then(|message| arrival(message, self.machine.incarnation()?)) {
            let verdict = self.machine.message(old.0, old.1, || now);
            assert_eq!(verdict, Verdict::Ignore, "incarnation {} was heard", old.0);
        }
        if let Some(source) = self.own().filter(|source| source.hears(&to)) {
            return match message {
                Some(message) => source.came(message),
                None => source.no_responders(&to),
            };
        }
        let answer = message.and_then(|message| serde_json::from_slice::<Value>(&message.payload).ok());
        match &self.stage {
            Stage::Creating { reply, .. } if *reply == to => {
                self.answered(answer.ok_or(CreateFault::NoResponders), line, now)
            }
            Stage::Asking { reply, .. } if *reply == to => self.seen(answer.ok_or(CreateFault::Unanswered), now),
            _ => {}
        }
    }

    fn own(&mut self) -> Option<&mut Source> {
        match &mut self.stage {
            Stage::Reading(source) | Stage::Waiting(Some((_, source))) => Some(source),
            Stage::Creating { source, .. } | Stage::Asking { source, .. } => Some(source),
            Stage::Waiting(None) => None,
        }
    }

    /// Reads one item.
    pub(crate) fn poll(&mut self, line: &mut Line, now: Instant) -> Option<Item> {
        for _ in 0..10_000 {
            if let Some(item) = self.after_gap.take() {
                return Some(item);
            }
            if let Some(effect) = self.machine.effect() {
                match self.act(effect, line, now) {
                    Some(item) => return Some(item),
                    None => continue,
                }
            }
            match &mut self.stage {
                Stage::Reading(source) => {
                    if let Some(signal) = source.signal(line, now) {
                        if let Some(item) = self.hear(signal, now) {
                            return Some(item);
                        }
                        continue;
                    }
                    if std::mem::take(&mut self.heard) {
                        let incarnation = self.machine.incarnation().unwrap();
                        self.machine.alive(incarnation, now);
                    }
                    if !self.ticks(line, now) {
                        return None;
                    }
                }
                Stage::Creating { reply, given_up, .. } => {
                    let failed = match (reply.is_empty(), *given_up <= now) {
                        (true, _) => CreateFault::Interrupted,
                        (_, true) => CreateFault::Unanswered,
                        _ => return None,
                    };
                    self.answered(Err(failed), line, now);
                }
                Stage::Asking { reply, given_up, .. } => {
                    if !reply.is_empty() && *given_up > now {
                        return None;
                    }
                    let fault = if reply.is_empty() { CreateFault::Interrupted } else { CreateFault::Unanswered };
                    self.seen(Err(fault), now);
                }
                Stage::Waiting(_) => {
                    if !self.ticks(line, now) {
                        return None;
                    }
                }
            }
        }
        panic!("it never waits: {:?}", self.machine);
    }

    /// When it has to be polled again, whatever arrives.
    pub(crate) fn next(&self, line: &Line) -> Option<Instant> {
        match &self.stage {
            Stage::Reading(source) => {
                [self.machine.due(line.connected_since()), source.alarm()].into_iter().flatten().min()
            }
            Stage::Waiting(_) => self.machine.due(line.connected_since()),
            Stage::Creating { given_up, .. } | Stage::Asking { given_up, .. } => Some(*given_up),
        }
    }

    /// It is dropped.
    pub(crate) fn leave(self, line: &mut Line, now: Instant) {
        if let Stage::Reading(source) | Stage::Creating { source, .. } | Stage::Asking { source, .. } = &self.stage {
            source.close(line);
        }
        if let Stage::Waiting(Some((_, source))) = &self.stage {
            source.close(line);
        }
        self.machine.on_server().for_each(|incarnation| delete(incarnation, line, now));
    }

    fn ticks(&mut self, line: &Line, now: Instant) -> bool {
        let connected = line.connected_since();
        let due = self.machine.due(connected).is_some_and(|due| due <= now);
        if due {
            self.machine.tick(now, connected);
        }
        due
    }

    fn hear(&mut self, signal: Signal, now: Instant) -> Option<Item> {
        let incarnation = self.machine.incarnation()?;
        self.heard = true;
        let message = match signal {
            Signal::Message(message) => message,
            Signal::Heartbeat { sent } => {
                self.machine.heartbeat(incarnation, sent, now);
                return None;
            }
            Signal::Lost(cause) => {
                self.machine.lost(incarnation, cause, now);
                return None;
            }
            Signal::Nothing => return None,
        };
        let (_, arrival) = arrival(&message, u64::MAX).unwrap();
        let item =
            Item::Message { sequence: arrival.stream, subject: message.subject, payload: text(&message.payload) };
        match self.machine.message(incarnation, arrival, || now) {
            Verdict::Deliver => Some(item),
            Verdict::DeliverAfter(gap) => {
                self.after_gap = Some(item);
                Some(Item::Gap(gap))
            }
            Verdict::Ignore => None,
        }
    }

    fn act(&mut self, effect: Effect, line: &mut Line, now: Instant) -> Option<Item> {
        match effect {
            Effect::Create { incarnation, from } => self.create(incarnation, from, line, now),
            Effect::Retire { incarnation } => {
                assert!(incarnation < self.newest, "{incarnation} is deleted before the next one is there");
                self.retired.push(incarnation);
                delete(incarnation, line, now);
            }
            Effect::Report(report) => {
                if let Report::Interrupted(_) = report {
                    let Stage::Reading(source) = std::mem::replace(&mut self.stage, Stage::Waiting(None)) else {
                        panic!()
                    };
                    source.close(line);
                    self.heard = false;
                }
                return Some(Item::Report(report));
            }
        }
        None
    }

    fn create(&mut self, incarnation: u64, from: DeliverPolicy, line: &mut Line, now: Instant) {
        let source = match std::mem::replace(&mut self.stage, Stage::Waiting(None)) {
            Stage::Waiting(Some((of, source))) if of == incarnation => source,
            other => {
                if let Stage::Waiting(Some((_, source))) = other {
                    source.close(line);
                }
                Source::open(&self.settings, incarnation, line, now)
            }
        };
        let config = config(&self.settings, incarnation, from);
        let request = json!({ "stream_name": "S", "config": config, "action": "create" });
        let filter = if self.settings.filter.is_empty() { String::new() } else { format!(".{}", self.settings.filter) };
        let subject = format!("$JS.API.CONSUMER.CREATE.S.{}{filter}", name(incarnation));
        // While there is no connection, the attempt waits.
        self.attempts += 1;
        let waits = if line.connected_since().is_some() { self.patience() } else { Duration::from_secs(3600) };
        let given_up = now + waits;
        self.creations += 1;
        let reply = self.request(subject, request.to_string().into_bytes(), line, now);
        self.stage = Stage::Creating { incarnation, source, reply, given_up };
    }

    fn request(&mut self, subject: String, payload: Vec<u8>, line: &mut Line, now: Instant) -> String {
        self.requests += 1;
        let reply = format!("reply.{}", self.requests);
        line.publish(Sent { subject, reply: Some(reply.clone()), payload }, now);
        reply
    }

    fn answered(&mut self, answer: Result<Value, CreateFault>, line: &mut Line, now: Instant) {
        let Stage::Creating { incarnation, source, .. } = std::mem::replace(&mut self.stage, Stage::Waiting(None))
        else {
            panic!()
        };
        let fault = match answer {
            Ok(answer) if answer.get("error").is_none() => {
                self.created += 1;
                let reply = self.request("$JS.API.STREAM.INFO.S".to_owned(), b"{}".to_vec(), line, now);
                let given_up = now + Duration::from_secs(1);
                let created = created(&answer);
                self.stage = Stage::Asking { incarnation, source, reply, given_up, created };
                return;
            }
            Ok(answer) => match answer["error"]["err_code"].as_u64().unwrap() {
                10013 | 10148 => CreateFault::NameTaken,
                10059 => CreateFault::NoStream,
                code => panic!("the server refuses with {code}: {answer}"),
            },
            Err(fault) => fault,
        };
        self.failed(incarnation, source, fault, now);
    }

    fn seen(&mut self, answer: Result<Value, CreateFault>, now: Instant) {
        let Stage::Asking { incarnation, source, mut created, .. } =
            std::mem::replace(&mut self.stage, Stage::Waiting(None))
        else {
            panic!()
        };
        let state = match answer {
            Ok(answer) if answer.get("error").is_none() => answer,
            // The consumer was created before that.
            Ok(_) => return self.failed(incarnation, source, CreateFault::Unanswered, now),
            Err(fault) => return self.failed(incarnation, source, fault, now),
        };
        let found = state["created"].as_str().unwrap();
        let replaced = found != self.stream_created;
        self.stream_created = found.to_owned();
        let number = |name: &str| state["state"][name].as_u64().unwrap();
        created.stream = Some(StreamSeen { first: number("first_seq"), last: number("last_seq"), replaced });
        (self.attempts, self.newest) = (0, incarnation);
        self.stage = Stage::Reading(source);
        self.machine.created(incarnation, created, now);
    }

    fn failed(&mut self, incarnation: u64, source: Source, fault: CreateFault, now: Instant) {
        self.stage = Stage::Waiting(Some((incarnation, source)));
        self.machine.create_failed(incarnation, fault, now);
    }
}
