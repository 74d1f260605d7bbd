//! Where the messages of an incarnation come from, as `run/ordered/push_source` and `run/ordered/pull_source` are, but on the virtual
//! clock.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use nats_lifeline::jetstream::decide::ordered::Cause;
use nats_lifeline::jetstream::decide::pull::{Effect, End, Event, Pull};
use nats_lifeline::testing::jetstream::Out;

use super::requests::{Settings, name};
use crate::line::{Line, Probe, Sent};
use crate::pull::{Arrived, event};

/// More than two batches: single messages that are requested while everything else is in doubt.
const OVER: u64 = 16;

/// What has arrived for an incarnation.
pub(super) enum Signal {
    Message(Out),
    Heartbeat {
        sent: Option<u64>,
    },
    /// Messages are missing from here on, or may be.
    Lost(Cause),
    Nothing,
}

/// What an effect of the pull machine leaves to do.
enum Step {
    Deliver,
    Signal(Signal),
}

/// A subscription and its inbox, and the machine that pulls, if messages are not pushed.
#[derive(Debug)]
pub(super) struct Source {
    incarnation: u64,
    waiting: VecDeque<Arrived>,
    capacity: usize,
    pull: Option<Pull>,
    probe: Probe,
    batch: u64,
}

impl Source {
    /// Subscribes for an incarnation that is about to be created, or was.
    pub(super) fn open(settings: &Settings, incarnation: u64, line: &mut Line, now: Instant) -> Source {
        let up = line.connected_since().is_some();
        let machine = |pulls: &_| Pull::new(Clone::clone(pulls), up, now, settings.seed ^ incarnation);
        let pull = settings.pulls.as_ref().map(machine);
        let batch = settings.pulls.as_ref().map_or(0, |pulls| pulls.batch);
        let (waiting, capacity) = (VecDeque::new(), settings.capacity);
        let source = Source { incarnation, waiting, capacity, pull, probe: Probe::default(), batch };
        line.subscribe(&source.subject());
        source
    }

    pub(super) fn close(&self, line: &mut Line) {
        line.unsubscribe(&self.subject());
    }

    fn subject(&self) -> String {
        match self.pull {
            Some(_) => format!("{}*", self.inbox()),
            None => inbox(self.incarnation),
        }
    }

    /// What the reply subjects of pulls begin with.
    fn inbox(&self) -> String {
        format!("in{}.", self.incarnation)
    }

    /// The token of a pull; `None`: that is not for us.
    fn token(&self, to: &str) -> Option<u64> {
        self.pull.as_ref()?;
        to.strip_prefix(&self.inbox())?.parse().ok()
    }

    /// Whether something that has this subject comes to this inbox.
    pub(super) fn hears(&self, to: &str) -> bool {
        match self.pull {
            Some(_) => self.token(to).is_some(),
            None => to == inbox(self.incarnation),
        }
    }

    pub(super) fn came(&mut self, message: Out) {
        let messages = self.waiting.iter().filter(|waiting| matches!(waiting, Arrived::Message(_))).count();
        if messages < self.capacity {
            self.waiting.push_back(Arrived::Message(message));
        } else if !matches!(self.waiting.back(), Some(Arrived::Lagged(_))) {
            self.waiting.push_back(Arrived::Lagged(1));
        }
        self.check();
    }

    /// Nobody has received a pull.
    pub(super) fn no_responders(&mut self, to: &str) {
        if let Some(token) = self.token(to) {
            self.waiting.push_back(Arrived::NoResponders(token));
        }
    }

    pub(super) fn pong(&mut self, number: u64) {
        self.probe.pong(number);
    }

    pub(super) fn interrupted(&mut self) {
        self.waiting.push_back(Arrived::Interrupted);
    }

    /// When it has to be read again, whatever arrives.
    pub(super) fn alarm(&self) -> Option<Instant> {
        self.pull.as_ref()?.alarm()
    }

    /// The next thing that has arrived, when it is read.
    pub(super) fn signal(&mut self, line: &mut Line, now: Instant) -> Option<Signal> {
        if self.pull.is_none() {
            return match self.waiting.pop_front()? {
                Arrived::Message(message) if is_control(&message) => Some(control(&message, line, now)),
                Arrived::Message(message) => Some(Signal::Message(message)),
                Arrived::Lagged(_) => Some(Signal::Lost(Cause::Lagged)),
                _ => Some(Signal::Lost(Cause::Interrupted)),
            };
        }
        if self.machine().is_due(|| now) {
            self.machine().on(now, Event::Polled);
        }
        for _ in 0..10_000 {
            if let Some(Step::Signal(signal)) = self.act(line, now) {
                return Some(signal);
            }
            if let Some(arrived) = self.waiting.pop_front() {
                match self.arrived(arrived, line, now) {
                    Some(signal) => return Some(signal),
                    None => continue,
                }
            }
            if let (true, Some(since)) = (self.machine().is_down(), line.connected_since()) {
                self.machine().on(now, Event::Connected(since));
            }
            if let Some(answered) = self.probe.event() {
                self.machine().on(now, answered);
            }
            self.machine().on(now, Event::Waiting);
            if let Some(Step::Signal(signal)) = self.act(line, now) {
                return Some(signal);
            }
            if self.alarm().is_none_or(|at| at > now) {
                self.check();
                return None;
            }
        }
        panic!("it never waits: {:?}", self.pull);
    }

