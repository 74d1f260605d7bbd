//! The pulls of one reader that servers may still serve, and how many messages may still come for them.
//!
//! A message does not say which pull it came for, and servers serve the pulls of a consumer in turn. So messages are counted for
//! all pulls together, and only a status settles a single one: it says what its pull had left.
//!
//! Pulls are in one of two pools. Those of the sure one are expected to be served. Doubtful are those that may have been lost:
//! they were sent over an earlier connection, or showed no sign of life. They count against the limit, and nobody waits for them.
//! The pools are an estimate of what is to be waited for; [`Bound`] says what may come at most.

mod bound;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::bound::Bound;

/// How long after its expiry a pull counts as gone, although no status has said so.
const GRACE: Duration = Duration::from_secs(1);

/// One pull.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) token: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) made: Instant,
    /// `None`: it is buffered until there is a connection.
    pub(super) sent: Option<Instant>,
    pub(super) heartbeat: Duration,
    /// `None`: never.
    pub(super) expires: Option<Duration>,
}

impl Entry {
    fn ends(&self) -> Option<Instant> {
        self.sent?.checked_add(self.expires?.saturating_add(GRACE))
    }

    /// Nothing more is served for it. What is on its way may still come for a while.
    fn has_ended(&mut self, now: Instant) {
        (self.sent, self.expires) = (Some(now), Some(Duration::ZERO));
    }

    /// There has been a connection since then: it was sent.
    fn connected(&mut self, since: Instant) {
        self.sent = self.sent.or(Some(self.made.max(since)));
    }
}

/// What a pull had left when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The status says so.
    Exactly { messages: u64, bytes: u64 },
    /// Everything: it was not accepted.
    Everything,
    /// Nobody knows.
    Unknown,
}

impl Left {
    pub(super) fn is_at_least(self, most: u64) -> bool {
        matches!(self, Left::Exactly { messages, .. } if messages >= most)
    }
}

/// Pulls for which together `left` messages may still come.
#[derive(Debug, Default)]
struct Pool {
    /// In the order of their tokens.
    entries: VecDeque<Entry>,
    /// What older pulls asked for that were forgotten, and until when the last of them may be served.
    forgotten: u64,
    forgotten_until: Option<Instant>,
    messages: u64,
    bytes: u64,
    /// Above the tokens of all that were ever added.
    next: u64,
    /// Nothing is counted for those below this token which are not in the list.
    settled: u64,
}

impl Pool {
    fn add(&mut self, entry: Entry) {
        let at = self.entries.partition_point(|other| other.token < entry.token);
        self.entries.insert(at, entry);
        self.next = self.next.max(entry.token.saturating_add(1));
        self.messages = self.messages.saturating_add(entry.messages);
        self.bytes = self.bytes.saturating_add(entry.bytes);
    }

    fn find(&self, token: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&token, |entry| entry.token).ok()
    }

    fn asked(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.messages))
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.settled = self.next;
        (self.forgotten, self.forgotten_until) = (0, None);
        (self.messages, self.bytes) = (0, 0);
    }

    /// A message has come.
    fn took(&mut self, bytes: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.forget_served();
    }

    /// Forgets the oldest pulls if newer ones cover all that may still come twice over. Servers serve in turn, so the oldest are
    /// served by then, or nearly; a late status of theirs counts all the same.
    fn forget_served(&mut self) {
        if self.messages == 0 {
            return self.clear();
        }
        if self.entries.len() < 2 {
            return;
        }
        let mut asked = self.asked();
        while let (true, Some(oldest)) = (self.entries.len() > 1, self.entries.front()) {
            asked = asked.saturating_sub(oldest.messages);
            if asked < self.messages.saturating_mul(2) {
                break;
            }
            self.forgotten = self.forgotten.saturating_add(oldest.messages);
            self.forgotten_until = self.forgotten_until.max(oldest.ends());
            self.entries.pop_front();
        }
    }

    /// A pull has ended. At most what the others asked for may still come.
    fn close(&mut self, at: Option<usize>, left: Left) -> Option<Entry> {
        let entry = at.and_then(|at| self.entries.remove(at));
        match (left, entry) {
            (Left::Exactly { messages, bytes }, _) => self.less(messages, bytes),
            (Left::Everything, Some(entry)) => self.less(entry.messages, entry.bytes),
            (Left::Everything, None) | (Left::Unknown, _) => {}
        }
        if entry.is_some() {
            self.limit();
        }
        self.forget_served();
        entry
    }

    /// No more than what was asked for may still come, and nothing if all pulls are gone that somebody still waits for.
    fn limit(&mut self) {
        self.messages = match self.entries.is_empty() {
            true => 0,
            false => self.messages.min(self.asked().saturating_add(self.forgotten)),
        };
    }

    /// Whether any pull has expired that was not forgotten.
    fn expire(&mut self, now: Instant) -> bool {
        if self.forgotten_until.is_some_and(|until| until <= now) {
            (self.forgotten, self.forgotten_until) = (0, None);
            self.limit();
        }
        let expired = |entry: &Entry| entry.ends().is_some_and(|ends| ends <= now);
        let before = self.entries.len();
        while let Some(at) = self.entries.iter().position(expired) {
            self.close(Some(at), Left::Unknown);
        }
        self.entries.len() < before
    }

    fn less(&mut self, messages: u64, bytes: u64) {
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// All pulls of one reader.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sure: Pool,
    doubtful: Pool,
    bound: Bound,
    next: u64,
    /// The next token when all were last doubted.
    first_undoubted: u64,
    /// The next token when the reader last had nothing to read.
    caught_up: u64,
}

