//! The model by itself. What a real server answers to the same requests is compared in `tests/servers/jetstream_broker.rs`.

mod acks;
mod faults;
mod pulls;
mod push;
mod random;
mod streams;
mod times;

use super::{ConsumerState, JetStream, Out};
use crate::protocol::{PubOp, matches};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A model with a clock, and the subjects that somebody subscribes to.
struct World {
    model: JetStream,
    start: Instant,
    now: Instant,
    subjects: Vec<String>,
}

impl World {
    fn new() -> Self {
        let start = Instant::now();
        Self { model: JetStream::new(1), start, now: start, subjects: vec!["inbox.>".to_owned()] }
    }

    /// One with the stream `S` of the subjects `s.>`, with these fields too.
    fn with_stream(fields: Value) -> Self {
        let mut world = Self::new();
        let mut config = json!({ "name": "S", "subjects": ["s.>"] });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let info = world.api("STREAM.CREATE.S", config);
        assert_eq!(info["did_create"], true, "{info}");
        world
    }

    /// Creates the consumer `c` of `S`.
    fn consumer(&mut self, config: Value) -> Value {
        let info = self.api("CONSUMER.CREATE.S.c", json!({ "stream_name": "S", "config": config }));
        assert!(info["error"].is_null(), "{info}");
        info
    }

    /// One with a stream and an explicitly acknowledging durable pull consumer `c`, with these fields too.
    fn with_worker(fields: Value) -> Self {
        let mut world = Self::with_stream(json!({}));
        let mut config = json!({ "durable_name": "c", "ack_policy": "explicit" });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        world.consumer(config);
        world
    }

    fn say(&mut self, subject: &str, reply: Option<&str>, headers: &str, payload: &[u8]) -> (bool, Vec<Out>) {
        let headers = Some(headers.as_bytes()).filter(|block| !block.is_empty());
        let reply = reply.map(str::as_bytes);
        let message = PubOp { subject: subject.as_bytes(), reply, headers, payload };
        let mut out = Vec::new();
        let subjects = self.subjects.clone();
        let interest = |subject: &str| subjects.iter().any(|own| matches(own.as_bytes(), subject.as_bytes()));
        let heard = self.model.handle(&message, self.now, &interest, &mut out);
        (heard, out)
    }

    fn api(&mut self, verb: &str, body: Value) -> Value {
        let (heard, out) = self.say(&format!("$JS.API.{verb}"), Some("inbox.api"), "", body.to_string().as_bytes());
        assert!(heard, "{verb}");
        let answer = out.iter().find(|out| out.to == "inbox.api").unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    fn publish(&mut self, subject: &str, headers: &str) -> Value {
        let (heard, out) = self.say(subject, Some("inbox.pub"), headers, b"hello");
        assert!(heard, "{subject}");
        let answer = out.iter().find(|out| out.to == "inbox.pub").unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    /// Publishes this many messages to `s.x`, from `s.1` on.
    fn fill(&mut self, messages: u64) -> Vec<Out> {
        let publish = |n: u64| self.say(&format!("s.{n}"), None, "", format!("message {n}").as_bytes()).1;
        (1..=messages).flat_map(publish).collect()
    }

    fn pull(&mut self, reply: &str, body: Value) -> Vec<Out> {
        let (heard, out) = self.say("$JS.API.CONSUMER.MSG.NEXT.S.c", Some(reply), "", body.to_string().as_bytes());
        assert!(heard);
        out
    }

    /// Answers a delivered message; returns what comes of it.
    fn answer(&mut self, to: &Out, payload: &str, reply: Option<&str>) -> Vec<Out> {
        let (heard, out) = self.say(to.reply.as_deref().unwrap(), reply, "", payload.as_bytes());
        assert!(heard);
        out
    }

    /// Lets time pass, with everything that is due on the way.
    fn pass(&mut self, millis: u64) -> Vec<Out> {
        let end = self.now + Duration::from_millis(millis);
        let mut out = Vec::new();
        loop {
            let next = self.model.next_deadline(self.now).filter(|next| *next <= end).unwrap_or(end);
            assert!(next >= self.now, "a deadline in the past");
            self.now = next;
            self.tick(&mut out);
            if next == end {
                return out;
            }
        }
    }

    fn tick(&mut self, out: &mut Vec<Out>) {
        let subjects = self.subjects.clone();
        let interest = |subject: &str| subjects.iter().any(|own| matches(own.as_bytes(), subject.as_bytes()));
        self.model.tick(self.now, &interest, out);
    }

    fn state(&self) -> ConsumerState {
        self.model.consumer("S", "c").unwrap()
    }
}

/// Payloads of messages, first lines of statuses.
fn texts(out: &[Out]) -> Vec<String> {
    let text = |out: &Out| match out.headers.strip_prefix(b"NATS/1.0 ") {
        Some(status) => String::from_utf8_lossy(status).lines().next().unwrap_or_default().to_owned(),
        None => String::from_utf8_lossy(&out.payload).into_owned(),
    };
    out.iter().map(text).collect()
}

#[test]
fn nobody_is_there_for_what_is_not_jetstreams() {
    let mut world = World::with_worker(json!({}));
    for subject in ["elsewhere", "$JS.API.CONSUMER.MSG.NEXT.S.other", "$JS.ACK.S.other.1.1.1.1.1"] {
        assert!(!world.say(subject, Some("inbox.x"), "", b"").0, "{subject}");
    }
    let (heard, out) = world.say("$JS.API.NONSENSE", Some("inbox.x"), "", b"");
    assert!(heard && out.is_empty(), "a server listens for all of the API, and does not answer that");
}