    fn machine(&mut self) -> &mut Pull {
        self.pull.as_mut().unwrap()
    }

    /// What has arrived for a pull, for the machine of the ordered consumer.
    fn arrived(&mut self, arrived: Arrived, line: &mut Line, now: Instant) -> Option<Signal> {
        match &arrived {
            Arrived::Lagged(_) => return Some(Signal::Lost(Cause::Lagged)),
            Arrived::Interrupted => return Some(Signal::Lost(Cause::Interrupted)),
            Arrived::NoResponders(_) => return Some(Signal::Lost(Cause::Gone)),
            Arrived::Message(message) if message.headers.starts_with(b"NATS/1.0 409 Consumer Deleted") => {
                return Some(Signal::Lost(Cause::Gone));
            }
            Arrived::Message(_) => {}
        }
        self.machine().on(now, event(&arrived)?);
        match (self.act(line, now), arrived) {
            (Some(Step::Deliver), Arrived::Message(message)) => Some(Signal::Message(message)),
            (Some(Step::Signal(signal)), _) => Some(signal),
            (None, Arrived::Message(message)) if is_control(&message) => {
                let sent = header(&message, "Nats-Last-Consumer: ").map(|sent| sent.parse().unwrap());
                Some(Signal::Heartbeat { sent })
            }
            _ => None,
        }
    }

    /// Does what the pull machine says.
    fn act(&mut self, line: &mut Line, now: Instant) -> Option<Step> {
        while let Some(effect) = self.machine().next_effect() {
            match effect {
                Effect::Pull(sending) => {
                    let mut payload = Vec::new();
                    self.machine().request(sending).write(&mut payload);
                    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.S.{}", name(self.incarnation));
                    let reply = Some(format!("{}{}", self.inbox(), sending.token));
                    line.publish(Sent { subject, reply, payload }, now);
                }
                Effect::Deliver => return Some(Step::Deliver),
                Effect::Probe => self.probe.send(line, now),
                Effect::Inquire => return Some(Step::Signal(Signal::Lost(Cause::Silent))),
                Effect::Tell(_) | Effect::Complain(_) => {}
                Effect::End(End::Gone) => return Some(Step::Signal(Signal::Lost(Cause::Gone))),
                Effect::End(end) => panic!("{end:?}"),
            }
        }
        None
    }

    /// J6: what has arrived and what may come is bounded.
    fn check(&self) {
        let Some(pull) = &self.pull else { return };
        let most = 2 * self.batch + OVER;
        let (expected, doubtful) = pull.outstanding();
        assert!(expected + doubtful <= most, "{expected} and {doubtful} messages may come, of {most}");
        let unread = self.waiting.iter().filter_map(|arrived| match arrived {
            Arrived::Message(message) => message.reply.as_deref(),
            _ => None,
        });
        // One that comes twice is one message.
        let unread = unread.collect::<HashSet<_>>().len() as u64;
        assert!(unread <= most, "{unread} messages are buffered, of {most}");
    }
}

/// Where messages are pushed to.
pub(super) fn inbox(incarnation: u64) -> String {
    format!("inbox.{incarnation}")
}

fn is_control(message: &Out) -> bool {
    message.headers.starts_with(b"NATS/1.0 100")
}

/// A heartbeat or a question of a push consumer. It is answered.
fn control(message: &Out, line: &mut Line, now: Instant) -> Signal {
    let (answer, signal) = match &message.reply {
        Some(answer) => (Some(answer.clone()), Signal::Nothing),
        None => {
            let sent = header(message, "Nats-Last-Consumer: ").map(|sent| sent.parse().unwrap());
            (header(message, "Nats-Consumer-Stalled: "), Signal::Heartbeat { sent })
        }
    };
    if let Some(subject) = answer {
        line.publish(Sent { subject, reply: None, payload: Vec::new() }, now);
    }
    signal
}

fn header(message: &Out, name: &str) -> Option<String> {
    let text = std::str::from_utf8(&message.headers).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}
