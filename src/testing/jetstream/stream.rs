//! One stream: its messages within their limits, and its consumers.

use super::consumer::Consumer;
use super::fault::Fault;
use super::log::{Log, Stored};
use super::stream_config::{Discard, Retention, StreamConfig, limit};
use super::time::{Time, ZERO_TIME, rfc3339};
use super::turn::Turn;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) config: StreamConfig,
    pub(super) created: Time,
    pub(super) log: Log,
    pub(super) consumers: BTreeMap<String, Consumer>,
    /// A fault: until then nobody is there.
    pub(super) offline_until: Time,
    /// The id of the last message, if it had one.
    pub(super) last_id: String,
    ids: BTreeMap<String, u64>,
    /// The ids again, oldest first, with the time at which each is forgotten.
    forgets: VecDeque<(Time, String)>,
}

impl Stream {
    pub(super) fn new(config: StreamConfig, now: Time) -> Self {
        Self {
            log: Log::new(config.storage(), config.first_seq),
            config,
            created: now,
            consumers: BTreeMap::new(),
            offline_until: 0,
            last_id: String::new(),
            ids: BTreeMap::new(),
            forgets: VecDeque::new(),
        }
    }

    pub(super) fn is_offline(&self, now: Time) -> bool {
        self.offline_until > now
    }

    /// The sequence of the message with this id, if it is within the window.
    pub(super) fn duplicate(&mut self, id: &str, now: Time) -> Option<u64> {
        while self.forgets.front().is_some_and(|(time, _)| *time <= now) {
            if let Some((_, id)) = self.forgets.pop_front() {
                self.ids.remove(&id);
            }
        }
        self.ids.get(id).copied()
    }

    pub(super) fn remember(&mut self, id: &str, seq: u64, now: Time) {
        self.ids.insert(id.to_owned(), seq);
        self.forgets.push_back((now.saturating_add(self.config.duplicate_window), id.to_owned()));
    }

    /// Refuses a message that the stream has no room for, where new messages are discarded.
    pub(super) fn check_room(&self, subject: &str, size: u64) -> Result<(), Fault> {
        let config = &self.config;
        if config.discard == Discard::Old {
            return Ok(());
        }
        let full = |text: &str| Err(Fault::new(503, 10077, text));
        let of_subject = self.log.of_subject(subject).map_or(0, |seqs| seqs.len() as u64);
        let replaces = limit(config.max_msgs_per_subject).is_some_and(|most| of_subject >= most);
        if replaces && config.discard_new_per_subject {
            return full("maximum messages per subject exceeded");
        }
        if replaces {
            return Ok(());
        }
        if limit(config.max_msgs).is_some_and(|most| self.log.len() >= most) {
            return full("maximum messages exceeded");
        }
        if limit(config.max_bytes).is_some_and(|most| self.log.bytes() + size > most) {
            return full("maximum bytes exceeded");
        }
        Ok(())
    }

    /// Whether a message of this subject is kept for nobody.
    pub(super) fn is_unwanted(&self, subject: &str) -> bool {
        self.config.retention == Retention::Interest && !self.consumers.values().any(|one| one.wants(subject))
    }

    /// Stores a message, and removes those that exceed a limit because of it.
    pub(super) fn store(&mut self, message: Stored) -> u64 {
        let subject = message.subject.clone();
        let seq = self.log.append(message);
        for consumer in self.consumers.values_mut() {
            consumer.stored(seq, &subject);
        }
        if let Some(most) = limit(self.config.max_msgs_per_subject) {
            while let Some(oldest) = self.log.of_subject(&subject).filter(|seqs| seqs.len() as u64 > most) {
                let Some(oldest) = oldest.first().copied() else { break };
                self.remove(oldest);
            }
        }
        self.trim();
        seq
    }

