//! The part that waits, as `run/ordered` is, but on the virtual clock: subscriptions, requests, and a user who reads.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::consumer::DeliverPolicy;
use nats_lifeline::jetstream::decide::ordered::{
    Cause, CreateFault, Created, Effect, Gap, Ordered, Report, Rules, StreamSeen, Verdict,
};
use nats_lifeline::testing::jetstream::Out;
use serde_json::{Value, json};

use super::requests::{Settings, arrival, config, created, delete, name, text};
use crate::line::{Came, Line, Sent};

/// What the user gets.
#[derive(Debug)]
pub(crate) enum Item {
    Message { sequence: u64, subject: String, payload: String },
    Gap(Gap),
    Report(Report),
}

/// The content of the inbox.
#[derive(Debug)]
enum Waiting {
    Message(Out),
    Lagged,
    Interrupted,
}

#[derive(Debug)]
enum Stage {
    Reading(Inbox),
    Creating {
        incarnation: u64,
        inbox: Inbox,
        reply: String,
        given_up: Instant,
    },
    /// The answer about the stream is awaited, after the one about the consumer.
    Asking {
        incarnation: u64,
        inbox: Inbox,
        reply: String,
        given_up: Instant,
        created: Created,
    },
    Waiting(Option<(u64, Inbox)>),
}

