//! A client's line to the model server: subscriptions, messages on their way, and what a cut loses.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::decide::pull::Event;
use nats_lifeline::protocol::{PubOp, matches};
use nats_lifeline::testing::jetstream::{JetStream, Out};
use rand::RngExt;
use rand::rngs::SmallRng;
use serde_json::Value;

/// A message that is published by the client.
pub(crate) struct Sent {
    pub(crate) subject: String,
    pub(crate) reply: Option<String>,
    pub(crate) payload: Vec<u8>,
}

/// What has arrived at the client.
#[derive(Debug)]
pub(crate) enum Came {
    Message(Out),
    /// Nobody listens to the request with this reply subject.
    NoResponders(String),
    /// The answer to this PING.
    Pong(u64),
}

/// The last PING that a machine has asked for.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    number: u64,
    answered: bool,
}

impl Probe {
    pub(crate) fn send(&mut self, line: &mut Line, now: Instant) {
        *self = Probe { number: line.ping(now), answered: false };
    }

    /// A PING was answered, perhaps this one.
    pub(crate) fn pong(&mut self, number: u64) {
        self.answered |= number == self.number;
    }

    /// What the machine is to be told, once.
    pub(crate) fn event(&mut self) -> Option<Event<'static>> {
        std::mem::take(&mut self.answered).then_some(Event::Probed { answered: true })
    }
}

/// The subject of PINGs, which are no messages; their reply subjects are their numbers.
const PING: &str = "PING";

pub(crate) struct Line {
    pub(crate) server: JetStream,
    subjects: BTreeSet<String>,
    /// `None` while there is no connection.
    up_since: Option<Instant>,
    /// The server believes in a dead connection until then.
    believes_until: Instant,
    latency: Duration,
    pings: u64,
    /// Nothing gets through before, to the server and to the client.
    stalled_until: [Instant; 2],
    /// The first window of the flow control of each consumer.
    window: Option<u64>,
    windowed: BTreeSet<String>,
    /// Messages of the client that nobody has received.
    lost: BTreeSet<String>,
    to_server: VecDeque<(Instant, Sent)>,
    to_client: VecDeque<(Instant, Came)>,
}

impl Line {
    pub(crate) fn new(seed: u64, latency: Duration, now: Instant) -> Line {
        Line {
            server: JetStream::new(seed),
            subjects: BTreeSet::new(),
            up_since: Some(now),
            believes_until: now,
            latency,
            pings: 0,
            stalled_until: [now; 2],
            window: None,
            windowed: BTreeSet::new(),
            lost: BTreeSet::new(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
        }
    }

    /// Consumers that are created from now on begin with this window of the flow control, in bytes.
    pub(crate) fn set_window(&mut self, bytes: u64) {
        self.window = Some(bytes);
    }

    /// How long everything takes, one way.
    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    pub(crate) fn connected_since(&self) -> Option<Instant> {
        self.up_since
    }

    /// Whether the last message to this subject was lost.
    pub(crate) fn has_lost(&self, subject: &str) -> bool {
        self.lost.contains(subject)
    }

    /// A subscription, which each connection has from its beginning on.
    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.subjects.insert(subject.to_owned());
    }

    pub(crate) fn unsubscribe(&mut self, subject: &str) {
        self.subjects.remove(subject);
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.subjects.len()
    }

    /// A message of the client. While there is no connection it waits for the next one.
    pub(crate) fn publish(&mut self, sent: Sent, now: Instant) {
        self.to_server.push_back(((now + self.latency).max(self.stalled_until[0]), sent));
    }

    /// A PING; its number.
    fn ping(&mut self, now: Instant) -> u64 {
        self.pings += 1;
        self.publish(Sent { subject: PING.to_owned(), reply: Some(self.pings.to_string()), payload: Vec::new() }, now);
        self.pings
    }