impl Ledger {
    /// The consumer may pass over pulls: one that got nothing while another one was served may still be waiting.
    pub(super) fn serve_out_of_turn(&mut self) {
        self.bound.serve_out_of_turn();
    }

    /// Notes a pull that is about to be sent, and returns its token.
    pub(super) fn open(&mut self, entry: Entry) -> u64 {
        let token = self.next;
        self.next += 1;
        let entry = Entry { token, ..entry };
        self.sure.add(entry);
        // It may wait on a line that is stalled, and be served when that is over.
        self.bound.open(Entry { sent: None, ..entry });
        token
    }

    /// The server has received all pulls up to this token: what it was asked after them, or for one of them, it has answered.
    pub(super) fn received(&mut self, now: Instant, through: u64) {
        if through < self.next {
            self.bound.received(now, through);
        }
    }

    /// The newest token.
    pub(super) fn last_token(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// A message has come. It is one of the sure pulls as long as those have any left.
    pub(super) fn took(&mut self, bytes: u64) {
        let pool = if self.sure.messages > 0 { &mut self.sure } else { &mut self.doubtful };
        pool.took(bytes);
        self.bound.took();
    }

    /// A pull has ended. Returns it, if it is one that was not known to be served.
    pub(super) fn close(&mut self, now: Instant, token: u64, left: Left) -> Option<Entry> {
        if token >= self.next {
            return None;
        }
        let entry = self.close_in_pool(token, left);
        self.change_bound(|bound| bound.close(now, token, left));
        entry
    }

    /// A pull will get no more than it has, and it is returned if it was not known to be served. A replicated consumer says so before its
    /// last messages are there, which wait for a quorum: so they are still expected.
    pub(super) fn complete(&mut self, now: Instant, token: u64, left: Left) -> Option<Entry> {
        let Left::Exactly { messages, bytes } = left else { return self.close(now, token, left) };
        if token >= self.next {
            return None;
        }
        let pools = [&mut self.sure, &mut self.doubtful];
        let entry = pools.into_iter().find_map(|pool| {
            let at = pool.find(token)?;
            let entry = pool.entries.get_mut(at)?;
            let before = *entry;
            entry.has_ended(now);
            pool.less(messages, bytes);
            pool.forget_served();
            Some(before)
        });
        self.change_bound(|bound| bound.close(now, token, left));
        entry
    }

    /// When the last doubt ends with it, nothing is left of doubtful pulls.
    fn change_bound(&mut self, change: impl FnOnce(&mut Bound)) {
        let had_doubts = self.bound.has_doubts();
        change(&mut self.bound);
        if had_doubts && !self.bound.has_doubts() {
            self.doubtful.clear();
        }
    }

    fn close_in_pool(&mut self, token: u64, left: Left) -> Option<Entry> {
        if let Some(at) = self.sure.find(token) {
            return self.sure.close(Some(at), left);
        }
        if let Some(at) = self.doubtful.find(token) {
            return self.doubtful.close(Some(at), left);
        }
        // One that counts as served. Doubtful pulls are older than sure ones, except those that came back.
        let in_doubt = self.doubtful.entries.back().is_some_and(|last| token < last.token);
        let pool = if in_doubt { &mut self.doubtful } else { &mut self.sure };
        if token < pool.settled { None } else { pool.close(None, left) }
    }

    /// A pull has shown that it is alive. `false`: it is none that is known.
    pub(super) fn is_alive(&mut self, token: u64) -> bool {
        if self.sure.find(token).is_some() {
            return true;
        }
        let Some(at) = self.doubtful.find(token) else { return false };
        let (messages, bytes) = (self.doubtful.messages, self.doubtful.bytes);
        let Some(entry) = self.doubtful.entries.remove(at) else { return false };
        let (messages, bytes) = (messages.min(entry.messages), bytes.min(entry.bytes));
        self.doubtful.less(messages, bytes);
        self.doubtful.forget_served();
        let (before, bytes_before) = (self.sure.messages, self.sure.bytes);
        self.sure.add(entry);
        self.sure.messages = before.saturating_add(messages).min(self.bound.messages().max(before).max(1));
        self.sure.bytes = bytes_before.saturating_add(bytes);
        true
    }

    /// Doubts all pulls.
    pub(super) fn doubt(&mut self) {
        self.expect_none();
        self.bound.doubt();
    }

    /// Doubts all pulls, each of which may still get a status of its own.
    pub(super) fn doubt_each(&mut self) {
        self.expect_none();
        self.bound.doubt_each();
    }

    /// Whether this pull was made since all were doubted.
    pub(super) fn is_undoubted(&self, token: u64) -> bool {
        (self.first_undoubted..self.next).contains(&token)
    }

    fn expect_none(&mut self) {
        self.first_undoubted = self.next;
        let sure = std::mem::take(&mut self.sure);
        (self.sure.next, self.sure.settled) = (sure.next, sure.settled);
        self.doubtful.settled = self.doubtful.settled.max(sure.settled);
        self.doubtful.forgotten = self.doubtful.forgotten.saturating_add(sure.forgotten);
        self.doubtful.forgotten_until = self.doubtful.forgotten_until.max(sure.forgotten_until);
        let (messages, bytes) = (self.doubtful.messages, self.doubtful.bytes);
        sure.entries.into_iter().for_each(|entry| self.doubtful.add(entry));
        self.doubtful.messages = messages.saturating_add(sure.messages);
        self.doubtful.bytes = bytes.saturating_add(sure.bytes);
    }

    /// The connection was lost: all pulls are in doubt. Those that were made since the reader last had nothing to read may have been
    /// made after the loss, and wait for the next connection.
    pub(super) fn interrupted(&mut self, now: Instant) {
        self.doubt();
        if let Some(before) = self.caught_up.checked_sub(1) {
            self.bound.received(now, before);
        }
        self.bound.buffered(self.caught_up);
    }

    /// The reader has nothing to read.
    pub(super) fn caught_up(&mut self) {
        self.caught_up = self.next;
    }

    /// There has been a connection since then: buffered pulls were sent.
    pub(super) fn connected(&mut self, since: Instant) {
        let all = self.sure.entries.iter_mut().chain(self.doubtful.entries.iter_mut());
        all.for_each(|entry| entry.connected(since));
    }

    /// Forgets pulls that have expired. Everything that has arrived was read, `arrived` last. What a server sent before that has arrived,
    /// and what it has sent since may be on a line that is stalled. Whether one has expired that was expected to be served.
    pub(super) fn expire(&mut self, now: Instant, arrived: Instant) -> bool {
        let unserved = self.sure.expire(now);
        self.doubtful.expire(now);
        self.change_bound(|bound| bound.expire(arrived.min(now)));
        unserved
    }

    /// Whether a doubtful pull is not known to have been received.
    pub(super) fn has_unreceived_doubts(&self) -> bool {
        self.bound.has_unreceived_doubts()
    }

    /// When the next one expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.sure.entries.iter().chain(&self.doubtful.entries).filter_map(Entry::ends).min()
    }

    /// Messages that are expected.
    pub(super) fn messages(&self) -> u64 {
        self.sure.messages
    }

    /// Bytes that the expected messages may have, if all pulls limit them.
    pub(super) fn bytes(&self) -> u64 {
        self.sure.bytes
    }

    /// Messages that may come besides the expected ones.
    pub(super) fn doubtful_messages(&self) -> u64 {
        self.bound.messages().saturating_sub(self.sure.messages)
    }

    /// Bytes that those may have.
    pub(super) fn doubtful_bytes(&self) -> u64 {
        self.doubtful.bytes
    }

    /// The newest of the sure pulls.
    pub(super) fn newest(&self) -> Option<&Entry> {
        self.sure.entries.back()
    }
}

#[cfg(test)]
mod tests;
