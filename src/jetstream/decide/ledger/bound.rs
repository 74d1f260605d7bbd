//! How many messages may still come at most, whichever pulls they come for.
//!
//! Of each pull it is known what it asked for, and of all together what has come. So no pull has more left than it asked for, nor
//! more than all together; and when one is gone, the others have no more left than they could have. Only what a status says, and
//! what has come, is taken off.
//!
//! The status that ends a pull can be here before its last messages: those of a replicated consumer wait for a quorum, and the
//! status does not. So a pull that may still get something counts for another [`GRACE`] after its end, and until everything was
//! read that had arrived by then.
//!
//! A pull expires at the server, which may receive it long after it was sent: when a line was stalled, for instance. So its time runs
//! from when it is known to have been received, by a status or an answer to what was sent after it.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Entry, GRACE, Left};

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
    /// It has ended, and was served this number of messages, which may still come for a while.
    served: Option<u64>,
}

/// As many parts are kept; if there are more, two become one: of those that have ended, or the oldest ones. Arbitrary.
const MOST: usize = 32;

impl Bound {
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether any pull is in doubt.
    pub(super) fn has_doubts(&self) -> bool {
        self.doubtful > 0
    }

    /// Whether the time of any pull in doubt does not run yet.
    pub(super) fn has_unreceived_doubts(&self) -> bool {
        self.parts.iter().take(self.doubtful).any(|part| part.entry.sent.is_none())
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
            served: None,
        });
        if self.parts.len() > MOST {
            self.merge(self.two_ended().unwrap_or(0));
        }
    }

    /// Everything is in doubt. What was not before is one part from now on, but for what has ended: together it has no more left than all
    /// have now, and it ends before newer ones count.
    pub(super) fn doubt(&mut self) {
        self.settle();
        let has_ended = |part: &Part| part.served.is_some();
        let mut at = self.doubtful;
        while let Some(next) = self.parts.get(at + 1) {
            match self.parts.get(at).is_some_and(has_ended) == has_ended(next) {
                true => self.merge(at),
                false => at += 1,
            }
        }
        self.doubt_each();
    }

    /// Everything is in doubt, and each pull may still get a status of its own.
    pub(super) fn doubt_each(&mut self) {
        (self.doubtful, self.turns) = (self.parts.len(), 0);
        self.settle();
    }

    /// The oldest two in a row that have ended, both in doubt or neither.
    fn two_ended(&self) -> Option<usize> {
        let ended = self.parts.iter().zip(self.parts.iter().skip(1)).map(|(one, next)| one.served.and(next.served));
        ended.enumerate().position(|(at, served)| served.is_some() && at + 1 != self.doubtful)
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
    pub(super) fn close(&mut self, now: Instant, token: u64, left: Left) {
        let at = self.parts.partition_point(|part| part.last < token);
        let Some(part) = self.parts.get_mut(at).filter(|part| part.first <= token && part.served.is_none()) else {
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
        let is_told = matches!(left, Left::Exactly { .. });
        if is_told && alone {
            part.served = Some(part.entry.messages.saturating_sub(known));
            part.entry.has_ended(now);
        }
        self.messages = self.messages.saturating_sub(known);
        self.settle();
        let is_gone = |part: &Part| !is_told || part.messages == 0 || (self.doubtful == 0 && self.others_last(now, at));
        if alone && self.parts.get(at).is_some_and(is_gone) {
            self.remove(at);
            self.settle();
        }
    }

    /// Whether all that may come may come for other parts, for as long as this one would count: usually because none is missing.
    fn others_last(&self, now: Instant, at: usize) -> bool {
        let last = |part: &Part| part.entry.ends().is_none_or(|ends| ends.saturating_duration_since(now) >= GRACE);
        let others = self.parts.iter().enumerate().filter(|(other, part)| *other != at && last(part));
        others.fold(0, |sum: u64, (_, part)| sum.saturating_add(part.messages)) >= self.messages
    }

    fn remove(&mut self, at: usize) {
        let Some(part) = self.parts.remove(at) else { return };
        match part.served {
            _ if at < self.doubtful => self.doubtful -= 1,
            Some(served) => self.took_turns(part.turns_before.saturating_add(served)),
            None => {}
        }
    }

    /// By now each doubtful pull has got this number of messages, unless it is not served or had fewer left.
    fn took_turns(&mut self, turns: u64) {
        if self.out_of_turn {
            return;
        }
        let more = turns.saturating_sub(self.turns);
        self.turns = self.turns.max(turns);
        for part in self.parts.iter_mut().take(self.doubtful).filter(|part| part.served.is_none()) {
            part.each = part.each.saturating_sub(more);
            part.messages = part.messages.min(part.each.saturating_mul(part.pulls));
        }
        self.keep(|part| part.each > 0);
    }

    /// Everything that has arrived was read.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_over = |part: &Part| part.entry.ends().is_some_and(|ends| ends <= now);
        while let Some(at) = self.parts.iter().position(is_over) {
            self.remove(at);
        }
        self.settle();
    }

    fn keep(&mut self, is_left: impl Fn(&Part) -> bool) {
        self.doubtful = self.parts.iter().take(self.doubtful).filter(|part| is_left(part)).count();
        self.parts.retain(is_left);
    }

    /// The pulls from this token on may wait for the next connection: their time does not run yet.
    pub(super) fn buffered(&mut self, token: u64) {
        self.parts.iter_mut().filter(|part| part.last >= token).for_each(|part| part.entry.sent = None);
    }

    /// No server receives these pulls later than now, so that their time runs.
    pub(super) fn received(&mut self, now: Instant, through: u64) {
        let waiting = self.parts.iter_mut().filter(|part| part.last <= through && part.entry.sent.is_none());
        waiting.for_each(|part| part.entry.sent = Some(now));
    }

    /// All together have no more left than each of them can have, and none has more than all.
    fn settle(&mut self) {
        self.messages = self.messages.min(self.sum());
        self.parts.iter_mut().for_each(|part| part.messages = part.messages.min(self.messages));
    }

    fn sum(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.messages))
    }
}

impl Part {
    /// Adds those before it.
    fn merge(&mut self, older: Part) {
        self.served = self.served.zip(older.served).map(|(served, others)| {
            self.turns_before = self.turns_before.saturating_add(served).max(older.turns_before.saturating_add(others));
            0
        });
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
                self.entry.made = mine.made.max(others.made);
                self.entry.sent = mine.sent.zip(others.sent).map(|(mine, others)| mine.max(others));
                self.entry.expires = mine.expires.zip(others.expires).map(|(mine, others)| mine.max(others));
            }
        }
    }
}

#[cfg(test)]
mod tests;
