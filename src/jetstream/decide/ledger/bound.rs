//! How many messages may still come at most, whichever pulls they come for.
//!
//! Of each pull it is known what it asked for, and of all together what has come. So no pull has more left than it asked for, nor
//! more than all together; and when one is gone, the others have no more left than they could have. Only what a status says, and
//! what has come, is taken off.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Entry, Left};

/// The upper bound.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// What all pulls together have left at most.
    messages: u64,
    /// In the order of their tokens.
    parts: VecDeque<Part>,
    /// How many of the parts are in doubt; the others are newer.
    doubtful: usize,
    /// Messages that have come, and those of them that no status of a newer pull accounts for.
    came: u64,
    unexplained: u64,
    /// Since when nothing has come for a doubtful pull.
    still_since: Option<Instant>,
}

/// One pull, or several old ones in a row.
#[derive(Debug)]
struct Part {
    first: u64,
    /// The last one of them to end.
    entry: Entry,
    last: u64,
    /// What it has left at most.
    messages: u64,
    /// Messages that had come before it was made.
    came_before: u64,
}

/// As many parts are kept; more of the oldest ones become one. Arbitrary.
const MOST: usize = 32;

impl Bound {
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether any pull is in doubt.
    pub(super) fn has_doubts(&self) -> bool {
        self.doubtful > 0
    }

    pub(super) fn open(&mut self, entry: Entry) {
        self.settle();
        let (token, messages) = (entry.token, entry.messages);
        self.messages = self.messages.saturating_add(messages);
        self.parts.push_back(Part { first: token, entry, last: token, messages, came_before: self.came });
        if self.parts.len() > MOST {
            self.merge(0);
        }
    }

    /// Everything is in doubt. What was not before is one part from now on: together it has no more left than all have now, and it
    /// ends before newer ones count.
    pub(super) fn doubt(&mut self) {
        self.settle();
        while self.doubtful + 1 < self.parts.len() {
            self.merge(self.doubtful);
        }
        self.doubtful = self.parts.len();
        (self.unexplained, self.still_since) = (0, None);
        self.settle();
    }

    /// Makes one part of two.
    fn merge(&mut self, at: usize) {
        let Some(older) = self.parts.remove(at) else { return };
        if let Some(next) = self.parts.get_mut(at) {
            next.merge(older);
        }
        self.doubtful -= usize::from(at < self.doubtful);
    }

    /// A message has come.
    pub(super) fn took(&mut self) {
        self.messages = self.messages.saturating_sub(1);
        self.came = self.came.wrapping_add(1);
        self.unexplained = self.unexplained.saturating_add(1);
    }

    /// A pull has shown that it is alive.
    pub(super) fn is_alive(&mut self, token: u64) {
        if self.parts.iter().take(self.doubtful).any(|part| token <= part.last) {
            self.still_since = None;
        }
    }

    /// A pull has ended.
    pub(super) fn close(&mut self, token: u64, left: Left, now: Instant) {
        let at = self.parts.partition_point(|part| part.last < token);
        let Some(part) = self.parts.get_mut(at).filter(|part| part.first <= token) else {
            // One of those that are gone.
            return;
        };
        let alone = part.first == part.last;
        let known = match left {
            Left::Exactly { messages, .. } => messages,
            Left::Everything if alone => part.messages,
            Left::Everything | Left::Unknown => 0,
        };
        part.messages = part.messages.saturating_sub(known);
        self.messages = self.messages.saturating_sub(known);
        let entry = part.entry;
        if alone {
            self.parts.remove(at);
            self.doubtful -= usize::from(at < self.doubtful);
        }
        if let (true, Left::Exactly { messages, .. }) = (alone && at >= self.doubtful, left) {
            self.unexplained = self.unexplained.saturating_sub(entry.messages.saturating_sub(messages));
            self.end_doubts(entry.sent, now);
        }
        self.settle();
    }

    /// A newer pull, which was sent then, has ended. Doubtful pulls are gone if nothing has come for them for long enough before it
    /// was sent.
    fn end_doubts(&mut self, sent: Option<Instant>, now: Instant) {
        if self.parts.iter().skip(self.doubtful).any(|part| part.came_before != self.came) {
            // Something may have come for one of the others.
            return;
        }
        if std::mem::take(&mut self.unexplained) > 0 {
            self.still_since = None;
        }
        let since = *self.still_since.get_or_insert(now);
        let Some(still) = sent.and_then(|sent| sent.checked_duration_since(since)) else { return };
        let is_gone = |part: &Part| {
            let Entry { sent, heartbeat, .. } = part.entry;
            !heartbeat.is_zero() && sent.is_some_and(|sent| sent <= since) && still >= heartbeat.saturating_mul(2)
        };
        while let Some(at) = self.parts.iter().take(self.doubtful).position(is_gone) {
            self.parts.remove(at);
            self.doubtful -= 1;
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let is_left = |part: &Part| part.entry.ends().is_none_or(|ends| now < ends);
        self.doubtful = self.parts.iter().take(self.doubtful).filter(|part| is_left(part)).count();
        self.parts.retain(is_left);
        self.settle();
    }

    /// The pulls from this token on may wait for the next connection.
    pub(super) fn buffered(&mut self, token: u64) {
        self.parts.iter_mut().filter(|part| part.last >= token).for_each(|part| part.entry.sent = None);
    }

    pub(super) fn connected(&mut self, since: Instant) {
        self.parts.iter_mut().for_each(|part| part.entry.connected(since));
    }

    /// All together have no more left than each of them can have, and none has more than all.
    fn settle(&mut self) {
        let sum = self.parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.messages));
        self.messages = self.messages.min(sum);
        self.parts.iter_mut().for_each(|part| part.messages = part.messages.min(self.messages));
    }
}

impl Part {
    /// Adds those before it.
    fn merge(&mut self, older: Part) {
        self.first = older.first;
        self.messages = self.messages.saturating_add(older.messages);
        self.came_before = older.came_before;
        let (mine, others) = (self.entry.heartbeat, older.entry.heartbeat);
        let heartbeat = if mine.min(others).is_zero() { Duration::ZERO } else { mine.max(others) };
        match (self.entry.ends(), older.entry.ends()) {
            (Some(mine), Some(others)) if others > mine => self.entry = older.entry,
            (Some(_), Some(_)) => {}
            // One was not sent yet, or never ends.
            _ => {
                let (mine, others) = (self.entry, older.entry);
                let never = mine.expires.is_zero() || others.expires.is_zero();
                self.entry.made = mine.made.max(others.made);
                self.entry.sent = mine.sent.zip(others.sent).map(|(mine, others)| mine.max(others));
                self.entry.expires = if never { Duration::ZERO } else { mine.expires.max(others.expires) };
            }
        }
        self.entry.heartbeat = heartbeat;
    }
}

#[cfg(test)]
mod tests;
