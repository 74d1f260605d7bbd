//! Delivers a read to the inboxes: one lock and one wake per subscription and read.

mod apart;
mod pause;
#[cfg(test)]
mod tests;

pub(super) use pause::{Pause, PauseState};

use std::sync::Arc;
use std::task::Waker;

use bytes::{Buf, Bytes, BytesMut};

use self::apart::{apart, is_long};
use super::inbox::{Inbox, InboxLimits, Losing};
use super::reads::{KeptReads, Range, Read, Share};
use super::requests::Requests;
use crate::engine::{Engine, Handover, Purpose, Subscriptions};
use crate::protocol::{Decoder, MsgOp, Oversized, ProtocolError};

/// The destination of a subscription's messages.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    /// A subscriber.
    Inbox(Arc<Inbox>),
    /// The waiting requests.
    Requests,
}

impl Sink {
    /// What such a subscription is for.
    pub(super) fn purpose(&self, handover: Option<Handover>) -> Purpose {
        match self {
            Sink::Inbox(_) => Purpose::Messages(handover),
            Sink::Requests => Purpose::Replies,
        }
    }
}

/// Shorter reads are copied, so that a message keeps little more memory alive than its own (D20).
const SHARE_FROM: usize = 16 * 1024;

/// The messages of one read, grouped by subscription. Its buffers are reused.
#[derive(Debug)]
pub(super) struct Sorter {
    requests: Arc<Requests>,
    /// Of subscriptions that have none of their own.
    limits: InboxLimits,
    ranges: Vec<Range>,
    groups: Vec<Group>,
    /// The subscription of the last message in this read; 0, which is none of ours, before the first.
    last_sid: u64,
    last_group: usize,
    /// Messages without a subscription.
    strays: usize,
    /// Messages have come for subscriptions that were idle.
    warm: bool,
    kept: KeptReads,
}

/// The slot of a subscription for which no message has come since it was idle.
const IDLE: u32 = u32::MAX;

#[derive(Debug)]
struct Group {
    sid: u64,
    first: u32,
    last: u32,
    count: u32,
    bytes: usize,
}

/// The results of delivering one read, to be acted on outside of any lock.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) wakers: Vec<Waker>,
    /// Slow consumers that the task should wait for.
    pub(super) lagging: Vec<Lagging>,
    /// Subscriptions that lost messages.
    pub(super) losing: Vec<Overrun>,
}

impl Delivered {
    /// Frees unused memory.
    pub(super) fn shrink(&mut self) {
        self.wakers.shrink_to(4);
        self.lagging.shrink_to(4);
        self.losing.shrink_to(4);
    }
}

/// A subscription that lost messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overrun {
    pub(super) sid: u64,
    /// Messages lost so far.
    pub(super) dropped: u64,
    /// Whether this is the first loss of a series.
    pub(super) begins: bool,
    /// Whether the subscription is to end.
    pub(super) closes: bool,
}

/// A slow consumer.
#[derive(Debug)]
pub(super) struct Lagging {
    pub(super) sid: u64,
    pub(super) inbox: Arc<Inbox>,
}

impl Sorter {
    pub(super) fn new(requests: Arc<Requests>, limits: InboxLimits) -> Sorter {
        Sorter {
            requests,
            limits,
            ranges: Vec::new(),
            groups: Vec::new(),
            last_sid: 0,
            last_group: 0,
            strays: 0,
            warm: false,
            kept: KeptReads::default(),
        }
    }

    /// Starts a new read.
    pub(super) fn begin(&mut self) {
        self.groups.clear();
        self.ranges.clear();
        self.last_sid = 0;
        self.strays = 0;
    }

    /// Adds a message whose slices lie in `buf`.
    #[inline]
    pub(super) fn push(&mut self, op: &MsgOp<'_>, buf: &[u8], table: &mut Subscriptions<Sink>) {
        let group = if op.sid == self.last_sid {
            self.last_group
        } else {
            let Some(group) = self.find(op.sid, table) else {
                self.strays += 1;
                return;
            };
            self.last_sid = op.sid;
            self.last_group = group;
            group
        };
        let range = Range::of(op, buf);
        let index = self.ranges.len() as u32;
        let Some(group) = self.groups.get_mut(group) else {
            self.strays += 1;
            return;
        };
        if group.count == 0 {
            group.first = index;
        } else if let Some(last) = self.ranges.get_mut(group.last as usize) {
            last.next = index;
        }
        group.last = index;
        group.count += 1;
        group.bytes += range.bytes();
        self.ranges.push(range);
    }

