//! A script of raw requests, and the record of what came back.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use nats_lifeline::testing::Broker;
use serde_json::{Value, json};

use crate::support::{RawClient, RawMessage, Server};

/// How long a message may take that should come. One that comes on neither side costs this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long silence is waited for. Messages that come later are compared as well, with those of the next step.
const SILENCE: Duration = Duration::from_millis(300);

pub(crate) struct Script {
    client: RawClient,
    inboxes: u32,
    /// What came before the answer that was waited for.
    early: VecDeque<RawMessage>,
    record: Vec<(String, Value)>,
}

/// Runs a script against a real server and against a broker.
pub(crate) async fn compare(script: impl AsyncFn(&mut Script)) {
    let server = Server::builder().jetstream().start().await;
    let broker = Broker::builder().jetstream(true).start().await.unwrap();
    let (real, model) = tokio::join!(run(server.port(), &script), run(broker.port(), &script));
    let mut differences = Vec::new();
    for ((step, real), (_, model)) in real.iter().zip(&model) {
        let mut found = Vec::new();
        differing("", real, model, &mut found);
        if !found.is_empty() {
            differences.push(format!("{step}\n{}", found.join("\n")));
        }
    }
    assert_eq!(real.len(), model.len());
    assert!(real.len() > 3, "a script that says nothing");
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), real.len(), differences.join("\n"));
}

async fn run(port: u16, script: impl AsyncFn(&mut Script)) -> Vec<(String, Value)> {
    let mut client = RawClient::connect(port).await;
    client.subscribe("_INBOX.>", "1").await;
    let mut running = Script { client, inboxes: 0, early: VecDeque::new(), record: Vec::new() };
    script(&mut running).await;
    running.record
}

