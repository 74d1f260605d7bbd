//! The subscription table: who is subscribed to what, and what a new connection's server must be sent.

mod order;
mod sid_hasher;
mod sub_lines;
mod subscription;

use order::sort;
use sid_hasher::SidHasher;
use sub_lines::SubLines;
pub(super) use sub_lines::{Block, Line, Sids};
pub(super) use subscription::Counted;
pub use subscription::Subscription;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use self::subscription::Reader;
use super::config::Handover;
use super::names::Names;
use crate::protocol;

/// What to subscribe to.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    /// Subject, wildcards included.
    pub subject: &'a [u8],
    /// Queue group.
    pub queue: Option<&'a [u8]>,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a subscription is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Messages, with this handover during a planned move; `None`: that of the [`Config`](super::Config).
    Messages(Option<Handover>),
    /// The client's own inbox for replies to requests: a drain keeps it until the end.
    Replies,
}

/// What became of messages for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// How many of them are wanted.
    pub count: u64,
    /// The limit of `unsubscribe_after`, if it was reached.
    pub complete: Option<u64>,
}

/// What to send to a server after a new limit was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewLimit {
    /// Nothing: it has no limit and can't parse this one, or it has had the final UNSUB. The client counts.
    Nothing,
    /// UNSUB with this number.
    Number(u64),
    /// UNSUB with this number, then SUB: the limit was lower before, and the server may have reached it. A server that still
    /// knows the sid takes the number and ignores the SUB (`processSubEx` in client.go). One that has forgotten it does the
    /// opposite, and its count begins at zero. In the other order it could reach the old limit between the two.
    Again(u64),
    /// UNSUB, and SUB as for a new server: what it has counted, or the limit that it has, must not apply.
    Anew,
}

/// The table. Wherever order matters, iteration goes by sid, so that a run can be repeated.
#[derive(Debug)]
pub struct Subscriptions<H> {
    table: HashMap<u64, Subscription<H>, BuildHasherDefault<SidHasher>>,
    /// What they are for, for the same sids.
    lines: SubLines,
    /// How many subscriptions the end of the client waits for.
    readers: usize,
    /// An index by name, built once a server has refused a subscription that was not made recently.
    names: Option<Names>,
}

impl<H> Default for Subscriptions<H> {
    fn default() -> Self {
        Subscriptions { table: HashMap::default(), lines: SubLines::default(), readers: 0, names: None }
    }
}

