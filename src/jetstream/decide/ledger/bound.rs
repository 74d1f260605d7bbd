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
    /// How many messages each doubtful pull has got since it was doubted, unless it is not served or had fewer left.
    turns: u64,
    /// Pulls may be passed over.
    out_of_turn: bool,
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
    pulls: u64,
    /// What each of its pulls has left at most.
    each: u64,
    /// The turns before it was made.
    turns_before: u64,
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

    /// Pulls are not served in turn.
    pub(super) fn serve_out_of_turn(&mut self) {
        self.out_of_turn = true;
    }

    pub(super) fn open(&mut self, entry: Entry) {
        self.settle();
        let (token, messages) = (entry.token, entry.messages);
        self.messages = self.messages.saturating_add(messages);
        let turns_before = self.turns;
        self.parts.push_back(Part {
            first: token,
            entry,
            last: token,
            messages,
            pulls: 1,
            each: messages,
            turns_before,
        });
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
        self.doubt_each();
    }

    /// Everything is in doubt, and each pull may still get a status of its own.
    pub(super) fn doubt_each(&mut self) {
        (self.doubtful, self.turns) = (self.parts.len(), 0);
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
    }

    /// A pull has ended.
    pub(super) fn close(&mut self, token: u64, left: Left) {
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
        let (got, turns_before) = (part.entry.messages.saturating_sub(known), part.turns_before);
        if alone {
            self.parts.remove(at);
            match at < self.doubtful {
                true => self.doubtful -= 1,
                false if matches!(left, Left::Exactly { .. }) => self.took_turns(turns_before.saturating_add(got)),
                false => {}
            }
        }
        self.settle();
    }

    /// By now each doubtful pull has got this number of messages, unless it is not served or had fewer left.
    fn took_turns(&mut self, turns: u64) {
        if self.out_of_turn {
            return;
        }
        let more = turns.saturating_sub(self.turns);
        self.turns = self.turns.max(turns);
        for part in self.parts.iter_mut().take(self.doubtful) {
            part.each = part.each.saturating_sub(more);
            part.messages = part.messages.min(part.each.saturating_mul(part.pulls));
        }
        self.keep(|part| part.each > 0);
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.keep(|part| part.entry.ends().is_none_or(|ends| now < ends));
        self.settle();
    }

    fn keep(&mut self, is_left: impl Fn(&Part) -> bool) {
        self.doubtful = self.parts.iter().take(self.doubtful).filter(|part| is_left(part)).count();
        self.parts.retain(is_left);
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
        self.pulls = self.pulls.saturating_add(older.pulls);
        self.each = self.each.max(older.each);
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
    }
}

#[cfg(test)]
mod tests;