impl Script {
    /// A request to the API.
    pub(crate) async fn api(&mut self, verb: &str, body: Value) -> Value {
        if verb.starts_with("CONSUMER.INFO") {
            // A server counts after it has delivered.
            self.pause(100).await;
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(&format!("$JS.API.{verb}"), "", &body).await
    }

    /// A message with a reply subject, whose answer is recorded and returned.
    pub(crate) async fn ask(&mut self, subject: &str, headers: &str, body: &str) -> Value {
        let inbox = self.say(subject, headers, body).await;
        let answer = shown(self.answer_to(&inbox).await);
        self.record.push((format!("{subject} {headers:?} {body}"), answer.clone()));
        answer
    }

    /// A message with a new reply subject, which is returned.
    pub(crate) async fn say(&mut self, subject: &str, headers: &str, body: &str) -> String {
        self.inboxes += 1;
        let inbox = format!("_INBOX.{}", self.inboxes);
        let target = format!("{subject} {inbox}");
        match headers {
            "" => self.client.publish(&target, body).await,
            _ => self.client.publish_with_headers(&target, &format!("NATS/1.0\r\n{headers}\r\n\r\n"), body).await,
        }
        inbox
    }

    /// A pull with a reply subject of the script's choice.
    pub(crate) async fn pull_to(&mut self, reply: &str, body: Value) {
        let target = format!("$JS.API.CONSUMER.MSG.NEXT.S.c {reply}");
        self.client.publish(&target, body.to_string()).await;
        // A round trip through the API, after which the pull has arrived.
        self.api("CONSUMER.NAMES.S", Value::Null).await;
    }

    pub(crate) async fn pause(&mut self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// A message that nobody answers.
    pub(crate) async fn tell(&mut self, subject: &str, body: &str) {
        self.client.publish(subject, body).await;
        self.client.sync().await;
    }

    /// Creates the stream `S` of the subjects `s.>`, with these fields too.
    pub(crate) async fn stream(&mut self, fields: Value) {
        self.api("STREAM.CREATE.S", with(json!({ "name": "S", "subjects": ["s.>"] }), fields)).await;
    }

    /// Creates the consumer `c`, durable and with explicit acknowledgements unless these fields say otherwise.
    pub(crate) async fn worker(&mut self, fields: Value) -> Value {
        let config = with(json!({ "durable_name": "c", "ack_policy": "explicit" }), fields);
        self.api("CONSUMER.CREATE.S.c", json!({ "stream_name": "S", "config": config })).await
    }

    /// Stores this many messages.
    pub(crate) async fn fill(&mut self, messages: u32) {
        self.fill_below("s", messages).await;
    }

    /// Stores this many messages, of the subjects `prefix.1`, `prefix.2` …
    pub(crate) async fn fill_below(&mut self, prefix: &str, messages: u32) {
        for n in 1..=messages {
            let inbox = self.say(&format!("{prefix}.{n}"), "", &format!("message {n}")).await;
            let answer = shown(self.answer_to(&inbox).await);
            self.record.push((format!("message {n} of {messages}"), answer));
        }
    }

    /// What comes to this inbox. What comes before it is for a later step: a server delivers in its own time.
    async fn answer_to(&mut self, inbox: &str) -> Option<RawMessage> {
        loop {
            let message = self.arrival().await?;
            if message.subject == inbox {
                return Some(message);
            }
            self.early.push_back(message);
        }
    }

    /// A pull, and everything that comes of it, as many messages as there should be.
    pub(crate) async fn pull(&mut self, body: Value, messages: usize) -> Vec<Option<RawMessage>> {
        self.say("$JS.API.CONSUMER.MSG.NEXT.S.c", "", &body.to_string()).await;
        self.take(&body.to_string(), messages).await
    }

    /// A pull, and everything up to its status.
    pub(crate) async fn pull_to_the_end(&mut self, body: Value) {
        self.ask_to_the_end("$JS.API.CONSUMER.MSG.NEXT.S.c", body).await;
    }

    /// A request for messages, and everything up to its status.
    pub(crate) async fn direct(&mut self, body: Value) {
        self.ask_to_the_end("$JS.API.DIRECT.GET.S", body).await;
    }

    async fn ask_to_the_end(&mut self, subject: &str, body: Value) {
        self.say(subject, "", &body.to_string()).await;
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            let ended = message.headers.starts_with(b"NATS/1.0 ");
            all.push(shown(Some(message)));
            if ended {
                break;
            }
        }
        self.record.push((body.to_string(), all.into()));
    }

    /// The next messages.
    pub(crate) async fn take(&mut self, step: &str, messages: usize) -> Vec<Option<RawMessage>> {
        let mut all = Vec::new();
        for _ in 0..messages {
            all.push(self.next().await);
        }
        self.record.push((step.to_owned(), all.iter().cloned().map(shown).collect()));
        all
    }

    /// The next messages, which may come in any order.
    pub(crate) async fn take_in_any_order(&mut self, step: &str, messages: usize) {
        let mut all = Vec::new();
        for _ in 0..messages {
            all.push(shown(self.next().await));
        }
        all.sort_by_key(Value::to_string);
        self.record.push((step.to_owned(), all.into()));
    }

    /// Records that nothing comes.
    pub(crate) async fn nothing(&mut self, step: &str) {
        let came = match self.early.pop_front() {
            Some(message) => Some(message),
            None => tokio::time::timeout(SILENCE, self.client.next()).await.ok(),
        };
        self.record.push((format!("nothing: {step}"), shown(came)));
    }

    pub(crate) async fn subscribe(&mut self, subject: &str, sid: &str) {
        self.client.subscribe(subject, sid).await;
    }

    pub(crate) async fn unsubscribe(&mut self, sid: &str) {
        self.client.send(format!("UNSUB {sid}\r\n").as_bytes()).await;
        self.client.sync().await;
    }

    async fn next(&mut self) -> Option<RawMessage> {
        match self.early.pop_front() {
            Some(message) => Some(message),
            None => self.arrival().await,
        }
    }

    async fn arrival(&mut self) -> Option<RawMessage> {
        tokio::time::timeout(PATIENCE, self.client.next()).await.ok()
    }
}

pub(crate) fn with(mut base: Value, fields: Value) -> Value {
    if let (Some(base), Value::Object(fields)) = (base.as_object_mut(), fields) {
        base.extend(fields);
        base.retain(|_, value| !value.is_null());
    }
    base
}

/// A message for the comparison: without its times.
fn shown(message: Option<RawMessage>) -> Value {
    let Some(message) = message else { return "nothing".into() };
    let payload = match serde_json::from_slice(&message.payload) {
        Ok(json @ Value::Object(_)) => timeless(json),
        _ => message.text().into(),
    };
    let headers = String::from_utf8_lossy(&message.headers).into_owned();
    // Without times, and without the words of another JSON parser.
    let cut = |line: &str| -> String {
        let end = ["Time-Stamp:", "invalid character", "key must"].iter().find_map(|text| line.find(text));
        line[..end.unwrap_or(line.len())].to_owned()
    };
    let headers: Vec<String> = headers.split("\r\n").map(cut).collect();
    let reply = message.reply.filter(|reply| !reply.is_empty()).map(|reply| {
        let mut tokens: Vec<&str> = reply.split('.').collect();
        if reply.starts_with("$JS.ACK.") {
            tokens[7] = "time";
        } else if reply.starts_with("$JS.FC.") {
            tokens[4] = "id";
        }
        tokens.join(".")
    });
    json!({ "subject": message.subject, "reply": reply, "headers": headers, "payload": payload, "sid": message.sid })
}

/// Where two values differ.
fn differing(path: &str, real: &Value, model: &Value, found: &mut Vec<String>) {
    match (real, model) {
        (Value::Object(reals), Value::Object(models)) => {
            let names: BTreeSet<&String> = reals.keys().chain(models.keys()).collect();
            for name in names {
                let path = format!("{path}.{name}");
                differing(
                    &path,
                    reals.get(name).unwrap_or(&Value::Null),
                    models.get(name).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(reals), Value::Array(models)) if reals.len() == models.len() => {
            for (at, (real, model)) in reals.iter().zip(models).enumerate() {
                differing(&format!("{path}[{at}]"), real, model, found);
            }
        }
        _ if real == model => {}
        _ => found.push(format!("  {path}\n    server: {real}\n    broker: {model}")),
    }
}

/// Without what differs from server to server and from moment to moment. That it is there is compared.
fn timeless(json: Value) -> Value {
    const TIMES: [&str; 9] =
        ["created", "ts", "first_ts", "last_ts", "time", "last_active", "pause_remaining", "cluster", "timestamp"];
    const SERVERS: [&str; 4] = ["_nats.ver", "_nats.level", "level", "id"];
    match json {
        Value::Object(fields) => {
            let kept = fields.into_iter().map(|(name, value)| {
                let is_zero = value.as_str() == Some("0001-01-01T00:00:00Z");
                let differs = (TIMES.contains(&name.as_str()) && !is_zero) || SERVERS.contains(&name.as_str());
                (name, if differs { "…".into() } else { timeless(value) })
            });
            Value::Object(kept.collect())
        }
        // The words of another parser.
        Value::String(text) if text.starts_with("invalid JSON: ") => "invalid JSON".into(),
        Value::Array(items) => items.into_iter().map(timeless).collect(),
        other => other,
    }
}