    /// Somebody else's message or request, without delay.
    pub(crate) fn publish_elsewhere(&mut self, subject: &str, payload: &[u8], now: Instant) {
        let message = PubOp { subject: subject.as_bytes(), reply: None, headers: None, payload };
        self.ask_server(now, |server, interest, out| server.handle(&message, now, interest, out));
    }

    /// Somebody else's request, and its answer; `None`: nobody answers.
    pub(crate) fn request_elsewhere(&mut self, subject: &str, payload: &Value, now: Instant) -> Option<Value> {
        let payload = payload.to_string().into_bytes();
        let message =
            PubOp { subject: subject.as_bytes(), reply: Some(b"elsewhere"), headers: None, payload: &payload };
        let mut out = Vec::new();
        self.ask_server(now, |server, interest, more| {
            let interest = |subject: &str| subject == "elsewhere" || interest(subject);
            server.handle(&message, now, &interest, more);
            let own = |message: &Out| message.to == "elsewhere";
            out = more.iter().filter(|message| own(message)).cloned().collect();
            more.retain(|message| !own(message));
        });
        let answer: Value = serde_json::from_slice(&out.first()?.payload).unwrap();
        Some(answer)
    }

    /// Lets the server do something, and sends what comes of it.
    pub(crate) fn ask_server<T>(
        &mut self,
        now: Instant,
        ask: impl FnOnce(&mut JetStream, &dyn Fn(&str) -> bool, &mut Vec<Out>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let believed = self.up_since.is_some() || now < self.believes_until;
        let subjects = &self.subjects;
        let own = |subject: &str| subjects.iter().any(|own| matches(own.as_bytes(), subject.as_bytes()));
        let interest = |subject: &str| believed && (subject.starts_with("reply.") || own(subject));
        let answer = ask(&mut self.server, &interest, &mut out);
        if self.up_since.is_some() {
            let at = (now + self.latency).max(self.stalled_until[1]);
            self.to_client.extend(out.into_iter().map(|out| (at, Came::Message(out))));
        }
        answer
    }

    /// The connection ends. Of what is on its way, a part arrives.
    pub(crate) fn cut(&mut self, rng: &mut SmallRng, now: Instant) {
        if self.up_since.take().is_none() {
            return;
        }
        let arrives = rng.random_range(0..=self.to_server.len());
        let lost = self.to_server.split_off(arrives);
        self.lost.extend(lost.into_iter().map(|(_, sent)| sent.subject));
        let sent = std::mem::take(&mut self.to_server);
        sent.into_iter().for_each(|(_, sent)| self.arrive(sent, now));
        self.to_client.truncate(rng.random_range(0..=self.to_client.len()));
        self.believes_until =
            now + Duration::from_millis(if rng.random_bool(0.5) { 0 } else { rng.random_range(0..4000) });
        // What was read before the end of the connection was noticed.
        self.to_client.iter_mut().for_each(|(at, _)| *at = now);
    }

    /// Nothing gets through for a time, to the server and to the client, and everything after that.
    pub(crate) fn stall(&mut self, to_server: Instant, to_client: Instant) {
        if self.up_since.is_some() {
            let [server, client] = &mut self.stalled_until;
            (*server, *client) = (to_server.max(*server), to_client.max(*client));
            self.to_server.iter_mut().for_each(|(at, _)| *at = to_server.max(*at));
            self.to_client.iter_mut().for_each(|(at, _)| *at = to_client.max(*at));
        }
    }

    /// It is stalled no more.
    pub(crate) fn unstall(&mut self, now: Instant) {
        self.stalled_until = [now; 2];
        let at = now + self.latency;
        self.to_server.iter_mut().for_each(|(due, _)| *due = at.min(*due));
        self.to_client.iter_mut().for_each(|(due, _)| *due = at.min(*due));
    }

    /// Until when the line is stalled.
    pub(crate) fn stalled_until(&self) -> Instant {
        self.stalled_until[0].max(self.stalled_until[1])
    }

    pub(crate) fn connect(&mut self, now: Instant) {
        if self.up_since.is_none() {
            self.up_since = Some(now);
            self.stalled_until = [now; 2];
            self.to_server.iter_mut().for_each(|(at, _)| *at = now + self.latency);
        }
    }

    fn arrive(&mut self, sent: Sent, now: Instant) {
        if sent.subject == PING {
            if let (Some(number), true) = (sent.reply.and_then(|number| number.parse().ok()), self.up_since.is_some()) {
                let at = (now + self.latency).max(self.stalled_until[1]);
                self.to_client.push_back((at, Came::Pong(number)));
            }
            return;
        }
        let message = PubOp {
            subject: sent.subject.as_bytes(),
            reply: sent.reply.as_deref().map(str::as_bytes),
            headers: None,
            payload: &sent.payload,
        };
        // A new consumer sends nothing before its window is set: a moment later.
        let creates = sent.subject.contains(".CONSUMER.CREATE.");
        let received = self.ask_server(now, |server, interest, out| {
            let interest = |subject: &str| interest(subject) && (!creates || subject.starts_with("reply."));
            server.handle(&message, now, &interest, out)
        });
        self.open_windows();
        if !received {
            self.lost.insert(sent.subject);
        }
        if let (false, Some(reply), true) = (received, sent.reply, self.up_since.is_some()) {
            let at = (now + self.latency).max(self.stalled_until[1]);
            self.to_client.push_back((at, Came::NoResponders(reply)));
        }
    }

    fn open_windows(&mut self) {
        let Some(window) = self.window else { return };
        let names: Vec<_> = self.server.consumer_names("S").map(str::to_owned).collect();
        for name in names.iter().filter(|name| !self.windowed.contains(*name)) {
            self.server.set_flow_window("S", name, window);
        }
        self.windowed = names.into_iter().collect();
    }

    /// The reply subjects of messages on their way to subscriptions of the client that begin so.
    pub(crate) fn on_their_way(&self, to: &str) -> impl Iterator<Item = &str> {
        let sent = self.to_client.iter().filter_map(|(_, came)| match came {
            Came::Message(out) => Some(out),
            Came::NoResponders(_) | Came::Pong(_) => None,
        });
        let all = sent.chain(self.server.held_deliveries());
        all.filter(move |out| out.to.starts_with(to)).filter_map(|out| out.reply.as_deref())
    }

    /// The reply subjects of what the client has sent and the server has not received.
    pub(crate) fn requests_on_their_way(&self) -> impl Iterator<Item = &str> {
        self.to_server.iter().filter_map(|(_, sent)| sent.reply.as_deref())
    }

    /// Whether something that was sent arrives now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let to_server = self.to_server.front().filter(|_| self.up_since.is_some()).is_some_and(|(at, _)| *at <= now);
        to_server || self.to_client.front().is_some_and(|(at, _)| *at <= now)
    }

    /// When something happens next.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Instant> {
        let up = self.up_since.is_some();
        let to_server = self.to_server.front().map(|(at, _)| *at).filter(|_| up);
        let to_client = self.to_client.front().map(|(at, _)| *at);
        [to_server, to_client, self.server.next_deadline(now)].into_iter().flatten().min()
    }

    /// What has arrived at the client by now.
    pub(crate) fn pass(&mut self, now: Instant) -> Vec<Came> {
        self.ask_server(now, |server, interest, out| server.tick(now, interest, out));
        let mut is_new = false;
        while self.up_since.is_some() && self.to_server.front().is_some_and(|(at, _)| *at <= now) {
            let (_, sent) = self.to_server.pop_front().unwrap();
            self.arrive(sent, now);
            is_new = true;
        }
        if is_new {
            self.ask_server(now, |server, interest, out| server.tick(now, interest, out));
        }
        let count = self.to_client.iter().take_while(|(at, _)| *at <= now).count();
        self.to_client.drain(..count).map(|(_, came)| came).collect()
    }
}
