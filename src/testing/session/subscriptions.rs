//! The subscriptions of one session, and what each has been sent, as nats-server counts it.

use crate::protocol::matches;
use std::collections::BTreeMap;

/// The largest limit of an `UNSUB` that nats-server reads: nine digits (`parseSize`). A larger one counts as none.
const LARGEST_LIMIT: u64 = 999_999_999;

/// Names one subscription of a session. After the subscription has ended it names nothing, even if its sid is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    slot: usize,
    /// How many subscriptions came before it.
    number: u64,
}

/// One `SUB`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name in the table.
    pub key: Key,
    /// The client's id for it.
    pub sid: u64,
    /// What it wants, possibly with wildcards.
    pub subject: Box<[u8]>,
    /// Its queue group.
    pub queue: Option<Box<[u8]>>,
    /// Messages that were sent to it.
    sent: u64,
    /// It ends with this message.
    max: Option<u64>,
}

impl Subscription {
    /// Whether it gets what is published to this subject. One with an empty token goes to nobody (`sublist.go`, `match`).
    #[must_use]
    pub fn wants(&self, subject: &[u8]) -> bool {
        matches(&self.subject, subject) && !subject.split(|byte| *byte == b'.').any(<[u8]>::is_empty)
    }

    /// How many messages it gets before its limit ends it; `None` without a limit.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.max.map(|max| max.saturating_sub(self.sent))
    }
}

/// The table of subscriptions of one session.
///
/// A message is counted in constant time. Everything else, such as the order of [`iter`](Self::iter), goes by sid, so that a
/// seeded world repeats itself.
#[derive(Debug, Default)]
pub struct Subscriptions {
    slots: Vec<Option<Subscription>>,
    free: Vec<usize>,
    by_sid: BTreeMap<u64, usize>,
    /// How many there have been.
    made: u64,
}

impl Subscriptions {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_sid.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_sid.is_empty()
    }

    /// All of them, ordered by sid.
    pub fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.by_sid.values().filter_map(|slot| self.slots.get(*slot)?.as_ref())
    }

    /// The live subscription with this sid.
    #[must_use]
    pub fn by_sid(&self, sid: u64) -> Option<&Subscription> {
        self.slots.get(*self.by_sid.get(&sid)?)?.as_ref()
    }

    /// The subscription of this name, if it is still live.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Subscription> {
        self.slots.get(key.slot)?.as_ref().filter(|found| found.key == key)
    }

    /// A `SUB`. A second one with a live sid is ignored, count and limit included (`processSubEx`): `None`.
    pub fn subscribe(&mut self, sid: u64, subject: &[u8], queue: Option<&[u8]>) -> Option<Key> {
        if self.by_sid.contains_key(&sid) {
            return None;
        }
        let slot = self.free.pop().unwrap_or(self.slots.len());
        let key = Key { slot, number: self.made };
        self.made += 1;
        let made = Subscription { key, sid, subject: subject.into(), queue: queue.map(Into::into), sent: 0, max: None };
        match self.slots.get_mut(slot) {
            Some(free) => *free = Some(made),
            None => self.slots.push(Some(made)),
        }
        self.by_sid.insert(sid, slot);
        Some(key)
    }

    /// An `UNSUB`. Returns the subscription if that ends it: without a limit, with one that it has reached, and with one that
    /// a server can't read. A later limit replaces the one before it.
    pub fn unsubscribe(&mut self, sid: u64, max: Option<u64>) -> Option<Subscription> {
        let slot = *self.by_sid.get(&sid)?;
        let found = self.slots.get_mut(slot)?.as_mut()?;
        match max.filter(|max| *max <= LARGEST_LIMIT && found.sent < *max) {
            Some(max) => {
                found.max = Some(max);
                None
            }
            None => self.take(slot),
        }
    }

    /// Counts a message that is sent to the subscription: its sid, and whether this was the last one. `None` if it has ended.
    #[inline]
    pub(super) fn count(&mut self, key: Key) -> Option<(u64, bool)> {
        let found = self.slots.get_mut(key.slot)?.as_mut().filter(|found| found.key == key)?;
        found.sent += 1;
        Some((found.sid, found.max == Some(found.sent)))
    }

    /// Ends one at its limit.
    pub(super) fn end(&mut self, key: Key) -> Option<Subscription> {
        self.get(key)?;
        self.take(key.slot)
    }

    /// Ends all of them, and returns them ordered by sid.
    pub fn clear(&mut self) -> Vec<Subscription> {
        let slots = std::mem::take(&mut self.by_sid);
        let all = slots.into_values().filter_map(|slot| self.slots.get_mut(slot)?.take()).collect();
        self.slots.clear();
        self.free.clear();
        all
    }

    fn take(&mut self, slot: usize) -> Option<Subscription> {
        let ended = self.slots.get_mut(slot)?.take()?;
        self.by_sid.remove(&ended.sid);
        self.free.push(slot);
        Some(ended)
    }
}
