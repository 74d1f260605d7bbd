//! The messages of one stream, and finding them.

use super::time::Time;
use crate::protocol::matches;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A stored message.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) subject: String,
    /// The raw block; empty without headers.
    pub(super) headers: Bytes,
    pub(super) payload: Bytes,
    pub(super) time: Time,
    /// When it ends by its own time to live.
    pub(super) ends: Option<Time>,
}

/// Which kind of storage sizes are counted for; nothing is written to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    File,
    Memory,
}

#[derive(Debug)]
pub(super) struct Log {
    storage: Storage,
    messages: BTreeMap<u64, Stored>,
    by_subject: BTreeMap<String, BTreeSet<u64>>,
    ends: BTreeSet<(Time, u64)>,
    last: u64,
    last_time: Option<Time>,
    /// The sequence of the oldest message that is left, or of the next one; 0 before the first one of all.
    first: u64,
    bytes: u64,
}

impl Log {
    pub(super) fn new(storage: Storage, first: u64) -> Self {
        Self {
            storage,
            messages: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            ends: BTreeSet::new(),
            last: first.saturating_sub(1),
            last_time: None,
            first,
            bytes: 0,
        }
    }

    /// What a message takes, as nats-server counts it.
    pub(super) fn size(&self, subject: &str, headers: &[u8], payload: &[u8]) -> u64 {
        let content = subject.len() + headers.len() + payload.len();
        let frame = match self.storage {
            Storage::Memory => 16,
            Storage::File if headers.is_empty() => 30,
            Storage::File => 34,
        };
        (content + frame) as u64
    }

    fn size_of(&self, message: &Stored) -> u64 {
        self.size(&message.subject, &message.headers, &message.payload)
    }

    /// Stores a message, and returns its sequence.
    pub(super) fn append(&mut self, message: Stored) -> u64 {
        let seq = self.skip(message.time);
        self.bytes += self.size_of(&message);
        self.ends.extend(message.ends.map(|time| (time, seq)));
        self.by_subject.entry(message.subject.clone()).or_default().insert(seq);
        if self.messages.is_empty() {
            self.first = seq;
        }
        self.messages.insert(seq, message);
        seq
    }

    /// Uses up a sequence without storing a message.
    pub(super) fn skip(&mut self, now: Time) -> u64 {
        self.last += 1;
        self.last_time = Some(now);
        if self.messages.is_empty() {
            self.first = self.last + 1;
        }
        self.last
    }

    pub(super) fn remove(&mut self, seq: u64) -> Option<Stored> {
        let message = self.messages.remove(&seq)?;
        self.bytes -= self.size_of(&message);
        if let Some(time) = message.ends {
            self.ends.remove(&(time, seq));
        }
        if let Some(seqs) = self.by_subject.get_mut(&message.subject) {
            seqs.remove(&seq);
            if seqs.is_empty() {
                self.by_subject.remove(&message.subject);
            }
        }
        self.first = self.messages.keys().next().copied().unwrap_or(self.last + 1);
        Some(message)
    }

    /// Moves the end of an empty stream, as a purge up to a sequence beyond it does.
    pub(super) fn purged_to(&mut self, seq: u64) {
        if self.messages.is_empty() {
            self.last = self.last.max(seq.saturating_sub(1));
            self.first = self.last + 1;
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn last_time(&self) -> Option<Time> {
        self.last_time
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Stored> {
        self.messages.get(&seq)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Stored)> {
        self.messages.iter().map(|(seq, message)| (*seq, message))
    }

    /// The oldest message.
    pub(super) fn oldest(&self) -> Option<(u64, &Stored)> {
        self.iter().next()
    }

    /// The first message from this sequence on that a filter lets through.
    pub(super) fn next(&self, from: u64, wanted: impl Fn(&str) -> bool) -> Option<(u64, &Stored)> {
        let all = self.messages.range(from..).map(|(seq, message)| (*seq, message));
        all.into_iter().find(|(_, message)| wanted(&message.subject))
    }

    /// The last message that a filter lets through, up to this sequence.
    pub(super) fn last_of(&self, pattern: &str) -> Option<(u64, &Stored)> {
        let seqs = self.subjects(pattern).filter_map(|(_, seqs)| seqs.last());
        let seq = *seqs.max()?;
        self.get(seq).map(|message| (seq, message))
    }

    /// The subjects that a pattern matches, each with its sequences.
    pub(super) fn subjects<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = (&'a str, &'a BTreeSet<u64>)> {
        let all = self.by_subject.iter().map(|(subject, seqs)| (subject.as_str(), seqs));
        all.filter(move |(subject, _)| covers(pattern, subject))
    }

    pub(super) fn subject_count(&self) -> usize {
        self.by_subject.len()
    }

    pub(super) fn of_subject(&self, subject: &str) -> Option<&BTreeSet<u64>> {
        self.by_subject.get(subject)
    }

    /// How many messages were removed between the first and the last one.
    pub(super) fn deleted(&self) -> u64 {
        match self.messages.is_empty() {
            true => 0,
            false => (self.last + 1 - self.first) - self.len(),
        }
    }

    /// The next message that ends by its own time to live.
    pub(super) fn next_end(&self) -> Option<(Time, u64)> {
        self.ends.first().copied()
    }
}

/// Whether a pattern matches a subject.
pub(super) fn covers(pattern: &str, subject: &str) -> bool {
    matches(pattern.as_bytes(), subject.as_bytes())
}

/// Whether some subject could match both patterns.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}
