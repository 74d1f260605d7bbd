//! A consumer: where it stands in its stream, and what it has delivered.

mod acks;
mod delivery;
mod info;
mod pulls;
mod push;

use super::consumer_config::{Ack, ConsumerConfig, Deliver};
use super::fault::Fault;
use super::faults::{Election, WaitingPulls};
use super::log::Log;
use super::time::Time;
use super::turn::{Turn, status};
use pulls::Pull;
use push::Flow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) use acks::AckTokens;
pub(super) use info::Creation;

/// How often the interest in a consumer is looked at, as a part of the time after which it is deleted.
const LOOKS: u64 = 8;

/// A place in the consumer's deliveries and in its stream, and when it was reached.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    consumer: u64,
    stream: u64,
    at: Option<Time>,
}

/// A delivered message that is not acknowledged.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// The number of its first delivery.
    number: u64,
    /// When it is delivered again.
    due: Time,
}

#[derive(Debug)]
pub(super) struct Consumer {
    stream: String,
    name: String,
    config: ConsumerConfig,
    created: Time,
    /// The first sequence that was not looked at.
    next: u64,
    /// Messages before `next` that come first: the last ones of their subjects.
    starts: BTreeSet<u64>,
    /// How many messages of the stream were not delivered yet.
    ahead: u64,
    delivered: Place,
    floor: Place,
    open: BTreeMap<u64, Open>,
    due: BTreeSet<(Time, u64)>,
    /// How often each message was delivered that was delivered more than once.
    repeats: BTreeMap<u64, u64>,
    /// To be delivered again, now.
    again: VecDeque<u64>,
    pulls: VecDeque<Pull>,
    flow: Flow,
    /// When somebody was interested in it.
    active: Time,
    /// When its interest is looked at next.
    look: Time,
    election: Option<Election>,
}

impl Consumer {
    pub(super) fn new(stream: &str, name: &str, config: ConsumerConfig, log: &Log, now: Time) -> Self {
        let mut made = Self {
            stream: stream.to_owned(),
            name: name.to_owned(),
            created: now,
            next: 0,
            starts: BTreeSet::new(),
            ahead: 0,
            delivered: Place::default(),
            floor: Place::default(),
            open: BTreeMap::new(),
            due: BTreeSet::new(),
            repeats: BTreeMap::new(),
            again: VecDeque::new(),
            pulls: VecDeque::new(),
            flow: Flow::new(now, config.idle_heartbeat),
            active: now,
            look: now,
            election: None,
            config,
        };
        made.begin(log);
        made.look_again(now);
        made
    }