#[derive(Debug)]
struct Inbox {
    subject: String,
    waiting: VecDeque<Waiting>,
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
        let inbox = Inbox { subject: "inbox.0".to_owned(), waiting: VecDeque::new() };
        line.subscribe(&inbox.subject);
        Reader {
            machine: Ordered::adopt(rules, created(answer), now),
            stage: Stage::Reading(inbox),
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
            Stage::Reading(inbox) | Stage::Waiting(Some((_, inbox))) => inbox.waiting.push_back(Waiting::Interrupted),
            Stage::Creating { inbox, reply, .. } | Stage::Asking { inbox, reply, .. } => {
                inbox.waiting.push_back(Waiting::Interrupted);
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
        };
        // A message of an old incarnation, as if it had come through the inbox of this one.
        if let Some(old) = message.as_ref().and_then(|message| arrival(message, self.machine.incarnation()?)) {
            let verdict = self.machine.message(old.0, old.1, now);
            assert_eq!(verdict, Verdict::Ignore, "incarnation {} was heard", old.0);
        }
        let own = match &mut self.stage {
            Stage::Reading(inbox) | Stage::Waiting(Some((_, inbox))) => Some(inbox),
            Stage::Creating { inbox, .. } | Stage::Asking { inbox, .. } => Some(inbox),
            Stage::Waiting(None) => None,
        };
        if let (Some(inbox), Some(message)) = (own.filter(|inbox| inbox.subject == to), &message) {
            let messages = inbox.waiting.iter().filter(|waiting| matches!(waiting, Waiting::Message(_))).count();
            if messages < self.settings.capacity {
                inbox.waiting.push_back(Waiting::Message(message.clone()));
            } else if !matches!(inbox.waiting.back(), Some(Waiting::Lagged)) {
                inbox.waiting.push_back(Waiting::Lagged);
            }
            return;
        }
        let answer = message.and_then(|message| serde_json::from_slice::<Value>(&message.payload).ok());
        match &self.stage {
            Stage::Creating { reply, .. } if *reply == to => {
                self.answered(answer.ok_or(CreateFault::Unanswered), line, now)
            }
            Stage::Asking { reply, .. } if *reply == to => self.seen(answer.ok_or(CreateFault::Unanswered), now),
            _ => {}
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
                Stage::Reading(inbox) => {
                    if let Some(waiting) = inbox.waiting.pop_front() {
                        if let Some(item) = self.hear(waiting, line, now) {
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
            Stage::Reading(_) | Stage::Waiting(_) => self.machine.due(line.connected_since()),
            Stage::Creating { given_up, .. } | Stage::Asking { given_up, .. } => Some(*given_up),
        }
    }

    /// It is dropped.
    pub(crate) fn leave(self, line: &mut Line, now: Instant) {
        if let Stage::Reading(inbox) | Stage::Creating { inbox, .. } | Stage::Asking { inbox, .. } = &self.stage {
            line.unsubscribe(&inbox.subject);
        }
        if let Stage::Waiting(Some((_, inbox))) = &self.stage {
            line.unsubscribe(&inbox.subject);
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

    fn hear(&mut self, waiting: Waiting, line: &mut Line, now: Instant) -> Option<Item> {
        let incarnation = self.machine.incarnation()?;
        self.heard = true;
        let message = match waiting {
            Waiting::Message(message) => message,
            Waiting::Lagged => {
                self.machine.lost(incarnation, Cause::Lagged, now);
                return None;
            }
            Waiting::Interrupted => {
                self.machine.lost(incarnation, Cause::Interrupted, now);
                return None;
            }
        };
        if message.headers.starts_with(b"NATS/1.0 100") {
            self.control(incarnation, &message, line, now);
            return None;
        }
        let (_, arrival) = arrival(&message, u64::MAX).unwrap();
        let item =
            Item::Message { sequence: arrival.stream, subject: message.subject, payload: text(&message.payload) };
        match self.machine.message(incarnation, arrival, now) {
            Verdict::Deliver => Some(item),
            Verdict::DeliverAfter(gap) => {
                self.after_gap = Some(item);
                Some(Item::Gap(gap))
            }
            Verdict::Ignore => None,
        }
    }

    fn control(&mut self, incarnation: u64, message: &Out, line: &mut Line, now: Instant) {
        let header = |name: &str| {
            let text = std::str::from_utf8(&message.headers).unwrap();
            text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
        };
        let answer = match &message.reply {
            Some(answer) => Some(answer.clone()),
            None => {
                let sent = header("Nats-Last-Consumer: ").map(|sent| sent.parse().unwrap());
                self.machine.heartbeat(incarnation, sent, now);
                header("Nats-Consumer-Stalled: ")
            }
        };
        if let Some(subject) = answer {
            line.publish(Sent { subject, reply: None, payload: Vec::new() }, now);
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
                    let Stage::Reading(inbox) = std::mem::replace(&mut self.stage, Stage::Waiting(None)) else {
                        panic!()
                    };
                    line.unsubscribe(&inbox.subject);
                    self.heard = false;
                }
                return Some(Item::Report(report));
            }
        }
        None
    }

    fn create(&mut self, incarnation: u64, from: DeliverPolicy, line: &mut Line, now: Instant) {
        let inbox = match std::mem::replace(&mut self.stage, Stage::Waiting(None)) {
            Stage::Waiting(Some((of, inbox))) if of == incarnation => inbox,
            other => {
                if let Stage::Waiting(Some((_, inbox))) = other {
                    line.unsubscribe(&inbox.subject);
                }
                let subject = format!("inbox.{incarnation}");
                line.subscribe(&subject);
                Inbox { subject, waiting: VecDeque::new() }
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
        self.stage = Stage::Creating { incarnation, inbox, reply, given_up };
    }

    fn request(&mut self, subject: String, payload: Vec<u8>, line: &mut Line, now: Instant) -> String {
        self.requests += 1;
        let reply = format!("reply.{}", self.requests);
        line.publish(Sent { subject, reply: Some(reply.clone()), payload }, now);
        reply
    }

    fn answered(&mut self, answer: Result<Value, CreateFault>, line: &mut Line, now: Instant) {
        let Stage::Creating { incarnation, inbox, .. } = std::mem::replace(&mut self.stage, Stage::Waiting(None))
        else {
            panic!()
        };
        let fault = match answer {
            Ok(answer) if answer.get("error").is_none() => {
                self.created += 1;
                let reply = self.request("$JS.API.STREAM.INFO.S".to_owned(), b"{}".to_vec(), line, now);
                let given_up = now + Duration::from_secs(1);
                let created = created(&answer);
                self.stage = Stage::Asking { incarnation, inbox, reply, given_up, created };
                return;
            }
            Ok(answer) => match answer["error"]["err_code"].as_u64().unwrap() {
                10013 | 10148 => CreateFault::NameTaken,
                10059 => CreateFault::NoStream,
                code => panic!("the server refuses with {code}: {answer}"),
            },
            Err(fault) => fault,
        };
        self.failed(incarnation, inbox, fault, now);
    }

    fn seen(&mut self, answer: Result<Value, CreateFault>, now: Instant) {
        let Stage::Asking { incarnation, inbox, mut created, .. } =
            std::mem::replace(&mut self.stage, Stage::Waiting(None))
        else {
            panic!()
        };
        let state = match answer {
            Ok(answer) if answer.get("error").is_none() => answer,
            Ok(_) => return self.failed(incarnation, inbox, CreateFault::NoStream, now),
            Err(fault) => return self.failed(incarnation, inbox, fault, now),
        };
        let found = state["created"].as_str().unwrap();
        let replaced = found != self.stream_created;
        self.stream_created = found.to_owned();
        let number = |name: &str| state["state"][name].as_u64().unwrap();
        created.stream = Some(StreamSeen { first: number("first_seq"), last: number("last_seq"), replaced });
        (self.attempts, self.newest) = (0, incarnation);
        self.stage = Stage::Reading(inbox);
        self.machine.created(incarnation, created, now);
    }

    fn failed(&mut self, incarnation: u64, inbox: Inbox, fault: CreateFault, now: Instant) {
        self.stage = Stage::Waiting(Some((incarnation, inbox)));
        self.machine.create_failed(incarnation, fault, now);
    }
}