    /// Adds the messages at `at` in `buf` that begin like earlier ones and belong to the same subscription as the last one.
    /// Returns the position after them.
    #[inline]
    pub(super) fn push_alike(&mut self, buf: &[u8], mut at: usize, decoder: &Decoder) -> usize {
        let before = self.ranges.len();
        let (Some(group), Some(last)) = (self.groups.get_mut(self.last_group), self.ranges.last_mut()) else {
            return at;
        };
        if group.sid != self.last_sid || group.last as usize + 1 != before {
            return at;
        }
        last.next = before as u32;
        while let Some((message, len)) = decoder.decode_alike(buf.get(at..).unwrap_or_default()) {
            if message.sid != group.sid {
                break;
            }
            at += len;
            let mut range = Range::of(&message, buf);
            range.next = self.ranges.len() as u32 + 1;
            group.bytes += range.bytes();
            self.ranges.push(range);
        }
        let added = self.ranges.len() - before;
        group.last += added as u32;
        group.count += added as u32;
        at
    }

    /// The group of `sid` in this read. `None`: no subscription has it; the message was in flight after an UNSUB, or
    /// the sid was never ours.
    fn find(&mut self, sid: u64, table: &mut Subscriptions<Sink>) -> Option<usize> {
        let subscription = table.get_mut(sid)?;
        // A slot from an earlier read leads to no group, or to another subscription's.
        let index = subscription.slot as usize;
        if self.groups.get(index).is_some_and(|group| group.sid == sid) {
            return Some(index);
        }
        self.warm |= subscription.slot == IDLE;
        let index = self.groups.len();
        subscription.slot = index as u32;
        self.groups.push(Group { sid, first: 0, last: 0, count: 0, bytes: 0 });
        Some(index)
    }

    /// Whether there is nothing to deliver.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Messages in this read, with or without a subscription.
    pub(super) fn messages(&self) -> u64 {
        (self.ranges.len() + self.strays) as u64
    }

    /// Delivers the messages in the first `consumed` bytes of `buf` to the subscriptions. `allocated`: how much memory
    /// a part of `buf` keeps alive.
    pub(super) fn deliver(
        &mut self,
        buf: &mut BytesMut,
        consumed: usize,
        allocated: usize,
        engine: &mut Engine<Sink>,
        out: &mut Delivered,
    ) {
        let worth = |bytes: usize| consumed >= SHARE_FROM && bytes * 4 >= allocated;
        let read = if self.groups.iter().any(|group| worth(group.bytes)) {
            let one_group = self.groups.len() == 1;
            Some(self.kept.read(buf.split_to(consumed).freeze(), &mut self.ranges, one_group))
        } else {
            None
        };
        let groups = std::mem::take(&mut self.groups);
        for group in &groups {
            let Some(accepted) = engine.receive(group.sid, u64::from(group.count)) else {
                continue;
            };
            let (ranges, bytes): (&[Range], &[u8]) = match &read {
                Some(read) => (&read.ranges, &read.chunk),
                None => (&self.ranges, buf),
            };
            let Some(sink) = engine.subscriptions.get(group.sid).map(|subscription| &subscription.handle) else {
                continue;
            };
            match sink {
                Sink::Requests => {
                    let replies = chain(ranges, group).map(|range| (range, bytes));
                    self.requests.deliver(replies, &mut out.wakers);
                }
                Sink::Inbox(inbox) => {
                    let mut wanted = usize::try_from(accepted.count).unwrap_or(usize::MAX);
                    let mut put = |share: Share| {
                        let count = share.count();
                        let share = if wanted < count { share.split(wanted, usize::MAX).0 } else { Some(share) };
                        wanted = wanted.saturating_sub(count);
                        if let Some(share) = share {
                            offer(group.sid, inbox, share, &self.limits, out);
                        }
                    };
                    match &read {
                        Some(read) if is_long(read) => apart(read, group).into_iter().for_each(put),
                        Some(read) if worth(group.bytes) => {
                            let (first, count, bytes) = (group.first, group.count, group.bytes);
                            put(Share::Many { read: read.clone(), first, count, bytes });
                        }
                        _ => put(copied(ranges, bytes, group)),
                    }
                }
            }
            if let Some(max) = accepted.complete {
                engine.handle_complete(group.sid, max);
            }
        }
        self.groups = groups;
        if read.is_none() {
            buf.advance(consumed);
        }
    }

