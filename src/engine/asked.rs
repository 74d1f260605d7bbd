//! SUBs of which a connection's server has not said yet whether it takes them. It refuses in the order in which it was asked,
//! and before the PONG behind them: what a PONG has covered was accepted.

use std::collections::{BTreeMap, VecDeque};

use super::names::Names;
use super::subscriptions::Subscriptions;

/// The SUBs of one connection since its last PONG.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The sids, ascending.
    fresh: VecDeque<u64>,
    /// How many left `fresh` at its front.
    passed: u64,
    /// Sids that came out of order: of those that were told of a second time, for instance. With a number that counts them.
    again: BTreeMap<u64, u64>,
    /// How many ever were in `again`.
    repeated: u64,
    /// The last sid of which the SUB was a frame.
    framed: u64,
    /// What those asked for that have left the table since: an answer may still come.
    gone: BTreeMap<u64, Box<[u8]>>,
    /// All of them by name, once one was refused.
    names: Option<Names>,
}

/// So many of those that have left the table are remembered, in case that a server takes its time. Arbitrary.
const GONE: usize = 64 * 1024;

/// How far a PING stands behind SUBs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedUpTo {
    fresh: u64,
    repeated: u64,
    framed: u64,
}

impl Asked {
    /// The server is asked for `sid`, if that is in the table.
    pub(super) fn note<H>(&mut self, sid: u64, table: &Subscriptions<H>) {
        if let Some(subscription) = table.get(sid) {
            self.add(sid, subscription.interest());
        }
    }

    fn add(&mut self, sid: u64, interest: &[u8]) {
        if self.fresh.back().is_none_or(|last| *last < sid) {
            self.fresh.push_back(sid);
        } else if self.fresh.binary_search(&sid).is_err() {
            self.repeated += 1;
            self.again.insert(sid, self.repeated);
        }
        if let Some(names) = &mut self.names {
            names.add(interest, sid);
        }
    }

    /// SUBs up to this sid were loaded as frames. Their commands may not have been applied yet.
    pub(super) fn loaded(&mut self, framed: u64) {
        self.framed = framed;
    }

    /// What a PING covers that is sent now.
    pub(super) fn up_to(&self) -> AskedUpTo {
        let fresh = self.passed + self.fresh.len() as u64;
        AskedUpTo { fresh, repeated: self.repeated, framed: self.framed }
    }

    /// A PONG covers these: they were accepted, or refused before.
    pub(super) fn accept<H>(&mut self, up_to: AskedUpTo, table: &Subscriptions<H>) {
        while let Some(sid) = self.fresh.front().copied() {
            if self.passed >= up_to.fresh && sid > up_to.framed {
                break;
            }
            self.fresh.pop_front();
            self.passed += 1;
            self.forget_name(sid, table);
        }
        if self.again.values().any(|number| *number <= up_to.repeated) {
            let (done, rest) =
                std::mem::take(&mut self.again).into_iter().partition(|(_, number)| *number <= up_to.repeated);
            self.again = rest;
            let done: BTreeMap<u64, u64> = done;
            done.into_keys().for_each(|sid| self.forget_name(sid, table));
        }
        if self.fresh.is_empty() && self.again.is_empty() {
            (self.gone, self.names) = (BTreeMap::new(), None);
            self.fresh.shrink_to(64);
        }
    }

    fn forget_name<H>(&mut self, sid: u64, table: &Subscriptions<H>) {
        let gone = self.gone.remove(&sid);
        if let Some(names) = &mut self.names {
            let interest = gone.as_deref().or_else(|| table.get(sid).map(|entry| entry.interest()));
            if let Some(interest) = interest {
                names.remove(interest, sid);
            }
        }
    }

    /// `sid` leaves the table.
    pub(super) fn leave(&mut self, sid: u64, interest: &[u8]) {
        if self.fresh.binary_search(&sid).is_ok() || self.again.contains_key(&sid) {
            self.gone.insert(sid, interest.into());
            if self.gone.len() > GONE {
                self.gone.pop_first();
            }
        }
    }

    /// The server refuses a subscription, and may name its sid. Returns the one that it means, which may have left the table;
    /// `None`: none of these.
    pub(super) fn refuse<H>(
        &mut self,
        (subject, queue, sid): (&[u8], Option<&[u8]>, Option<u64>),
        table: &Subscriptions<H>,
    ) -> Option<u64> {
        if self.names.is_none() {
            let mut names = Names::default();
            for sid in self.fresh.iter().chain(self.again.keys()) {
                let gone = self.gone.get(sid).map(|interest| &**interest);
                if let Some(interest) = gone.or_else(|| table.get(*sid).map(|entry| entry.interest())) {
                    names.add(interest, *sid);
                }
            }
            self.names = Some(names);
        }
        let names = self.names.as_mut()?;
        // Old servers don't name the queue group.
        let first = || names.exactly(subject, queue).next();
        let sid = sid.or_else(first).or_else(|| names.grouped(subject).next().filter(|_| queue.is_none()))?;
        // The next refusal of this name means another one.
        self.forget_name(sid, table);
        Some(sid)
    }
}