impl<H> Subscriptions<H> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The subscription of `sid`.
    #[inline]
    pub fn get_mut(&mut self, sid: u64) -> Option<&mut Subscription<H>> {
        self.table.get_mut(&sid)
    }

    /// The subscription of `sid`.
    pub fn get(&self, sid: u64) -> Option<&Subscription<H>> {
        self.table.get(&sid)
    }

    /// All, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Subscription<H>)> {
        self.table.iter().map(|(sid, subscription)| (*sid, subscription))
    }

    /// All, in no particular order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Subscription<H>> {
        self.table.values_mut()
    }

    pub(super) fn insert(&mut self, sid: u64, interest: Interest<'_>, handle: H) {
        let Interest { subject, queue, purpose } = interest;
        self.lines.insert(sid, subject, queue);
        if let Some(names) = &mut self.names {
            self.lines.interest(sid).into_iter().for_each(|interest| names.add(interest, sid));
        }
        let subscription = Subscription {
            handle,
            slot: u32::MAX,
            received: 0,
            before: 0,
            max: u64::MAX,
            draining: false,
            bridged: false,
            server_has_counted: Counted::Alike,
            handover: match purpose {
                Purpose::Messages(handover) => handover,
                Purpose::Replies => Some(Handover::Overlap),
            },
            reader: if purpose == Purpose::Replies { Reader::Requests } else { Reader::Behind },
        };
        self.readers += usize::from(purpose != Purpose::Replies);
        if let Some(replaced) = self.table.insert(sid, subscription) {
            self.readers -= usize::from(replaced.reader.is_awaited());
        }
    }

    /// Removes a subscription from the table. What it was for can still be looked up until [`forget`](Subscriptions::forget).
    pub(super) fn take(&mut self, sid: u64) -> Option<Subscription<H>> {
        let taken = self.table.remove(&sid)?;
        self.readers -= usize::from(taken.reader.is_awaited());
        if self.table.len() * 8 < self.table.capacity() {
            self.table.shrink_to(self.table.len() * 2);
        }
        Some(taken)
    }

    /// Forgets what a taken subscription was for.
    pub(super) fn forget(&mut self, sid: u64) {
        if let Some(names) = &mut self.names {
            self.lines.interest(sid).into_iter().for_each(|interest| names.remove(interest, sid));
        }
        self.lines.remove(sid);
    }

    #[cfg(test)]
    pub(super) fn remove(&mut self, sid: u64) -> Option<Subscription<H>> {
        let taken = self.take(sid);
        self.forget(sid);
        taken
    }

    /// Counts `offered` messages for `sid`; `None`: there is no such subscription.
    pub(super) fn receive(&mut self, sid: u64, offered: u64) -> Option<Accepted> {
        let subscription = self.table.get_mut(&sid)?;
        let count = offered.min(subscription.max - subscription.received);
        subscription.received += count;
        let complete = (subscription.received == subscription.max).then_some(subscription.max);
        Some(Accepted { count, complete })
    }

    /// Sets the total after which `sid` ends. Returns what to send to the server of this connection; `None`: the total is
    /// reached already.
    pub(super) fn limit(&mut self, sid: u64, max: u64) -> Option<NewLimit> {
        let subscription = self.table.get_mut(&sid)?;
        if max <= subscription.received {
            return None;
        }
        let limited = subscription.is_readable();
        let raised = limited && max > subscription.max;
        subscription.max = max;
        self.lines.set_special(sid);
        let here = max - subscription.before;
        let ahead = subscription.server_has_counted == Counted::More;
        let readable = subscription.is_readable();
        Some(if subscription.draining || !(limited || readable) {
            NewLimit::Nothing
        } else if ahead || !readable {
            NewLimit::Anew
        } else if raised {
            NewLimit::Again(here)
        } else {
            NewLimit::Number(here)
        })
    }

    /// Whether the server of this connection ends `sid` at its limit without another UNSUB.
    pub(super) fn server_counts(&self, sid: u64) -> bool {
        self.table
            .get(&sid)
            .is_none_or(|subscription| subscription.server_has_counted != Counted::Fewer && subscription.is_readable())
    }

    /// The server of this connection has counted differently from the client.
    pub(super) fn set_counted(&mut self, sid: u64, counted: Counted) {
        if let Some(subscription) = self.table.get_mut(&sid) {
            subscription.server_has_counted = counted;
        }
    }

    /// Another server gets SUB for `sid` too, and counts its own messages. If the present one had counted too much before, it
    /// must be sent everything again when a limit is set.
    pub(super) fn set_shared(&mut self, sid: u64) {
        if let Some(subscription) = self.table.get_mut(&sid) {
            if subscription.server_has_counted == Counted::Alike {
                subscription.server_has_counted = Counted::Fewer;
            }
        }
    }

    /// Sets whether nothing was missed between one connection and the next.
    pub(super) fn set_bridged(&mut self, sid: u64, bridged: bool) {
        if let Some(subscription) = self.table.get_mut(&sid) {
            subscription.bridged = bridged;
        }
    }

    /// Whether SUB was sent once more, perhaps for a command of the same round as a framed UNSUB: frames go ahead of what
    /// commands send, so that UNSUB may stand before the SUB.
    pub(super) fn was_renewed(&self, sid: u64) -> bool {
        self.table.get(&sid).is_some_and(|subscription| subscription.server_has_counted == Counted::Fewer)
    }

    /// The consumer has taken the last message.
    pub(super) fn set_at_last(&mut self, sid: u64) {
        if let Some(subscription) = self.table.get_mut(&sid).filter(|entry| entry.reader == Reader::Behind) {
            subscription.reader = Reader::AtLast;
        }
    }

    /// Those whose consumers have taken the last message and have not come back, ascending.
    pub(super) fn at_last(&self) -> Vec<u64> {
        self.sids_where(|entry| entry.reader == Reader::AtLast)
    }

    /// The consumer has read it to its end.
    pub(super) fn set_finished(&mut self, sid: u64) {
        if let Some(subscription) = self.table.get_mut(&sid).filter(|entry| entry.reader.is_awaited()) {
            subscription.reader = Reader::Done;
            self.readers -= 1;
        }
    }

    /// Those that the end of the client waits for, ascending.
    pub(super) fn unfinished(&self) -> Vec<u64> {
        self.sids_where(|entry| entry.reader.is_awaited())
    }

    pub(super) fn all_finished(&self) -> bool {
        self.readers == 0
    }

    pub(super) fn set_draining(&mut self, sid: u64) {
        if let Some(subscription) = self.table.get_mut(&sid) {
            subscription.draining = true;
            self.lines.set_special(sid);
        }
    }

    /// The connection is gone. Returns the subscriptions that were being drained: they end here.
    pub(super) fn connection_lost(&mut self) -> Vec<u64> {
        let mut drained = Vec::new();
        for (sid, subscription) in &mut self.table {
            subscription.before = subscription.received;
            subscription.bridged = false;
            subscription.server_has_counted = Counted::Alike;
            if subscription.draining {
                drained.push(*sid);
            }
        }
        sort(&mut drained);
        drained
    }

    /// Subscriptions that may be at two servers at the same time without loss or repetition: queue groups, whose messages go to
    /// one member each, and inboxes of requests, which take each reply once. Not those with a limit, which one server has to
    /// count. With [`Handover::Overlap`] all others too, unless they have a handover of their own.
    pub(super) fn may_overlap(&self, default: Handover) -> Vec<u64> {
        let may = |sid, interest| {
            let entry = self.table.get(&sid)?;
            let overlaps = entry.handover.unwrap_or(default) == Handover::Overlap;
            let shared = overlaps || split(interest).1.is_some();
            (shared && !entry.draining && entry.max == u64::MAX).then_some(sid)
        };
        self.lines.iter().filter_map(|(sid, interest)| may(sid, interest)).collect()
    }

    /// The inboxes of requests.
    pub(super) fn internal(&self) -> impl Iterator<Item = u64> {
        self.table.iter().filter(|(_, entry)| entry.is_internal()).map(|(sid, _)| *sid)
    }

    /// All sids, ascending.
    pub(super) fn sids(&self) -> Vec<u64> {
        self.sids_where(|_| true)
    }

    /// Those that are `wanted`, ascending.
    fn sids_where(&self, wanted: impl Fn(&Subscription<H>) -> bool) -> Vec<u64> {
        let found = self.table.iter().filter(|(_, entry)| wanted(entry));
        let mut sids: Vec<u64> = found.map(|(sid, _)| *sid).collect();
        sort(&mut sids);
        sids
    }

    /// The SUB lines, in order.
    pub(super) fn lines(&self) -> &SubLines {
        &self.lines
    }

    /// `subject` or `subject queue`, as in SUB.
    pub(super) fn interest(&self, sid: u64) -> Option<&[u8]> {
        self.lines.interest(sid)
    }

    /// Subject and queue group of `sid`.
    #[cfg(any(test, feature = "internals"))]
    pub fn names_of(&self, sid: u64) -> Option<(&[u8], Option<&[u8]>)> {
        self.interest(sid).map(split)
    }

    /// Encodes what to send to a server that does not know `sid`.
    pub(super) fn encode(&self, sid: u64, out: &mut Vec<u8>) {
        self.encode_plainly(sid, out);
        self.encode_limit(sid, out);
    }

    /// Encodes SUB alone, for a server that may know `sid` and its limit already.
    pub(super) fn encode_plainly(&self, sid: u64, out: &mut Vec<u8>) {
        if let Some(line) = self.lines.line(sid) {
            out.extend_from_slice(line);
        }
    }

    /// Encodes what follows SUB: UNSUB with the remaining count, if `sid` has a limit that servers can parse.
    pub(super) fn encode_limit(&self, sid: u64, out: &mut Vec<u8>) {
        let limited = self.table.get(&sid).filter(|subscription| subscription.is_readable());
        if let Some(remaining) = limited.and_then(Subscription::remaining) {
            protocol::unsubscribe(out, sid, Some(remaining));
        }
    }

    /// The sids of `subject` and `queue`, ascending. Old servers don't name the queue group: without one, and if no plain
    /// subscription matches, all groups of the subject are meant.
    pub(super) fn sids_of(&mut self, subject: &[u8], queue: Option<&[u8]>) -> Vec<u64> {
        let lines = &self.lines;
        let names = self.names.get_or_insert_with(|| {
            let mut names = Names::default();
            lines.iter().for_each(|(sid, interest)| names.add(interest, sid));
            names
        });
        let mut sids: Vec<u64> = names.exactly(subject, queue).collect();
        if sids.is_empty() && queue.is_none() {
            sids.extend(names.grouped(subject));
            sids.sort_unstable();
        }
        sids
    }

    /// Frees memory that is needed again only if a server refuses something, or for more subscriptions.
    pub(super) fn shrink(&mut self) {
        self.names = None;
        self.lines.shrink();
    }
}

/// Subject and queue group of `subject` or `subject queue`.
fn split(interest: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(blank) = memchr::memchr(b' ', interest) else { return (interest, None) };
    (interest.get(..blank).unwrap_or_default(), interest.get(blank + 1..))
}