    /// A message over the limits was skipped: its subscription has lost it.
    pub(super) fn miss(
        &self,
        message: &Oversized<'_>,
        error: ProtocolError,
        engine: &mut Engine<Sink>,
        out: &mut Delivered,
    ) {
        let sid = message.sid;
        let Some(accepted) = engine.receive(sid, 1).filter(|accepted| accepted.count > 0) else { return };
        match engine.subscriptions.get(sid).map(|subscription| &subscription.handle) {
            Some(Sink::Inbox(inbox)) => out.wakers.extend(inbox.miss()),
            Some(Sink::Requests) => self.requests.too_large(message.subject, error, &mut out.wakers),
            None => {}
        }
        if let Some(max) = accepted.complete {
            engine.handle_complete(sid, max);
        }
    }

    /// Frees what the reads of earlier messages still occupy, if those are gone.
    pub(super) fn release(&mut self) {
        self.kept.release();
    }

    /// Frees unused memory: the buffers, and what subscriptions need only while messages come.
    pub(super) fn shrink(&mut self, table: &mut Subscriptions<Sink>) {
        self.ranges = Vec::new();
        self.groups = Vec::new();
        self.kept = KeptReads::default();
        if !std::mem::take(&mut self.warm) {
            return;
        }
        for subscription in table.iter_mut().filter(|subscription| subscription.slot != IDLE) {
            let idle = match &subscription.handle {
                Sink::Inbox(inbox) => inbox.shrink(),
                Sink::Requests => true,
            };
            if idle {
                subscription.slot = IDLE;
            } else {
                // Later, when its reader has caught up.
                self.warm = true;
            }
        }
    }
}

/// Offers a share to an inbox and records the result.
fn offer(sid: u64, inbox: &Arc<Inbox>, share: Share, limits: &InboxLimits, out: &mut Delivered) {
    let offered = inbox.offer(share, limits);
    out.wakers.extend(offered.consumer);
    if offered.lagging {
        out.lagging.push(Lagging { sid, inbox: inbox.clone() });
    }
    if let Some(lost) = offered.lost {
        lose(sid, inbox, lost, out);
    }
}

/// Drops, by the inbox's policy, what does not fit.
fn lose(sid: u64, inbox: &Inbox, rest: Share, out: &mut Delivered) {
    let Losing { dropped, begins, closes, consumer, gone } = inbox.lose(rest);
    out.wakers.extend(consumer);
    out.losing.push(Overrun { sid, dropped, begins, closes });
    drop(gone);
}

fn chain<'a>(ranges: &'a [Range], group: &Group) -> impl Iterator<Item = &'a Range> {
    let mut at = group.first;
    (0..group.count).map_while(move |_| {
        let range = ranges.get(at as usize)?;
        at = range.next;
        Some(range)
    })
}

/// The group's messages, copied into their own chunk.
fn copied(ranges: &[Range], bytes: &[u8], group: &Group) -> Share {
    let part = |range: &Range| bytes.get(range.span()).unwrap_or_default();
    if let (1, Some(range)) = (group.count, ranges.get(group.first as usize)) {
        return Share::One { chunk: Bytes::copy_from_slice(part(range)), range: range.moved_to(0) };
    }
    let mut chunk = Vec::with_capacity(chain(ranges, group).map(|range| range.span().len()).sum());
    let mut moved = Vec::with_capacity(group.count as usize);
    for range in chain(ranges, group) {
        let mut place = range.moved_to(chunk.len());
        place.next = moved.len() as u32 + 1;
        chunk.extend_from_slice(part(range));
        moved.push(place);
    }
    let read = Arc::new(Read { chunk: chunk.into(), ranges: moved, one_group: true });
    Share::Many { read, first: 0, count: group.count, bytes: group.bytes }
}