    /// Removes the oldest messages while a limit is exceeded.
    pub(super) fn trim(&mut self) {
        let (messages, bytes) = (limit(self.config.max_msgs), limit(self.config.max_bytes));
        while let Some((oldest, _)) = self.log.oldest() {
            let too_many = messages.is_some_and(|most| self.log.len() > most);
            if !too_many && bytes.is_none_or(|most| self.log.bytes() <= most) {
                return;
            }
            self.remove(oldest);
        }
    }

    pub(super) fn remove(&mut self, seq: u64) -> bool {
        let Some(message) = self.log.remove(seq) else { return false };
        for consumer in self.consumers.values_mut() {
            consumer.removed(seq, &message.subject);
        }
        true
    }

    /// Removes what is too old.
    fn expire(&mut self, now: Time) {
        while let Some((_, seq)) = self.log.next_end().filter(|(time, _)| *time <= now) {
            self.remove(seq);
        }
        if self.config.max_age == 0 {
            return;
        }
        while let Some((seq, message)) = self.log.oldest() {
            if message.time.saturating_add(self.config.max_age) > now {
                return;
            }
            self.remove(seq);
        }
    }

    /// What is due by the clock; then everything is delivered that can be.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        if self.is_offline(turn.now) {
            return;
        }
        self.expire(turn.now);
        for consumer in self.consumers.values_mut() {
            consumer.tick(turn);
        }
        let gone: Vec<String> = self
            .consumers
            .iter()
            .filter(|(_, consumer)| consumer.is_abandoned(turn.now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.delete_consumer(&name, turn);
        }
        self.advance(turn);
    }

    pub(super) fn delete_consumer(&mut self, name: &str, turn: &mut Turn<'_>) -> bool {
        let Some(mut consumer) = self.consumers.remove(name) else { return false };
        consumer.deleted(turn);
        if self.config.retention == Retention::Interest {
            let all: Vec<u64> = self.log.iter().map(|(seq, _)| seq).collect();
            self.done_with(&all);
        }
        true
    }

    /// Lets all consumers deliver.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        if self.is_offline(turn.now) {
            return;
        }
        let mut done = Vec::new();
        for consumer in self.consumers.values_mut() {
            done.extend(consumer.advance(&self.log, turn));
        }
        self.done_with(&done);
    }

    /// Consumers are done with these messages: those that are kept for consumers only are removed.
    pub(super) fn done_with(&mut self, seqs: &[u64]) {
        for seq in seqs {
            let Some(message) = self.log.get(*seq) else { continue };
            let over = match self.config.retention {
                Retention::Limits => false,
                Retention::WorkQueue => true,
                Retention::Interest => self.consumers.values().all(|one| one.is_done_with(*seq, &message.subject)),
            };
            if over {
                self.remove(*seq);
            }
        }
    }

    pub(super) fn deadline(&self, now: Time) -> Option<Time> {
        if self.is_offline(now) {
            return Some(self.offline_until);
        }
        let age = self.config.max_age;
        let oldest = self.log.oldest().filter(|_| age > 0).map(|(_, message)| message.time.saturating_add(age));
        let ends = self.log.next_end().map(|(time, _)| time);
        let consumers = self.consumers.values().filter_map(|consumer| consumer.deadline(now)).min();
        [oldest, ends, consumers].into_iter().flatten().min()
    }

    /// The document of its state.
    pub(super) fn state(&self) -> Value {
        let time = |time: Option<Time>| time.map_or_else(|| ZERO_TIME.to_owned(), rfc3339);
        let mut state = json!({
            "messages": self.log.len(),
            "bytes": self.log.bytes(),
            "first_seq": self.log.first(),
            "first_ts": time(self.log.oldest().map(|(_, message)| message.time)),
            "last_seq": self.log.last(),
            "last_ts": time(self.log.last_time()),
            "consumer_count": self.consumers.len(),
        });
        if let Some(fields) = state.as_object_mut() {
            for (name, count) in
                [("num_subjects", self.log.subject_count() as u64), ("num_deleted", self.log.deleted())]
            {
                if count > 0 {
                    fields.insert(name.to_owned(), count.into());
                }
            }
        }
        state
    }
}