    /// Places it where its policy says.
    fn begin(&mut self, log: &Log) {
        let config = &self.config;
        let wants = |subject: &str| config.wants(subject);
        self.next = match config.deliver_policy {
            Deliver::All => log.first().max(1),
            Deliver::New => log.last() + 1,
            Deliver::Last => {
                let last = log.iter().rev().find(|(_, message)| wants(&message.subject));
                last.map_or(log.last() + 1, |(seq, _)| seq)
            }
            Deliver::ByStartSequence => config.opt_start_seq,
            Deliver::ByStartTime => {
                let start = config.start_time().unwrap_or_default();
                let first = log.iter().find(|(_, message)| message.time >= start);
                first.map_or(log.last() + 1, |(seq, _)| seq)
            }
            Deliver::LastPerSubject => {
                let subjects = log.subjects(">").filter(|(subject, _)| wants(subject));
                self.starts = subjects.filter_map(|(_, seqs)| seqs.last().copied()).collect();
                log.last() + 1
            }
        };
        let before = self.starts.first().copied().unwrap_or(self.next).saturating_sub(1);
        self.delivered = Place { stream: before, ..Place::default() };
        self.floor = self.delivered;
        let rest = log.iter().filter(|(seq, message)| *seq >= self.next && config.wants(&message.subject));
        self.ahead = (rest.count() + self.starts.len()) as u64;
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    pub(super) fn wants(&self, subject: &str) -> bool {
        self.config.wants(subject)
    }

    /// A message was stored.
    pub(super) fn stored(&mut self, seq: u64, subject: &str) {
        if seq >= self.next && self.config.wants(subject) {
            self.ahead += 1;
        }
    }

    /// A message was removed from the stream.
    pub(super) fn removed(&mut self, seq: u64, subject: &str) {
        if self.starts.remove(&seq) || (seq >= self.next && self.config.wants(subject)) {
            self.ahead = self.ahead.saturating_sub(1);
        }
        if self.open.contains_key(&seq) {
            self.close(seq);
        }
    }

    /// Whether the consumer is done with a message: nothing will be delivered of it any more.
    pub(super) fn is_done_with(&self, seq: u64, subject: &str) -> bool {
        let waits = seq >= self.next || self.starts.contains(&seq) || self.open.contains_key(&seq);
        !waits || !self.config.wants(subject)
    }

    /// Changes the configuration. Its place stays.
    pub(super) fn update(&mut self, config: ConsumerConfig, log: &Log) {
        self.config = config;
        let wanted = |seq: &u64| log.get(*seq).is_some_and(|message| self.config.wants(&message.subject));
        let rest = log.iter().filter(|(seq, message)| *seq >= self.next && self.config.wants(&message.subject));
        self.ahead = (rest.count() + self.starts.iter().filter(|seq| wanted(seq)).count()) as u64;
    }

    /// Moves it to a sequence, or to what follows its acknowledgement floor, and forgets what is open. Returns where it goes on.
    pub(super) fn reset(&mut self, seq: u64, log: &Log) -> Result<u64, Fault> {
        let refused = |why: &str| Err(Fault::new(400, 10204, format!("invalid reset: {why}")));
        let start = self.config.start_time();
        match self.config.deliver_policy {
            _ if seq == 0 => {}
            Deliver::All => {}
            Deliver::ByStartSequence if seq < self.config.opt_start_seq => return refused("below start seq"),
            Deliver::ByStartTime if log.get(seq).is_none_or(|message| Some(message.time) < start) => {
                return refused("below start time");
            }
            Deliver::ByStartSequence | Deliver::ByStartTime => {}
            Deliver::New | Deliver::Last | Deliver::LastPerSubject => return refused("not allowed"),
        }
        self.next = if seq == 0 { self.floor.stream + 1 } else { seq };
        self.starts.clear();
        self.open.clear();
        self.due.clear();
        self.repeats.clear();
        self.again.clear();
        self.delivered = Place { stream: self.next.saturating_sub(1), ..Place::default() };
        self.floor = self.delivered;
        let rest = log.iter().filter(|(seq, message)| *seq >= self.next && self.config.wants(&message.subject));
        self.ahead = rest.count() as u64;
        Ok(self.next)
    }

    pub(super) fn is_paused(&self, now: Time) -> bool {
        self.config.paused_until().is_some_and(|until| until > now)
    }

    pub(super) fn pause(&mut self, until: Option<String>) {
        let level = if until.is_some() { "1" } else { "0" };
        self.config.metadata.insert("_nats.req.level".to_owned(), level.to_owned());
        self.config.pause_until = until;
    }

    /// The fault under which it has no leader.
    pub(super) fn election(&self, now: Time) -> Option<&Election> {
        self.election.as_ref().filter(|election| election.until > now)
    }

    /// The leader goes: waiting pulls are lost, with a status or without.
    pub(super) fn elect(&mut self, election: Election, turn: &mut Turn<'_>) {
        let pulls = std::mem::take(&mut self.pulls);
        if election.waiting == WaitingPulls::Told {
            for pull in pulls {
                turn.status(&pull.reply, status(409, "Leadership Change", &[]));
            }
        }
        self.flow = Flow::new(turn.now, self.config.idle_heartbeat);
        self.election = Some(election);
    }

    /// Everything that a restart of the server forgets.
    pub(super) fn restart(&mut self, now: Time) {
        self.pulls.clear();
        self.flow = Flow::new(now, self.config.idle_heartbeat);
        self.election = None;
        self.active = now;
        self.look_again(now);
    }

    /// Says goodbye to waiting pulls.
    pub(super) fn deleted(&mut self, turn: &mut Turn<'_>) {
        for pull in std::mem::take(&mut self.pulls) {
            turn.status(&pull.reply, status(409, "Consumer Deleted", &[]));
        }
    }

    /// What is due by the clock, except for deliveries.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        if self.election.as_ref().is_some_and(|election| election.until <= turn.now) {
            self.election = None;
        }
        if self.election.is_some() {
            return;
        }
        self.expire_pulls(turn);
        self.overdue(turn.now);
        self.beat(turn);
        if self.config.inactive_threshold > 0 && self.look <= turn.now {
            if self.has_interest(turn) {
                self.active = turn.now;
            }
            self.look_again(turn.now);
        }
    }

    fn has_interest(&self, turn: &Turn<'_>) -> bool {
        match self.config.is_pull() {
            true => self.pulls.iter().any(|pull| turn.wanted(&pull.reply)),
            false => turn.wanted(&self.config.deliver_subject),
        }
    }

    fn look_again(&mut self, now: Time) {
        let threshold = self.config.inactive_threshold;
        let end = self.active.saturating_add(threshold);
        self.look = now.saturating_add((threshold / LOOKS).max(1)).min(end.max(now + 1));
    }

    /// Whether nobody has been interested for longer than it lives without.
    pub(super) fn is_abandoned(&self, now: Time) -> bool {
        let threshold = self.config.inactive_threshold;
        threshold > 0 && now >= self.active.saturating_add(threshold)
    }

    /// When something is due next.
    pub(super) fn deadline(&self, now: Time) -> Option<Time> {
        if let Some(election) = self.election(now) {
            return Some(election.until);
        }
        let look = Some(self.look).filter(|_| self.config.inactive_threshold > 0);
        let due = self.due.first().map(|(due, _)| *due);
        let pulls = self.pulls.iter().filter_map(Pull::deadline).min();
        let paused = self.config.paused_until().filter(|until| *until > now);
        [look, due, pulls, paused, self.flow.deadline()].into_iter().flatten().min()
    }

    /// What has to hold whatever happened.
    #[cfg(test)]
    pub(super) fn check(&self, log: &Log, now: Time) {
        let rest = log.iter().filter(|(seq, message)| *seq >= self.next && self.config.wants(&message.subject));
        assert_eq!(self.ahead, (rest.count() + self.starts.len()) as u64, "pending");
        assert!(self.starts.iter().all(|seq| log.get(*seq).is_some()), "a start that was removed");
        assert!(self.open.keys().all(|seq| log.get(*seq).is_some()), "an open message that was removed");
        assert!(self.floor.stream <= self.delivered.stream, "{:?} {:?}", self.floor, self.delivered);
        assert!(self.open.keys().all(|seq| *seq > self.floor.stream), "{:?} {:?}", self.open, self.floor);
        for (seq, open) in &self.open {
            assert!(self.due.contains(&(open.due, *seq)) || self.again.contains(seq), "{seq} is never delivered again");
        }
        assert!(self.due.iter().all(|(_, seq)| self.open.contains_key(seq)), "a time without a message");
        assert!(self.pulls.iter().all(|pull| pull.left > 0), "a pull that wants nothing");
        assert!(self.deadline(now).is_none_or(|due| due > now), "{self:?} is due at {now}");
    }

    fn acks(&self) -> bool {
        self.config.ack_policy != Ack::None
    }
}
